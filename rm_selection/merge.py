"""The merge vector: weights that turn several ratings into one reward, found by trying every vector of a grid.

The study's grid has 21^5 = 4,084,101 vectors (arXiv 2505.10775): 0, 0.05, ..., 1 for four attributes and 0, -0.05, ...,
-1 for verbosity. A pair's reward difference is linear in the weights, so along one axis of the grid it changes sign
once: where it does, counted over all pairs, gives the accuracy at every level of that axis at once.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rm_selection.errors import ConfigError, FitError

MAX_VECTORS = 20_000_000  # 160 MB of counts, and 5 seconds for 1,000 pairs
MAX_RESOLUTION = 10_000  # least common multiple of the steps: weights stay multiples of a not too fine unit
BLOCK = 160_000  # numbers computed at a time: three arrays of them stay in a core's cache

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Axis:
    """An attribute and the weights it may get: sign * (0, 1/steps, 2/steps, ..., 1)."""

    attribute: str
    sign: int = 1
    steps: int = 20


STUDY = (*map(Axis, ("helpfulness", "correctness", "coherence", "complexity")), Axis("verbosity", sign=-1))


@dataclass(frozen=True)
class Merge:
    """The best vector of a grid and what it does on the validation pairs.

    Attributes:
        attributes: what the weights belong to, in the order of the model's outputs.
        vector: one weight an attribute.
        accuracy: share of the pairs whose chosen side gets the higher reward, 0-1, a tie counted half.
        ties: pairs whose sides get the same reward.
        n: pairs.
        equals: how many vectors of the grid have this accuracy and number of ties.
    """

    attributes: tuple[str, ...]
    vector: tuple[float, ...]
    accuracy: float
    ties: int
    n: int
    equals: int


def grid_for(attributes: Sequence[str], negative: Collection[str] = ("verbosity",)) -> tuple[Axis, ...]:
    """The study's grid over any attributes, as fine as `MAX_VECTORS` allows; `negative` ones get weights from -1 to 0.

    Raises:
        ConfigError: even weights of 0 and 1 alone are too many vectors.
    """
    for steps in (20, 10, 5, 4, 2, 1):
        if (steps + 1) ** len(attributes) <= MAX_VECTORS:
            return tuple(Axis(name, -1 if name in negative else 1, steps) for name in attributes)
    raise ConfigError(f"{len(attributes)} attributes have too many merge vectors to search; name at most 24")


def search(chosen: ArrayLike, rejected: ArrayLike, grid: Sequence[Axis] = STUDY) -> Merge:
    """The vector of the grid whose merged reward gets most pairs right.

    Of the vectors with the highest accuracy those with the fewest ties are kept; of these the one nearest to their
    centroid wins, for the middle of the best region depends least on the pairs at hand; of equally near ones the first
    in the order of the grid (0 before 0.05, the first attribute counted first).

    The search is exact. Differences are integers, each pair in its own unit, and so are the weights, so that every sum
    and every tie is computed without rounding. The unit is 2^-43 of the pair's largest difference for the study's
    grid: outputs in float32 or coarser that are not a hundred thousand times smaller are represented fully.

    Args:
        chosen: the model's outputs for the chosen sides, (n, attributes).
        rejected: those for the rejected sides, (n, attributes).
        grid: the weights to try, one axis an output.

    Raises:
        FitError: no pairs; shapes that do not fit each other or the grid; outputs that are NaN or infinite.
        ConfigError: the grid is empty, too large, or an axis has no such sign or steps.
    """
    scale = _check_grid(grid)
    differences = _differences(chosen, rejected, len(grid))
    last = max(range(len(grid)), key=lambda place: grid[place].steps)  # the longest axis is the one got for free
    order = [place for place in range(len(grid)) if place != last] + [last]
    factors = np.array([axis.sign * (scale // axis.steps) for axis in grid], dtype=float)
    exact = _integers(differences, scale) * factors
    shape = tuple(grid[place].steps + 1 for place in order)
    doubled, ties = _count(exact[:, order], shape)

    best = doubled == doubled.max()
    best &= ties == ties[best].min()
    doubled, ties = (np.moveaxis(table.reshape(shape), -1, last) for table in (doubled, ties))
    place = _most_central(np.moveaxis(best.reshape(shape), -1, last), [scale // axis.steps for axis in grid])
    n = len(differences)
    return Merge(
        attributes=tuple(axis.attribute for axis in grid),
        vector=tuple(axis.sign * k / axis.steps if k else 0.0 for axis, k in zip(grid, place, strict=True)),
        accuracy=int(doubled[place]) / (2 * n),
        ties=int(ties[place]),
        n=n,
        equals=int(best.sum()),
    )


def _check_grid(grid: Sequence[Axis]) -> int:
    """The least common multiple of the steps: every weight is a multiple of one over it."""
    if not grid:
        raise ConfigError("the merge grid is empty; give it one axis for each output of the model")
    for axis in grid:
        if axis.sign not in (1, -1) or axis.steps < 1:
            given = f"sign {axis.sign} and {axis.steps} steps"
            raise ConfigError(f"the merge grid's axis {axis.attribute} has {given}; the sign is 1 or -1, steps from 1")
    vectors = math.prod(axis.steps + 1 for axis in grid)
    if vectors > MAX_VECTORS:
        size = f"{vectors:,} vectors, more than {MAX_VECTORS:,}"
        raise ConfigError(f"the merge grid has {size}; take fewer steps or attributes")
    scale = math.lcm(*(axis.steps for axis in grid))
    if scale > MAX_RESOLUTION:
        raise ConfigError(f"the merge grid's steps have no common multiple up to {MAX_RESOLUTION:,}; make them equal")
    return scale


def _differences(chosen: ArrayLike, rejected: ArrayLike, attributes: int) -> Floats:
    first, second = np.asarray(chosen, dtype=float), np.asarray(rejected, dtype=float)
    if first.shape != second.shape or first.ndim != 2 or first.shape[1] != attributes:
        shapes = f"{first.shape} and {second.shape}"
        raise FitError(f"outputs for chosen and rejected must both be (pairs, {attributes}), got {shapes}")
    if not len(first):
        raise FitError("the merge search needs at least one validation pair, got none")
    with np.errstate(invalid="ignore", over="ignore"):
        differences: Floats = first - second
    broken = np.flatnonzero(~np.isfinite(differences).all(axis=1))
    if broken.size:
        raise FitError(
            f"the model's outputs for {broken.size} of {len(first)} validation pairs are NaN or infinite, the first in "
            f"row {broken[0]}; the model has diverged, so train it with lower objective.rates"
        )
    return differences


def _integers(differences: Floats, scale: int) -> Floats:
    """Each row times a power of two and rounded: sums over the grid stay under 2^50, exact in float64.

    Below 2^50 a quotient that is no integer also stays apart from every integer when it is rounded to float64.
    """
    bits = 50 - math.ceil(math.log2(scale * differences.shape[1]))
    _, exponents = np.frexp(np.abs(differences).max(axis=1, keepdims=True))
    return np.asarray(np.rint(np.ldexp(differences, bits - exponents)))


def _count(differences: Floats, shape: tuple[int, ...]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """At each vector of the grid twice the pairs won plus the ties, and the ties.

    Args:
        differences: integers, (n, attributes): what one step of each weight adds to a pair's reward difference.
        shape: levels of each weight; the last is the axis along which signs change once.

    Returns:
        two tables, (vectors of all weights but the last, levels of the last).
    """
    slope = differences[:, -1]
    flat = differences[slope == 0, :-1]
    rows = max(1, BLOCK // len(differences))
    crossings = _Crossings(differences[slope > 0], differences[slope < 0], shape[-1], rows)
    sizes = np.array(shape[:-1], dtype=np.int64)
    vectors = int(sizes.prod())
    strides = vectors // sizes.cumprod()
    doubled = np.empty((vectors, shape[-1]), dtype=np.int32)
    ties = np.empty_like(doubled)
    for start in range(0, vectors, rows):
        block = slice(start, min(start + rows, vectors))
        weights = (np.arange(block.start, block.stop)[:, None] // strides % sizes).astype(float)
        doubled[block], ties[block] = crossings.count(weights)
        rest = weights @ flat.T  # these do not depend on the last weight
        doubled[block] += (len(flat) + np.sign(rest).sum(axis=1, keepdims=True)).astype(np.int32)
        ties[block] += np.count_nonzero(rest == 0, axis=1).astype(np.int32)[:, None]
    return doubled, ties


class _Crossings:
    """Where along the last axis each pair's reward difference changes sign, tallied over pairs.

    With base + slope * k as difference at level k, the crossing is x = -base / slope: a rising pair (slope > 0) is won
    at k > x, a falling one at k < x, either is tied at k = x. How many levels k <= x there are tells all but the ties.

    `rising` and `falling` are differences, (pairs, attributes), slopes last; `rows` is the most that `count` is given.
    """

    def __init__(self, rising: Floats, falling: Floats, levels: int, rows: int) -> None:
        both = np.concatenate([rising, falling])
        self.differences, self.divisors = both[:, :-1], -both[:, -1]
        self.falling, self.levels, self.bins = len(falling), levels, levels + 1
        in_second_half = np.arange(len(both)) >= len(rising)  # of a row's bins: falling pairs
        # The first bin is of crossings before level 0.
        self.offsets = 2 * self.bins * np.arange(rows)[:, None] + np.where(in_second_half, self.bins, 0) + 1
        # Written anew by each count: memory asked of the system each time would more than double a first search.
        self.crossing, self.first = np.empty((2, rows, len(both)))
        self.tied, self.place = np.empty((rows, len(both)), dtype=bool), np.empty((rows, len(both)), dtype=np.int64)

    def count(self, weights: Floats) -> tuple[Integers, Integers]:
        """Twice the pairs won plus the ties, and the ties: (rows, levels) each, for weights (rows, attributes - 1)."""
        rows = len(weights)
        crossing, first, tied, place = self.crossing[:rows], self.first[:rows], self.tied[:rows], self.place[:rows]
        np.matmul(weights, self.differences.T, out=crossing)
        crossing /= self.divisors
        np.clip(crossing, -0.5, self.levels - 0.5, out=crossing)  # off the grid: no integer, hence no tie
        np.floor(crossing, out=first)
        np.equal(first, crossing, out=tied)
        np.copyto(place, first, casting="unsafe")
        place += self.offsets[:rows]

        rising, falling = self._tally(place.ravel(), rows).cumsum(axis=2)[:, :, : self.levels].swapaxes(0, 1)
        doubled, ties = 2 * (rising + self.falling - falling), np.zeros_like(rising)
        if tied.any():
            rising, falling = self._tally(place[tied], rows)[:, :, 1:].swapaxes(0, 1)
            doubled += rising - falling  # counted as lost and as won so far
            ties += rising + falling
        return doubled, ties

    def _tally(self, places: Integers, rows: int) -> Integers:
        """How many rising and falling pairs are in each bin of each row: (rows, 2, bins)."""
        return np.bincount(places, minlength=2 * self.bins * rows).reshape(rows, 2, self.bins)


def _most_central(best: NDArray[np.bool_], units: Sequence[int]) -> tuple[int, ...]:
    """The place of the true cell of `best` nearest to the centroid of all true cells, the first of equally near ones.

    |k - total / count|^2 is compared through count |k|^2 - 2 k total, in integers; `units` make the axes commensurable.
    """
    count = int(best.sum())
    distance = np.zeros(best.shape, dtype=np.int64)
    for axis, unit in enumerate(units):
        k = unit * np.arange(best.shape[axis], dtype=np.int64)
        others = tuple(other for other in range(best.ndim) if other != axis)
        total = int(k @ best.sum(axis=others))
        distance += np.expand_dims(count * k * k - 2 * k * total, others)
    distance[~best] = np.iinfo(np.int64).max
    return tuple(int(k) for k in np.unravel_index(distance.argmin(), best.shape))
