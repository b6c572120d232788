"""What `recommend` does with a budget: train until the best base is found.

python -m rm_selection.recommend budget_gpu_hours=40 dataset=ultrafeedback candidates=llama3,qwen2,mistral
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rm_selection.budget_settings import BudgetConfig
from rm_selection.config import entry_point
from rm_selection.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

USAGE = "python -m rm_selection.recommend budget_gpu_hours=HOURS [setting=value ...]"


@entry_point("recommend_budget", BudgetConfig, USAGE)
def main(settings: BudgetConfig) -> None:
    """Find the best base under a budget: public figures first, then probes, short trainings, and whole ones."""
    from hydra.core.hydra_config import HydraConfig

    from rm_selection import console, second

    words = list(HydraConfig.get().overrides.task)
    if given := next((word for word in words if re.match(r"[+~]*base[=.]", word)), None):
        raise ConfigError(f"{given} is not allowed; the plan chooses it: name candidates={given.partition('=')[2]}")
    if settings.second_dataset is None:
        _chosen(settings, words)
        return
    (one, its), (two, others) = second.halves(settings, words)
    first, other = _chosen(one, its), _chosen(two, others)
    if not settings.dry_run:
        console.line(second.moved(first, other, (one.dataset.name, two.dataset.name)))


def _chosen(settings: BudgetConfig, words: list[str]) -> pd.DataFrame:
    """Spend the budget, tell the answer, and return the ranking."""
    from threadpoolctl import threadpool_limits

    from rm_selection import chosen, console, studies
    from rm_selection.budget import Plan, spend
    from rm_selection.budget_told import told
    from rm_selection.buying import Commands

    with threadpool_limits(1):  # many small matrices, for which threads only wait for each other
        plan = Plan(settings)
        begun = plan.stand()
        choice = spend(plan, begun, Commands(settings, words), settings.dry_run)
    now = begun if settings.dry_run else choice
    table = chosen.ranking(plan, now)
    said = chosen.sentences(plan, table, now, choice)
    if settings.dry_run:
        console.plan(chosen.purchases(choice), said)
        return table
    written = studies.write_recommendation(settings.folder, table, said, [], told(settings, words))
    console.recommendation(table.head(settings.top), said, [], "device-hours of one whole training")
    console.line(f"{len(table)} rows: {written}")
    return table


if __name__ == "__main__":
    main()
