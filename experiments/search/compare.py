"""Halving beside the full grid of learning rates, base by base: compare.py FOLDER_OF_THE_STUDY."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rm_selection import console, runs
from rm_selection.analysis.resampling import percentile_interval

SEED, RESAMPLES = 0, 10_000


def rows(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """A row a base, objective and search: rate, score (points), tokens and seconds of training, all rates together."""
    found = []
    for record in records:
        trials = record["training"]["trials"]
        spent = {name: sum(one[name] for one in trials) for name in ("tokens", "pad_tokens", "seconds")}
        objective = record["settings"]["objective"]
        row = {"base": record["checkpoint"]["base"], "objective": objective["name"]}
        row |= {"search": objective.get("search", "grid"), "rate": record["training"]["rate"]}
        found.append(row | {"score": record["scores"]["microcosm"]["score"]} | spent)
    return pd.DataFrame(found)


def compared(table: pd.DataFrame) -> pd.DataFrame:
    """A row an objective, and one for both: cost of halving over that of the grid, and the score that it loses."""
    wide = table.pivot(index=["base", "objective"], columns="search").dropna()
    wide["lost", ""] = wide["score", "grid"] - wide["score", "halving"]
    found = []
    for name in (*sorted(table["objective"].unique()), "both"):
        own = wide if name == "both" else wide.xs(name, level="objective", drop_level=False)
        lost = own["lost", ""].groupby("base").mean().to_numpy()
        drawn = np.random.default_rng(SEED).choice(lost, (RESAMPLES, len(lost))).mean(axis=1)
        low, high = percentile_interval(drawn)
        cost = [own[unit, "halving"].sum() / own[unit, "grid"].sum() for unit in ("tokens", "seconds")]
        same = (own["rate", "grid"] == own["rate", "halving"]).mean()
        row = {"objective": name, "bases": len(lost), "tokens": f"{cost[0]:.0%}", "seconds": f"{cost[1]:.0%}"}
        row |= {"points lost": f"{lost.mean():.2f} [{low:.2f}, {high:.2f}]", "same rate": f"{same:.0%}"}
        found.append(row)
    return pd.DataFrame(found)


def main() -> None:
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("name the folder of the study: python experiments/search/compare.py outputs/microcosm-search-1")
    done = [record for record in runs.records(Path(sys.argv[1])) if record["status"] == "finished"]
    table = rows(done)
    console.table("Learning rates that were chosen", table.drop(columns="pad_tokens").round({"score": 1, "seconds": 1}))
    console.table("Halving over the grid, intervals 90% over bases", compared(table))


if __name__ == "__main__":
    main()
