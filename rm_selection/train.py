"""Train a reward model from a base, score it and record it; with -m a sweep that goes on where it stopped.

python -m rm_selection.train -m base=llama3,qwen2,mistral
"""

from rm_selection.config import entry_point
from rm_selection.train_settings import TrainConfig


@entry_point("train", TrainConfig)
def main(settings: TrainConfig) -> None:
    """Train a reward model from a base, score it on benchmarks, and record it; finished runs are not repeated."""
    from rm_selection import cells, console, distributed
    from rm_selection.errors import TrainingError

    outcome = cells.run(settings)
    if not distributed.first():
        return
    if outcome.status == "failed":
        raise TrainingError(f"{outcome.run_id} failed: {outcome.reason}")
    console.outcome(outcome.run_id, outcome.status, outcome.new, outcome.reason)
    if outcome.status == "finished":
        console.scores(outcome.folder)


if __name__ == "__main__":
    main()
