"""What training costs and what it is worth: the candidates that no cheaper one beats, and what a study has spent."""

from __future__ import annotations

import pandas as pd

COLUMNS = ("train_gpu_hours", "model", "params_b", "predicted", "low", "high", "step_points", "basis")


def frontier(ranking: pd.DataFrame) -> pd.DataFrame:
    """The best base of every budget: those that score higher than all that train in the same time or less.

    Args:
        ranking: one row a candidate: model, params_b, predicted, low, high, train_gpu_hours, basis; those whose cost or
            score is missing are left out.

    Returns:
        COLUMNS, the cheapest first; step_points is what each gains on the one before, missing for the first.
    """
    known = ranking.dropna(subset=["train_gpu_hours", "predicted"])
    ordered = known.sort_values(["train_gpu_hours", "predicted", "model"], ascending=[True, False, True])
    before = ordered["predicted"].cummax().shift()
    found = ordered[before.isna() | (ordered["predicted"] > before)]
    return found.assign(step_points=found["predicted"].diff())[list(COLUMNS)].reset_index(drop=True)


def spent(runs: pd.DataFrame, features: pd.DataFrame) -> pd.DataFrame:
    """What the records of a study took on their devices, trainings that were wanted in part included.

    Args:
        runs: one row a run: objective, seconds, device.
        features: one row a figure: feature (`<kind>.<name>`), run_id, seconds, device; missing seconds count nothing.

    Returns:
        what (an objective's training, or a kind of feature), device, n (records), hours (of all of them together).
    """
    trained = runs.assign(what=[f"training, {name}" for name in runs["objective"]])
    measured = features.drop_duplicates("run_id")
    measured = measured.assign(what=[f"measuring, {str(name).partition('.')[0]}" for name in measured["feature"]])
    parts = [part[["what", "device", "seconds"]] for part in (trained, measured) if len(part)]
    if not parts:
        return pd.DataFrame(columns=["what", "device", "n", "hours"])
    both = pd.concat(parts).dropna(subset=["seconds"])
    both = both.assign(hours=both["seconds"].astype(float) / 3600)
    groups = both.groupby(["what", "device"], sort=False, dropna=False)["hours"]
    return groups.agg(n="size", hours="sum").reset_index()
