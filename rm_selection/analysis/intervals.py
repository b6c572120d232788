"""Prediction intervals calibrated on families the predictor did not see, and the coverage they were measured to have.

Split-conformal half-width: the ceil((n+1) * level)-th smallest absolute residual (Lei et al. 2018), with residuals of
leave-one-family-out predictions. Families are few and differ, so exchangeability holds only roughly; hence `nested`,
which measures coverage on families that played no part in predictor or half-width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from rm_selection.analysis.balanced_ridge import FEATURE_SETS, SCORE, BalancedRidge, FeatureSets, leave_family_out
from rm_selection.analysis.resampling import LEVEL

Z90 = 1.6448536269514722  # 95% point of the standard normal, for a two-sided 90% interval


def half_width(residuals: ArrayLike, level: float = LEVEL) -> float:
    """Conformal half-width in points from residuals (n,); infinite where n is too small for `level`."""
    sizes = np.sort(np.abs(np.asarray(residuals, dtype=float)))
    rank = math.ceil((len(sizes) + 1) * level)
    return float(sizes[rank - 1]) if rank <= len(sizes) else math.inf


def from_other_families(predictions: pd.DataFrame) -> pd.DataFrame:
    """`low` and `high` for each row of leave-one-family-out `predictions` (family, actual, predicted).

    The half-width of a row comes from the residuals of all other families.
    """
    residual = predictions["actual"] - predictions["predicted"]
    width = pd.Series(np.nan, index=predictions.index)
    for family in predictions["family"].unique():
        own = predictions["family"] == family
        width[own] = half_width(residual[~own])
    return pd.DataFrame({"low": predictions["predicted"] - width, "high": predictions["predicted"] + width})


def widened(predicted: pd.DataFrame, width: float) -> pd.DataFrame:
    """Interval ends for the output of `BalancedRidge.predict`, within 0-100.

    Filled features add their variance to that of the half-width; outside the fitted range both ends move away by the
    points that the prediction owes to extrapolation.
    """
    half = np.hypot(width, Z90 * predicted["imputation_sd"]) + predicted["reach"]
    low, high = predicted["predicted"] - half, predicted["predicted"] + half
    return pd.DataFrame({"low": low.clip(0, 100), "high": high.clip(0, 100)})


def nested(
    frame: pd.DataFrame,
    targets: Sequence[str] = SCORE,
    feature_sets: FeatureSets = FEATURE_SETS,
    level: float = LEVEL,
) -> pd.DataFrame:
    """Every model's interval made without its family: predictor, its choice and the half-width alike.

    Args:
        frame: one row a model with `family`, `score` (points), the targets and the features of the balanced ridge.
        targets: the columns whose mean is the score.
        feature_sets: what the predictor chooses from.
        level: nominal coverage.

    Returns:
        Columns model, family, actual, predicted, low, high, covered, in the order of `frame`.
    """
    parts = []
    for family in frame["family"].unique():
        held = frame["family"] == family
        rest = frame[~held]
        width = half_width(rest["score"] - leave_family_out(rest, targets, feature_sets)["predicted"], level)
        predicted = BalancedRidge.fit(rest, targets, feature_sets).predict(frame[held])
        part = frame.loc[held, ["model", "family"]].assign(actual=frame["score"], predicted=predicted["predicted"])
        parts.append(part.join(widened(predicted, width)))
    result: pd.DataFrame = pd.concat(parts).loc[frame.index]
    return result.assign(covered=result["actual"].between(result["low"], result["high"]))


def summary(nested_rows: pd.DataFrame, objective: str) -> pd.DataFrame:
    """One row: objective, level, n, n_families, coverage with its 90% Wilson interval, family_coverage, mean_width."""
    from statsmodels.stats.proportion import proportion_confint

    hits = nested_rows["covered"]
    low, high = proportion_confint(int(hits.sum()), len(hits), alpha=1 - LEVEL, method="wilson")
    by_family = hits.groupby(nested_rows["family"]).mean()
    row = {
        "objective": objective,
        "level": LEVEL,
        "n": len(hits),
        "n_families": len(by_family),
        "coverage": hits.mean(),
        "coverage_low": low,
        "coverage_high": high,
        "family_coverage": by_family.mean(),
        "mean_width": (nested_rows["high"] - nested_rows["low"]).mean(),
    }
    return pd.DataFrame([row])
