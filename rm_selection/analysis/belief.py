"""What is believed of the final scores of all candidates at once, given whatever figures of each are known.

Everything is one normal distribution (see calibration.py), so what is known conditions it exactly, and so does what
might be measured next. Levels that are unknown (of the candidates' scores, of a figure in this study) are shared, so
the first figure of a kind says little and every further one says how bases differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from rm_selection.analysis.calibration import Calibration

Array = NDArray[np.float64]
DRAWS = 1000
TINY = 1e-9  # a variance, points squared
_QUANTILES = [NormalDist().inv_cdf((step + 0.5) / 64) for step in range(64)]


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

    @property
    def sd(self) -> Array:
        """(n,) standard deviations of the final scores, points."""
        return np.asarray(np.sqrt(np.diag(self.cov)))

    def draws(self, rng: np.random.Generator, count: int = DRAWS) -> Array:
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


def gains(belief: Belief) -> Array:
    """(m,) points by which the best expected score is expected to rise once one figure is measured; 0 where known.

    It is the expected drop of regret: the knowledge gradient (Frazier, Powell and Dayanik 2009,
    doi 10.1287/ijoc.1080.0314), its expectation over the figure's value at 64 quantiles of a normal distribution.
    """
    variance = np.diag(belief.figures)
    moves = belief.cross / np.sqrt(np.where(variance > TINY, variance, np.inf))  # (n, m) a standard deviation of it
    after = np.zeros(len(variance))
    for quantile in _QUANTILES:
        after += (belief.mean[:, None] + quantile * moves).max(axis=0)
    return np.asarray(after / len(_QUANTILES) - belief.mean.max())


def gain(belief: Belief, measured: Sequence[int], rng: np.random.Generator) -> float:
    """The same of several figures measured together, by DRAWS draws of their values."""
    index = list(measured)
    variance = belief.figures[np.ix_(index, index)] + TINY * np.eye(len(index))
    moves = np.linalg.solve(np.linalg.cholesky(variance), belief.cross[:, index].T)  # (a, n)
    half = rng.standard_normal((DRAWS // 2, len(index)))
    after = belief.mean + np.vstack([half, -half]) @ moves
    return float(after.max(axis=1).mean() - belief.mean.max())
