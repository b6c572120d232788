"""Score any existing reward model on benchmarks, into the same record as those trained here.

python -m rm_selection.evaluate model=PATH_OR_REPO evaluation=rewardbench
"""

from rm_selection.config import entry_point
from rm_selection.train_settings import EvaluateConfig


@entry_point("evaluate", EvaluateConfig)
def main(settings: EvaluateConfig) -> None:
    """Score any existing reward model on benchmarks, into the same record as those trained here."""
    from rm_selection import console
    from rm_selection.existing_model import score_existing

    outcome = score_existing(settings)
    console.outcome(outcome.run_id, outcome.status, outcome.new)
    console.scores(outcome.folder)


if __name__ == "__main__":
    main()
