"""How fast reward models train and score here: ours and stock TRL's RewardTrainer, in turn, in one process.

python -m rm_selection.throughput model=FOLDER shape=15m pairs=FILE hardware=cpu
"""

from rm_selection.config import entry_point
from rm_selection.throughput_settings import ThroughputConfig


@entry_point("throughput", ThroughputConfig)
def main(settings: ThroughputConfig) -> None:
    """Time training and scoring, ours against stock TRL and a padded loop; the figures are appended to a table."""
    from pathlib import Path

    from rm_selection import console, speed, speed_table

    speed_table.check(Path(settings.table))
    figures = speed.measure(settings)
    shown = ["task", "way", "pairs_per_s", "low", "high", "times_stock", "padded", "mfu", "peak_gib"]
    console.table("median and range of the repeats", figures[shown].map(speed_table.shown))
    speed_table.append(figures, Path(settings.table))
    console.line(f"appended to {settings.table}")


if __name__ == "__main__":
    main()
