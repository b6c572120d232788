"""What a study of one's own knows of stages: those it made, and which pairs each reward model got right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from rm_selection import runs

SCORED = ("evaluation", "id", "subset", "reward_chosen", "reward_rejected")
COLUMNS = ("model", "made_from", "metric", "before", "after", "change", "low", "high", "n", "improved", "seconds")


def answers(pairs: Callable[[str], pd.DataFrame], table: pd.DataFrame) -> pd.DataFrame:
    """Which pairs the runs of `table` got right: base, stage, seed, id, subset, right (1, 0, or 0.5 for a tie).

    pairs: gives what a run scored, by its run_id. Empty where a run's scores are not there: an analysis then takes the
    pairs as fixed.
    """
    parts: list[pd.DataFrame] = []
    for row in table.to_dict("records"):
        try:
            scored = pairs(row["run_id"])[[*SCORED]]
        except (OSError, ValueError, KeyError):
            return pd.DataFrame()
        if scored.empty:
            return pd.DataFrame()
        scored = scored[scored["evaluation"] == row["evaluation"]]
        margin = np.sign(scored["reward_chosen"] - scored["reward_rejected"])
        known = {name: row[name] for name in ("base", "stage", "seed")}
        parts.append(scored[["id", "subset"]].assign(right=(margin + 1) / 2, **known))
    return pd.concat(parts, ignore_index=True)


def made(folder: Path) -> pd.DataFrame:
    """The stages that a study made and what each changed: COLUMNS, one row a stage."""
    done = [one for one in runs.records(folder, "stages") if one["status"] == "finished"]
    rows = [
        {"model": one["checkpoint"]["name"], "made_from": one["checkpoint"]["made_from"]}
        | one["improvement"]
        | {"improved": "yes" if one["improvement"]["improved"] else "no"}
        | {"seconds": one["cost"]["seconds"]}
        for one in done
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))
