"""What each post-training stage of one base changes in the reward model trained from it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm
from statsmodels.stats.multitest import multipletests

from rm_selection.analysis.measurement import RERUN_SD, category_errors, normal_interval, with_overall
from rm_selection.errors import FitError
from rm_selection.settings import CATEGORIES

MEASURED = (*CATEGORIES, "score")


def published_stages(stages: pd.DataFrame) -> pd.DataFrame:
    """The change of every stage against the pretrained model of the same base, by category and overall.

    The error of a change joins the binomial error of both accuracies and the rerun noise of both runs. That noise is
    known overall only; the same is taken for a category, the least it can be where categories are equally noisy.

    Args:
        stages: model, base, stage, the four categories and score (0-100); one row of stage `pretrained` a base.

    Returns:
        base, stage, model, category (the four and `score`), score, change_points, change_percent (of the pretrained
        score), low, high (90%, of change_points), p_value (two-sided, normal) and p_adjusted (Holm, over every row that
        is not pretrained). The pretrained rows change by 0 and have neither interval nor p-value.

    Raises:
        FitError: a base has no pretrained row or several, or a score is missing.
    """
    _check(stages)
    pretrained = stages["stage"] == "pretrained"
    starts = stages[pretrained].set_index("base").loc[stages["base"]]
    change = stages[[*MEASURED]].to_numpy(dtype=float) - starts[[*MEASURED]].to_numpy(dtype=float)
    error = np.hypot(_errors(stages), _errors(starts))
    error[pretrained] = np.nan
    low, high = normal_interval(change, error)
    columns = {
        "score": stages[[*MEASURED]].to_numpy(dtype=float),
        "change_points": change,
        "change_percent": 100 * change / starts[[*MEASURED]].to_numpy(dtype=float),
        "low": low,
        "high": high,
        "p_value": 2 * norm.sf(np.abs(change) / error),
    }
    names = stages[["base", "stage", "model"]]
    parts = [
        names.assign(category=name, **{column: values[:, place] for column, values in columns.items()})
        for place, name in enumerate(MEASURED)
    ]
    return with_adjusted(pd.concat(parts).sort_index(kind="stable").reset_index(drop=True))


def _check(stages: pd.DataFrame) -> None:
    missing = stages[[*MEASURED]].isna().any(axis=1)
    if missing.any():
        raise FitError(f"changes by stage need every score, and {stages.loc[missing, 'model'].iloc[0]} lacks one")
    counts = (stages["stage"] == "pretrained").groupby(stages["base"]).sum()
    wrong = counts[counts != 1]
    if len(wrong):
        raise FitError(f"changes by stage need one pretrained row a base, and {wrong.index[0]} has {wrong.iloc[0]}")


def _errors(rows: pd.DataFrame) -> NDArray[np.float64]:
    errors: NDArray[np.float64] = np.hypot(with_overall(category_errors(rows)), RERUN_SD)
    return errors


def with_adjusted(table: pd.DataFrame) -> pd.DataFrame:
    """`table` with p_adjusted: Holm's, over the rows that have a p_value."""
    tested = table["p_value"].notna()  # multipletests is all NaN if one p-value is
    table["p_adjusted"] = np.nan
    if tested.any():
        table.loc[tested, "p_adjusted"] = multipletests(table.loc[tested, "p_value"], method="holm")[1]
    return table
