"""What is believed of the final scores of all candidates at once, given whatever figures of each are known.

Everything is one normal distribution (see calibration.py), so what is known conditions it exactly, and so does what
might be measured next. Levels that are unknown (of the candidates' scores, of a figure in this study) are shared, so
the first figure of a kind says little and every further one says how bases differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rm_selection.analysis.calibration import Calibration

Array = NDArray[np.float64]
TINY = 1e-9  # a variance, points squared


@dataclass(frozen=True)
class Belief:
    """n candidates and m = n x K figures, figure k of candidate i at i * K + k.

    mean: (n,) expected final scores, points. cov: (n, n). cross: (n, m) covariance of scores with figures not yet
    known. figures: (m, m) covariance of those; rows and columns of known figures are 0. expected: (m,) figures.
    """

    mean: Array
    cov: Array
    cross: Array
    figures: Array
    expected: Array

    def of(self, columns: Sequence[int]) -> Belief:
        """The same of some figures alone."""
        index = list(columns)
        return Belief(
            self.mean, self.cov, self.cross[:, index], self.figures[np.ix_(index, index)], self.expected[index]
        )

    @property
    def sd(self) -> Array:
        """(n,) standard deviations of the final scores, points."""
        return np.asarray(np.sqrt(np.diag(self.cov)))

    def draws(self, rng: np.random.Generator, count: int) -> Array:
        """(count, n) final scores that may be the true ones."""
        root = np.linalg.cholesky(self.cov + 1e-8 * np.eye(len(self.mean)))
        return np.asarray(self.mean + rng.standard_normal((count, len(self.mean))) @ root.T)


def believe(calibration: Calibration, known: Array) -> Belief:
    """What follows from the figures that are known.

    Args:
        calibration: what each figure tells.
        known: (n, K) values, NaN where not known.
    """
    n = len(known)
    scores = np.asarray(calibration.spread**2 * np.eye(n) + calibration.mean_sd**2)
    slope = calibration.slope
    figures = np.asarray(np.kron(scores, np.outer(slope, slope)))
    figures += np.kron(np.ones((n, n)), np.diag(calibration.offset_sd**2)) + np.kron(np.eye(n), calibration.errors)
    cross = np.asarray(np.kron(scores, slope))
    prior = np.full(n, calibration.mean)
    expected = np.tile(calibration.offset + slope * calibration.mean, n)
    seen = np.flatnonzero(~np.isnan(known.ravel()))
    if not len(seen):
        return Belief(prior, scores, cross, figures, expected)
    gain = np.linalg.solve(figures[np.ix_(seen, seen)], np.hstack([cross[:, seen].T, figures[seen]]))
    by_score, by_figure = gain[:, :n], gain[:, n:]
    surprise = known.ravel()[seen] - expected[seen]
    left = figures - figures[:, seen] @ by_figure
    left[seen] = left[:, seen] = 0.0
    after = cross - cross[:, seen] @ by_figure
    after[:, seen] = 0.0
    return Belief(
        prior + by_score.T @ surprise,
        scores - cross[:, seen] @ by_score,
        after,
        left,
        expected + by_figure.T @ surprise,
    )


def foreseen(belief: Belief, measured: Sequence[int]) -> tuple[Array, Belief]:
    """What measuring a figures together will do before their values are known.

    Returns:
        (a, n) moves: for standard normal numbers z, the scores expected afterwards are mean + z @ moves. And the belief
        afterwards, but for its mean and expected figures, which are those of before.
    """
    index = list(measured)
    root = np.linalg.cholesky(belief.figures[np.ix_(index, index)] + TINY * np.eye(len(index)))
    moves, told = np.linalg.solve(root, belief.cross[:, index].T), np.linalg.solve(root, belief.figures[index])
    cross, figures = belief.cross - moves.T @ told, belief.figures - told.T @ told
    cross[:, index] = figures[index] = figures[:, index] = 0.0
    return moves, Belief(belief.mean, belief.cov - moves.T @ moves, cross, figures, belief.expected)


def rise(belief: Belief, means: Array, measured: Sequence[int], normal: Array) -> Array:
    """(rows,) what the best expected score is expected to be once these figures are measured together.

    The difference from the best now is the knowledge gradient (Frazier, Powell and Dayanik 2009,
    doi 10.1287/ijoc.1080.0314): the drop of expected regret.

    Args:
        belief: its covariances count.
        means: (rows, n) expected scores from which it starts, each row by itself.
        measured: a figures; may be none.
        normal: (rows, draws, at least a) standard normal numbers, for the values that the figures may take.
    """
    index = list(measured)
    if not index:
        return np.asarray(means.max(axis=1))
    variance = belief.figures[np.ix_(index, index)] + TINY * np.eye(len(index))
    moves = np.linalg.solve(np.linalg.cholesky(variance), belief.cross[:, index].T)
    return np.asarray((means[:, None] + normal[:, :, : len(index)] @ moves).max(axis=2).mean(axis=1))
