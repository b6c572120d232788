"""Ridge fits of the frozen base's features, hundreds at once: logistic for pairs, least squares for ratings.

Nested cross-validation fits the same rows again and again, with other rows left out and other penalties. One at a time
each fit would pay a factorisation; here all go through the same two matrix products a step.

Bradley-Terry minimises, over pairs i with features x_i of chosen minus rejected,

    sum_i log(1 + exp(-x_i w)) + penalty / 2 |w|^2

which is scikit-learn's LogisticRegression(C=1 / (2 penalty), fit_intercept=False) on the doubled design: x_i labelled 1
and -x_i labelled 0. Least squares minimises sum_i (y_i - b - x_i w)^2 / 2 + penalty / 2 |w|^2, its Ridge(penalty).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from rm_selection.errors import FitError

Array = NDArray[np.floating[Any]]
MOST_STEPS = 10_000


@dataclass(frozen=True)
class Axes:
    """Rows along their principal axes, by which no ridge fit changes.

    rows: (n, r), r at most min(n, d). variances: (r,) sums of squares along each axis, not centred.
    """

    rows: Array
    variances: Array

    def brief(self) -> Axes:
        """The same in float32, which does for fits that only choose."""
        return Axes(self.rows.astype(np.float32), self.variances.astype(np.float32))


def along_axes(X: Array) -> Axes:
    """The rows of X (n, d) along their principal axes."""
    wide = X.shape[1] > X.shape[0]
    values, vectors = np.linalg.eigh(X @ X.T if wide else X.T @ X)
    kept = values > max(values[-1], 0) * 1e-14
    values, vectors = values[kept], vectors[:, kept]
    return Axes(vectors * np.sqrt(values) if wide else X @ vectors, values)


def bradley_terry(axes: Axes, taken: Array, penalties: Array, tolerance: float = 1e-8) -> Array:
    """Weights (r, K) of K probes.

    Args:
        axes: of the differences, n pairs.
        taken: (n, K) of 0 and 1: the pairs that each probe learns from.
        penalties: (K,), above 0.
        tolerance: see `_descend`.

    Raises:
        FitError: a fit does not converge, or meets a number that is not finite.
    """
    penalties, taken = penalties.astype(axes.rows.dtype), taken.astype(axes.rows.dtype)
    bound = axes.variances[:, None] / 4 + penalties  # Boehning 1992: p (1 - p) is at most 1/4

    def downhill(ahead: Array, left: NDArray[np.intp]) -> Array:
        pull = taken[:, left] * expit(-(axes.rows @ ahead))
        return axes.rows.T @ pull - penalties[left] * ahead

    return _descend(downhill, bound, tolerance)


def least_squares(axes: Axes, y: Array, taken: Array, penalties: Array, tolerance: float = 1e-8) -> Array:
    """Weights (r + 1, K) of K regressions, the intercept last; predictions are `with_ones(axes.rows) @ weights`.

    Args:
        axes: of the features, each column with mean 0 over all n rows.
        y: (n,).
        taken: (n, K) of 0 and 1: the rows that each regression learns from.
        penalties: (K,), above 0; the intercept has none.
        tolerance: see `_descend`.

    Raises:
        FitError: a fit does not converge, or meets a number that is not finite.
    """
    rows = with_ones(axes.rows)
    y, taken = y.astype(rows.dtype), taken.astype(rows.dtype)
    penalised = np.vstack([np.tile(penalties, (len(axes.variances), 1)), np.zeros(len(penalties))]).astype(rows.dtype)
    bound = np.append(axes.variances, rows.dtype.type(len(y)))[:, None] + penalised  # axes and ones are orthogonal

    def downhill(ahead: Array, left: NDArray[np.intp]) -> Array:
        pull = taken[:, left] * (y[:, None] - rows @ ahead)
        return rows.T @ pull - penalised[:, left] * ahead

    return _descend(downhill, bound, tolerance)


def with_ones(rows: Array) -> Array:
    """The rows with a column of ones behind them."""
    return np.column_stack([rows, np.ones(len(rows), dtype=rows.dtype)])


def _descend(downhill: Callable[[Array, NDArray[np.intp]], Array], bound: Array, tolerance: float) -> Array:
    """Accelerated gradient descent (Nesterov 1983) with restarts (O'Donoghue and Candes 2015), from 0, for K fits.

    Args:
        downhill: the negative gradient at weights (r, k) of the fits (k,) that are not done yet.
        bound: (r, K) diagonal matrices that bound the curvature, so that no step overshoots.
        tolerance: the largest step of a weight at the end, as a share of the largest weight of its fit.
    """
    found = np.zeros_like(bound)
    left = np.arange(bound.shape[1])
    now, ahead, speed = found.copy(), found.copy(), np.ones(len(left), dtype=bound.dtype)
    for _ in range(MOST_STEPS):
        new = ahead + downhill(ahead, left) / bound[:, left]
        moved = new - now
        restart = ((ahead - new) * bound[:, left] * moved).sum(axis=0) > 0
        faster = np.where(restart, 1, (1 + np.sqrt(1 + 4 * speed**2)) / 2).astype(bound.dtype)
        step = np.abs(new - ahead).max(axis=0, initial=0)
        going = ~(step <= tolerance * np.abs(new).max(axis=0, initial=0))  # so that what is not finite goes on
        ahead = new + np.where(restart, 0, (speed - 1) / faster) * moved
        found[:, left] = now = new
        left, now, ahead, speed = left[going], now[:, going], ahead[:, going], faster[going]
        if not len(left):
            return found
    raise FitError(f"{len(left)} ridge fits do not converge in {MOST_STEPS} steps; are the hidden states finite?")
