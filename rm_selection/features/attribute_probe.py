"""The same probe for ratings: ridge regression of each attribute on the hidden states of one response.

Depth, pooling and penalty are chosen for each outer fold by the mean squared error of its inner folds, as in
`pair_probe`. Features are standardised over all rows, which needs no rating.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from rm_selection.features.folds import Folds
from rm_selection.features.pair_probe import PENALTIES, ROUGH
from rm_selection.features.ridge import Axes, along_axes, least_squares, with_ones

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Predicted:
    """values: (n,) of each row, by the regression that did not see its prompt. choices: view and penalty over width."""

    values: Array
    choices: list[tuple[str, float]]


def probe(features: Array, names: Sequence[str], ratings: Array, folds: Folds) -> Predicted:
    """Predict ratings.

    Args:
        features: (n, v, d) states of responses.
        names: of the v views.
        ratings: (n,) of one attribute, not all the same.
        folds: of the n rows.

    Raises:
        FitError: a fit does not converge.
    """
    width = features.shape[2]
    y = (ratings - ratings.mean()) / ratings.std()
    axes = [along_axes(standardised(features[:, view])) for view in range(len(names))]
    table = np.stack([_inner_errors(one, y, width, folds) for one in axes], axis=1)  # (outer, v, penalties)
    best = [np.unravel_index(one.argmin(), one.shape) for one in table]
    found = np.zeros(len(y))
    for fold, (view, penalty) in enumerate(best):
        taken, held = folds.train[:, [fold]], folds.held[:, fold] > 0
        weights = least_squares(axes[view], y, taken, np.array([width * PENALTIES[penalty]]))
        found[held] = (with_ones(axes[view].rows[held]) @ weights)[:, 0]
    choices = [(names[view], PENALTIES[penalty]) for view, penalty in best]
    return Predicted(found * ratings.std() + ratings.mean(), choices)


def standardised(features: Array) -> Array:
    """Features (n, d) with mean 0 and standard deviation 1; those that never change are 0."""
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    size = centred.std(axis=0)
    found: Array = centred / np.where(size > 1e-12, size, np.inf)
    return found


def _inner_errors(axes: Axes, y: Array, width: int, folds: Folds) -> Array:
    """Mean squared error of rows held out by the inner folds, (outer, penalties)."""
    n, outer, inner = folds.inner_held.shape
    taken = np.repeat(folds.inner_train.reshape(n, -1), len(PENALTIES), axis=1)
    weights = least_squares(axes.brief(), y, taken, np.tile(width * np.array(PENALTIES), outer * inner), ROUGH)
    errors = (y[:, None] - with_ones(axes.rows) @ weights).reshape(n, outer, inner, len(PENALTIES)) ** 2
    means: Array = np.einsum("noip,noi->op", errors, folds.inner_held) / folds.train.sum(axis=0)[:, None]
    return means


def r2(ratings: Array, predicted: Array) -> float:
    """Share of the variance that is predicted; below 0 where the mean alone predicts better."""
    total = float(((ratings - ratings.mean()) ** 2).sum())
    return 1 - float(((ratings - predicted) ** 2).sum()) / total if total > 0 else 0.0


def spearman(ratings: Array, predicted: Array) -> float:
    """Rank correlation; 0 where the prediction is the same for all."""
    return float(spearmanr(ratings, predicted).statistic) if np.ptp(predicted) > 0 and np.ptp(ratings) > 0 else 0.0


def same_prompt_pairs(prompts: Sequence[str], ratings: Array) -> NDArray[np.int64]:
    """(m, 2) rows of one prompt that are rated differently, the better one first."""
    of: dict[str, list[int]] = {}
    for row, prompt in enumerate(prompts):
        of.setdefault(prompt, []).append(row)
    found = [pair for rows in of.values() for pair in combinations(rows, 2) if ratings[pair[0]] != ratings[pair[1]]]
    return np.array([(a, b) if ratings[a] > ratings[b] else (b, a) for a, b in found], dtype=np.int64).reshape(-1, 2)
