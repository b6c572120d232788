"""Measure a base before a reward model is trained from it; with -m a sweep that goes on where it stopped.

python -m rm_selection.measure -m base=llama3,qwen2,mistral feature=benchmarks,presence,probe
"""

from rm_selection.config import entry_point
from rm_selection.measure_settings import MeasureConfig


@entry_point("measure", MeasureConfig)
def main(settings: MeasureConfig) -> None:
    """Measure a base by benchmarks, presence scores or a probe, and record it; what is finished is not repeated."""
    from rm_selection import console, measuring
    from rm_selection.errors import MeasurementError

    outcome = measuring.run(settings)
    if outcome.status == "failed":
        raise MeasurementError(f"{outcome.run_id} failed: {outcome.reason}")
    console.outcome(outcome.run_id, outcome.status, outcome.new, outcome.reason)
    if outcome.status == "finished":
        console.measured(outcome.folder)


if __name__ == "__main__":
    main()
