"""How differently two bases see the same documents: the Jensen-Shannon distance between their score distributions.

sqrt((KL(p || m) + KL(q || m)) / 2), m = (p + q) / 2, logarithms to base 2 (Lin 1991; Endres and Schindelin 2003): from
0, the same distribution, to 1, no score in common.

Histogram rule: the two samples are pooled and cut at their quantiles into bins of equal mass, (2n)^(1/3) of them for n
pooled scores (Terrell and Scott 1985), rounded up to an even number so that the median is an edge and samples that do
not overlap are at 1. Scores have long tails, and under bins of equal width one garbled document would squeeze all the
others into a few. Only the pair decides the bins, so a third model changes nothing.

The basis is log p a byte: per-token scores of two vocabularies differ even where the bases do not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon

from rm_selection.errors import FitError

Array = NDArray[np.float64]
FEWEST = 20  # documents in common; of fewer, chance alone makes a distance
COLUMNS = ["domain", "first", "second", "distance", "by_chance", "n"]


def bin_edges(first: Sequence[float] | Array, second: Sequence[float] | Array) -> Array:
    """Edges of the common bins, increasing; fewer bins where scores repeat."""
    pooled = np.concatenate([np.asarray(first, dtype=float), np.asarray(second, dtype=float)])
    bins = _bins(len(pooled))
    edges: Array = np.unique(np.quantile(pooled, np.linspace(0, 1, bins + 1)))
    return edges if len(edges) > 1 else np.array([edges[0] - 0.5, edges[0] + 0.5])


def jensen_shannon(first: Sequence[float] | Array, second: Sequence[float] | Array) -> float:
    """Distance of two samples of scores, 0 to 1.

    Raises:
        FitError: a sample is empty or holds a value that is not finite.
    """
    for sample in (first, second):
        values = np.asarray(sample, dtype=float)
        if not len(values) or not np.isfinite(values).all():
            raise FitError(f"a distance needs finite scores on both sides; one side has {_what(values)}")
    edges = bin_edges(first, second)
    return float(jensenshannon(np.histogram(first, edges)[0], np.histogram(second, edges)[0], base=2))


def _bins(pooled: int) -> int:
    return 2 * math.ceil(math.cbrt(2 * pooled) / 2)


def by_chance(n: int) -> float:
    """About the distance of two samples of n scores from one distribution: sqrt((bins - 1) / (4 n ln 2)).

    2 n times the divergence (in nats) of two histograms is, for large n, half a chi-square of bins - 1 degrees.
    """
    return math.sqrt((_bins(2 * n) - 1) / (4 * n * math.log(2)))


def table(scores: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Distances of all pairs of models in every domain, over the documents that both have scored.

    Args:
        scores: by model, a row a document: id, domain, bytes, log_p (the sum, nats), as presence writes them.

    Returns:
        domain, first, second, distance, by_chance (what equal bases would show), n (documents), on log p a byte; pairs
        with fewer than FEWEST documents of a domain in common have no row there.

    Raises:
        FitError: fewer than two models, or no two have documents in common.
    """
    if len(scores) < 2:
        raise FitError(f"distances need two models or more, and {len(scores)} has presence scores; measure another")
    keyed = {
        model: (rows["log_p"] / rows["bytes"]).set_axis(pd.MultiIndex.from_frame(rows[["domain", "id"]]))
        for model, rows in scores.items()
    }
    found = []
    for first, second in combinations(keyed, 2):
        both = pd.concat([keyed[first], keyed[second]], axis=1, join="inner", keys=["first", "second"])
        for domain, rows in both.groupby(level="domain", sort=True):
            if len(rows) >= FEWEST:
                distance = jensen_shannon(rows["first"].to_numpy(), rows["second"].to_numpy())
                found.append((domain, first, second, distance, by_chance(len(rows)), len(rows)))
    if not found:
        raise FitError(f"no two models share {FEWEST} documents of a domain; measure them on the same feature.path")
    return pd.DataFrame(found, columns=COLUMNS)


def _what(values: Array) -> str:
    return "none" if not len(values) else f"{int((~np.isfinite(values)).sum())} that are not"
