"""How far the cheaper figures of a base tell the final score of its reward model: learnt from studies run to the end.

Each figure y of a base (a benchmark average, a probe, the score of a training stopped early) is taken as

    y = offset + slope x final score + error

with an offset of its own in every study and errors that may go together from figure to figure (a base that a probe
overrates may be one that benchmarks overrate). The errors are those on families that the line was not fitted to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rm_selection.analysis.measurement import RERUN_SD

Array = NDArray[np.float64]
SCORE = "score"  # of a training run to the end: slope 1, offset 0, and an error from seed to seed
WIDE = 10.0  # points; what is unknown of a level where no other study tells it
FEW = 3  # studies, below which the spread of their offsets says nothing


@dataclass(frozen=True)
class Calibration:
    """What each of K figures tells; points unless the figure has another unit.

    figures: their names; the last is SCORE. offset, offset_sd, slope: (K,). errors: (K, K), their covariance.
    mean, mean_sd: of a study's final scores. spread: their standard deviation between bases of one study.
    """

    figures: tuple[str, ...]
    offset: Array
    offset_sd: Array
    slope: Array
    errors: Array
    mean: float
    mean_sd: float
    spread: float

    @property
    def seed_sd(self) -> float:
        """Standard deviation of a final score from seed to seed, points."""
        return float(np.sqrt(self.errors[-1, -1]))

    def without(self, figure: str) -> Calibration:
        """The same but for one figure."""
        kept = [k for k, name in enumerate(self.figures) if name != figure]
        arrays = {name: getattr(self, name)[kept] for name in ("offset", "offset_sd", "slope")}
        names = tuple(self.figures[k] for k in kept)
        return replace(self, figures=names, errors=self.errors[np.ix_(kept, kept)], **arrays)


def calibrate(reference: pd.DataFrame, figures: Sequence[str]) -> Calibration:
    """Learn it from studies run to the end.

    Args:
        reference: a row a training: study, model, family, SCORE and `figures`, missing where not known.
        figures: columns cheaper than SCORE.
    """
    names = (*figures, SCORE)
    values, truth, study, family = _arrays(reference, names)
    slope = _slopes(values, truth, study)
    slope[-1] = 1.0
    offsets = np.array([_means(values[study == one], truth[study == one], slope) for one in np.unique(study)])
    errors = _errors(values, truth, study, family)
    per_base = reference.groupby(["study", "model"])[SCORE]
    seed = _seed_variance(reference)
    errors[-1, :] *= _seen_share(per_base.size())
    errors[:-1, -1] = errors[-1, :-1]
    errors[-1, -1] = seed
    means = per_base.mean()
    spread = np.sqrt(max(means.groupby("study").var().mean() - seed / per_base.size().mean(), 1.0))
    (offset, offset_sd), (level, level_sd) = (
        _levels(offsets),
        _levels(means.groupby("study").mean().to_numpy()[:, None]),
    )
    offset[-1] = offset_sd[-1] = 0.0
    return Calibration(
        names, offset, offset_sd, slope, _positive(errors), float(level[0]), float(level_sd[0]), float(spread)
    )


def _levels(of_studies: Array) -> tuple[Array, Array]:
    """Mean (K,) of what (studies, K) show, and the standard deviation with which it foretells another study's."""
    mean = np.nanmean(of_studies, axis=0)
    if len(of_studies) < FEW:
        return mean, np.full(len(mean), WIDE)
    return mean, np.asarray(np.nanstd(of_studies, axis=0, ddof=1) * np.sqrt(1 + 1 / len(of_studies)))


def _arrays(reference: pd.DataFrame, names: Sequence[str]) -> tuple[Array, Array, NDArray[np.int_], NDArray[np.int_]]:
    """(n, K) figures, (n,) final score of the base, mean over seeds, and (n,) codes of study and family."""
    truth = reference.groupby(["study", "model"])[SCORE].transform("mean").to_numpy(float)
    codes = [pd.factorize(reference[name])[0] for name in ("study", "family")]
    return reference[list(names)].to_numpy(float), truth, codes[0], codes[1]


def _centred(values: Array, study: NDArray[np.int_]) -> Array:
    found = values.copy()
    for one in np.unique(study):
        found[study == one] -= np.nanmean(values[study == one], axis=0)
    return found


def _slopes(values: Array, truth: Array, study: NDArray[np.int_]) -> Array:
    """(K,) least squares of each figure on the final score, within studies."""
    slopes = np.empty(values.shape[1])
    for k, column in enumerate(values.T):
        there = ~np.isnan(column)
        y, x = (_centred(one[there][:, None], study[there])[:, 0] for one in (column, truth))
        slopes[k] = float(y @ x) / max(float(x @ x), 1e-12)
    return slopes


def _means(values: Array, truth: Array, slope: Array) -> Array:
    """(K,) offsets in one study; missing where it has no such figure."""
    level = values - truth[:, None] * slope
    there = ~np.isnan(level)
    counts = there.sum(axis=0)
    return np.where(counts > 0, np.where(there, level, 0.0).sum(axis=0) / np.maximum(counts, 1), np.nan)


def _errors(values: Array, truth: Array, study: NDArray[np.int_], family: NDArray[np.int_]) -> Array:
    """(K, K) covariance of what lines fitted to other families, of the same studies, get wrong."""
    found = np.full_like(values, np.nan)
    for one in np.unique(family):
        out = family == one
        slope = _slopes(values[~out], truth[~out], study[~out])
        slope[-1] = 1.0
        for each in np.unique(study[out]):
            rows, others = out & (study == each), ~out & (study == each)
            level = _means(values[others], truth[others], slope)
            found[rows] = values[rows] - truth[rows][:, None] * slope - level
    there = (~np.isnan(found)).astype(float)
    filled = np.nan_to_num(found)
    return np.asarray(filled.T @ filled / np.maximum(there.T @ there, 1.0))


def _seed_variance(reference: pd.DataFrame) -> float:
    """Variance of a final score from seed to seed, points squared, pooled over bases with several."""
    scores = reference.groupby(["study", "model"])[SCORE]
    free = (scores.size() - 1).sum()
    return float((scores.var(ddof=0) * scores.size()).sum() / free) if free else RERUN_SD**2


def _seen_share(counts: pd.Series) -> float:
    """What makes up for measuring a seed's luck from a mean that it is itself part of."""
    mean = counts.mean()
    return float(mean / (mean - 1)) if mean > 1 else 0.0


def _positive(matrix: Array) -> Array:
    """The nearest covariance: pairwise gaps in the data can make one that is none."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((vectors * np.maximum(values, 1e-6)) @ vectors.T)
