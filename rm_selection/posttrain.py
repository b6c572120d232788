"""Make post-training stages of a base under one recipe, so that the stage is the only thing that changes.

python -m rm_selection.posttrain -m base=llama3,qwen2 stage=sft,dpo,rlvr
"""

from rm_selection.config import entry_point
from rm_selection.posttrain_settings import PosttrainConfig


@entry_point("posttrain", PosttrainConfig)
def main(settings: PosttrainConfig) -> None:
    """Make post-training stages of a base, each from the one before it, and record them; finished ones are kept."""
    from rm_selection import console, posttraining
    from rm_selection.errors import TrainingError

    for outcome in posttraining.run(settings):
        if outcome.status == "failed":
            raise TrainingError(f"{outcome.run_id} failed: {outcome.reason}")
        console.outcome(outcome.run_id, outcome.status, outcome.new, outcome.reason)
        if outcome.status == "finished":
            console.improvement(outcome.folder)


if __name__ == "__main__":
    main()
