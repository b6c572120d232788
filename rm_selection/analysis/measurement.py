"""How far a published RewardBench score may lie from what a repeat would give: binomial error and rerun noise.

Scores of two models come from the same pairs, so their errors are correlated and an interval that takes them as
independent is somewhat too wide; which pairs each model got right is not published, so nothing better can be had.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rm_selection.analysis.resampling import LEVEL
from rm_selection.errors import FitError
from rm_selection.settings import CATEGORIES

CHAT, CHAT_HARD, SAFETY, CODE, MATH_PRM = 358, 456, 740, 984, 447  # pairs in RewardBench v1, 2,985 in all
# Reasoning is the mean of the accuracies over the code and the math-prm pairs, whatever their numbers.
REASONING = 4 / (1 / CODE + 1 / MATH_PRM)  # about 1,230: the pairs of one sample with the same variance
PAIRS = np.array([CHAT, CHAT_HARD, SAFETY, REASONING])  # in the order of CATEGORIES
RERUN_SD = 1.0 / np.sqrt(2.0)  # points a run, overall: equal configurations differ by about 1 point

Number = TypeVar("Number", float, NDArray[np.float64])


def category_errors(scores: pd.Series | pd.DataFrame) -> NDArray[np.float64]:
    """Binomial standard error of each category's accuracy.

    Args:
        scores: one row, or one row a model, with the four categories, 0-100.

    Returns:
        (4,) or (n, 4), in points, in the order of CATEGORIES: 100 sqrt(p (1 - p) / n). The two halves of reasoning are
        taken as equally accurate.

    Raises:
        FitError: an accuracy lies outside 0-100.
    """
    share = scores[list(CATEGORIES)].to_numpy(dtype=float) / 100
    outside = share[(share < 0) | (share > 1)]
    if outside.size:
        raise FitError(f"an accuracy of {100 * outside[0]:g} has no standard error; accuracies are from 0 to 100")
    errors: NDArray[np.float64] = 100 * np.sqrt(share * (1 - share) / PAIRS)
    return errors


def standard_error(scores: pd.Series | pd.DataFrame) -> NDArray[np.float64]:
    """Binomial standard error of the overall score, the plain mean of the four categories: () or (n,), in points.

    Raises:
        FitError: an accuracy lies outside 0-100.
    """
    return with_overall(category_errors(scores))[..., -1]


def with_overall(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """The errors of four independent categories, (..., 4), followed by that of their mean: (..., 5)."""
    overall = np.linalg.norm(errors, axis=-1, keepdims=True) / len(CATEGORIES)
    return np.concatenate([errors, overall], axis=-1)


def total_error(scores: pd.Series | pd.DataFrame, categories: Sequence[str] = CATEGORIES) -> NDArray[np.float64]:
    """Standard error of the mean of some categories against a repeat of the training on other pairs.

    From run to run categories are taken to move independently, so that fewer of them move more.

    Args:
        scores: one row, or one row a model, with the four categories, 0-100.
        categories: those whose mean it is; all four are the overall score.

    Returns:
        () or (n,), in points.

    Raises:
        FitError: an accuracy lies outside 0-100.
    """
    places = [CATEGORIES.index(name) for name in categories]
    pairs = np.linalg.norm(category_errors(scores)[..., places], axis=-1) / len(places)
    errors: NDArray[np.float64] = np.hypot(pairs, RERUN_SD * np.sqrt(len(CATEGORIES) / len(places)))
    return errors


def normal_interval(estimate: Number, error: Number) -> tuple[Number, Number]:
    """Lower and upper end of the interval of a normal estimate, at the level of every interval here (90%)."""
    reach = NormalDist().inv_cdf((1 + LEVEL) / 2) * error
    return estimate - reach, estimate + reach


def standard_errors(low: pd.Series, high: pd.Series) -> pd.Series:
    """Standard errors behind intervals at that level, taken as normal: (n,) ends to (n,)."""
    return (high - low) / (2 * NormalDist().inv_cdf((1 + LEVEL) / 2))
