"""Intervals of what is measured on rows: prompts are drawn, since rows of one prompt rise and fall together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from rm_selection.analysis.resampling import LEVEL, family_weights, percentile_interval

RESAMPLES = 1000
BLOCKS = 20

Array = NDArray[np.floating[Any]]


def shares(
    right: Mapping[str, Array], prompts: Sequence[str], seed: int, against: Sequence[str] = ()
) -> dict[str, dict[str, float]]:
    """100 x the mean of each column, with the 90% percentile interval of a bootstrap of prompts.

    All columns are drawn together, so that differences between them are paired.

    Args:
        right: (n,) columns of 0, 1/2 and 1.
        prompts: of the n rows.
        seed: of the draws.
        against: columns to take from the first one.

    Returns:
        For each column value, low and high; for the first also minus_<other>, minus_<other>_low and _high.
    """
    names = list(right)
    groups = np.unique(np.asarray(prompts), return_inverse=True)[1]
    count = int(groups.max()) + 1
    sums = np.stack([np.bincount(groups, right[name], count) for name in names], axis=1)
    weights = family_weights([str(group) for group in range(count)], RESAMPLES, seed)
    drawn = 100 * (weights @ sums) / (weights @ np.bincount(groups, minlength=count))[:, None]
    values = 100 * sums.sum(axis=0) / len(groups)
    found = {name: _told("", values[i], drawn[:, i]) for i, name in enumerate(names)}
    for name in against:
        i = names.index(name)
        found[names[0]] |= _told(f"minus_{name}", values[0] - values[i], drawn[:, 0] - drawn[:, i])
    return found


def _told(name: str, value: float, drawn: Array) -> dict[str, float]:
    low, high = percentile_interval(drawn.astype(np.float64))
    lead = f"{name}_" if name else ""
    return {name or "value": float(value), f"{lead}low": low, f"{lead}high": high}


def jackknife(statistic: Callable[[Any], float], rows: Array, prompts: Sequence[str], seed: int) -> dict[str, float]:
    """A statistic of rows with the 90% interval of a jackknife that leaves out blocks of prompts.

    For statistics that a bootstrap's repeated rows raise (Shao and Tu 1995, section 2.3); Student's t over blocks.
    """
    groups = np.unique(np.asarray(prompts), return_inverse=True)[1]
    count = int(groups.max()) + 1
    blocks = min(BLOCKS, count)
    block = np.random.default_rng(seed).permutation(count)[groups] % blocks
    value = statistic(rows)
    without = np.array([statistic(rows[block != one]) for one in range(blocks)])
    error = np.sqrt((blocks - 1) * np.mean((without - without.mean()) ** 2))
    half = float(student.ppf((1 + LEVEL) / 2, blocks - 1) * error)
    return {"value": value, "low": value - half, "high": value + half}
