"""What to pay for next: the purchase after which the budget is expected to leave the least regret.

What can be bought of a candidate is a probe, a training up to one of its STOPS (from where it stands) and, once it is
whole, the same with another seed. Every purchase is judged two steps ahead: by what the best expected score rises to
once its figures are known and the rest of the budget has gone into whole trainings of whoever leads then. One step
ahead, as the knowledge gradient looks, a short training of one candidate alone is worth nothing, for nobody knows its
level, and what is left of the budget counts for nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from rm_selection.analysis.belief import TINY, Belief, foreseen, rise
from rm_selection.analysis.calibration import SCORE, Calibration

Array = NDArray[np.float64]
PROBE = "probe"
STOPS = {"at_25": 0.25, "at_50": 0.5, "at_75": 0.75, SCORE: 1.0}  # shares of the steps of a training
SEEDS = 3  # trainings of one candidate, at most
TOGETHER = (1, 2, 3, 4, 6, 8)  # candidates, the most promising, that are weighed as one purchase
PARTS = (0.5, 0.25, 0.12, 0.06, 0.03)  # of the hours that are left
NEARLY = 0.9
NEXT_TO_NOTHING = 0.01  # of the hours that are left
LEADERS = 12  # candidates, at most, that the rest of a budget is thought to go to
_GRID = np.linspace(0.0, 6.0, 601)
_LOSS = np.array([NormalDist().pdf(x) - x * NormalDist().cdf(-x) for x in _GRID])  # the unit normal's loss function
OUTER, INNER = 128, 32  # draws of a purchase's figures, and for each of what follows


@dataclass(frozen=True)
class Prices:
    """Device-hours a candidate, (n,) each: of its probe, of a training up to each stop, of scoring what was trained."""

    probe: Array
    training: Mapping[str, Array]
    scoring: Array

    def of(self, kept: Sequence[int]) -> Prices:
        """Those of some candidates."""
        training = {name: hours[kept] for name, hours in self.training.items()}
        return Prices(self.probe[kept], training, self.scoring[kept])

    def step(self, i: int, reached: str, stop: str) -> float:
        """Of taking candidate i from the stop it has reached, "" where none, to another."""
        before = float(self.training[reached][i]) if reached else 0.0
        return float(self.training[stop][i]) - before + float(self.scoring[i])


@dataclass(frozen=True)
class Purchase:
    """The same figure of several candidates.

    hours: what it costs. rest: what is thought to be spent after it. gain: points of regret that both are to save.
    """

    candidates: tuple[int, ...]
    figure: str
    hours: float
    rest: float = 0.0
    gain: float = 0.0

    @property
    def kind(self) -> str:
        """PROBE, or SCORE for a training, whole or in part."""
        return PROBE if self.figure == PROBE else SCORE

    @property
    def worth(self) -> float:
        """Points an hour."""
        return self.gain / max(self.hours + self.rest, 1e-12)


def seeds(calibration: Calibration, count: int = SEEDS) -> Calibration:
    """The calibration with the scores of further seeds as figures of their own: SCORE_2, SCORE_3, ..."""
    more = count - 1
    errors = np.zeros((len(calibration.figures) + more,) * 2)
    errors[:-more, :-more] = calibration.errors
    errors[range(-more, 0), range(-more, 0)] = calibration.errors[-1, -1]
    names = tuple(f"{SCORE}_{seed}" for seed in range(2, count + 1))
    return replace(
        calibration,
        figures=calibration.figures + names,
        offset=np.append(calibration.offset, np.zeros(more)),
        offset_sd=np.append(calibration.offset_sd, np.zeros(more)),
        slope=np.append(calibration.slope, np.ones(more)),
        errors=errors,
    )


@dataclass(frozen=True)
class Foreseen:
    """A purchase whose figures are not known yet: scores expected after each of some draws of them, (draws, n).

    later: the belief then, of the next whole training of each candidate alone. prices: (n,) of those.
    """

    bought: Purchase
    means: Array
    later: Belief
    prices: Array

    @cached_property
    def reach(self) -> Array:
        """(n,) points by which its next training is likely to move a candidate's expected score."""
        places = np.arange(len(self.prices))
        variance = np.diag(self.later.figures)[places]
        return np.asarray(self.later.cross[places, places] / np.sqrt(np.maximum(variance, TINY)))

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """(draws, n) candidates, first those whose next training may change who leads, an hour.

        By expected scores alone the rest would go into further seeds of the leader, and never find out who is better.
        """
        return np.argsort(-_changes(self.means, self.reach) / np.maximum(self.prices, TINY), axis=1, kind="stable")


class Market:
    """What may be bought of n candidates.

    Args:
        belief: of the candidates.
        figures: names of the K columns of known.
        known: (n, K), NaN where not known.
        prices: of each candidate.
        seed: of the draws.
        without: candidates and their figures that cannot be bought, a probe or a further seed.
    """

    def __init__(
        self,
        belief: Belief,
        figures: Sequence[str],
        known: Array,
        prices: Prices,
        seed: int = 0,
        without: Collection[tuple[int, str]] = (),
    ) -> None:
        self.without = set(without)
        self.belief, self.figures, self.prices = belief, tuple(figures), prices
        self.there = [{name for name, value in zip(figures, row, strict=True) if not np.isnan(value)} for row in known]
        self.order = np.argsort(-belief.mean, kind="stable").tolist()
        self.whole = [self._whole(i) for i in range(len(self.there))]  # the figure of its next training
        self.columns = [i * len(self.figures) + self.figures.index(name or SCORE) for i, name in enumerate(self.whole)]
        rng, width = np.random.default_rng(seed), len(known)
        self.outer, self.inner = _antithetic(rng, OUTER, width), _antithetic(rng, INNER, OUTER, LEADERS).swapaxes(0, 1)
        now = np.array([self._price(i) for i in range(width)])
        means = np.tile(belief.mean, (OUTER, 1))
        self.nothing = Foreseen(Purchase((), SCORE, 0.0), means, belief.of(self.columns), now)
        self.offers = [self._foreseen(each) for each in self._purchases()]

    def next(self, hours: float) -> Purchase | None:
        """The purchase to make with so many hours left; None where they pay for none.

        Probes that cost next to nothing come first. Else it is the one for the smallest part of the hours that is
        expected to save nearly what all of them would: with more than enough to spend, what is cheap still comes first.
        """
        found = self.best(hours)
        if found is not None and (probe := self._nearly_free(found, hours)) is not None:
            return probe
        enough = NEARLY * found.gain if found is not None else 0.0
        for part in PARTS:
            fewer = self.best(hours * part) if found is not None else None
            if fewer is None or fewer.gain < enough:
                break
            found = fewer
        return found

    def _nearly_free(self, found: Purchase, hours: float) -> Purchase | None:
        """The probes, where they cost next to nothing and forgo next to nothing of what is expected to be saved."""
        for each in self.offers:
            if each.bought.figure == PROBE and each.bought.hours <= NEXT_TO_NOTHING * hours:
                gain, rest = self._saved(each, hours - each.bought.hours)
                if gain >= NEARLY * found.gain:
                    return replace(each.bought, rest=rest, gain=gain)
        return None

    def best(self, hours: float) -> Purchase | None:
        """The purchase that, with what follows it, is expected to save most regret; None where `hours` pay for none."""
        found = self._first(hours)
        for each in self.offers:
            if each.bought.hours <= hours:
                gain, rest = self._saved(each, hours - each.bought.hours)
                # Of equal ones the whole training comes first, for it ends with a reward model that can be used.
                if found is None or gain > found.gain * 1.01 + 1e-4:
                    found = replace(each.bought, rest=rest, gain=gain)
        return found

    def cheapest(self) -> Purchase | None:
        """The purchase that costs least; None where nothing is left to buy."""
        singles = [Purchase((i,), name, self._price(i)) for i, name in enumerate(self.whole) if name]
        return min([*singles, *(each.bought for each in self.offers)], key=lambda each: each.hours, default=None)

    def _first(self, hours: float) -> Purchase | None:
        """The first of the whole trainings that follow, where nothing else is bought before them."""
        paid = [i for i in self.nothing.order[0].tolist() if self.nothing.prices[i] <= hours]
        if not paid:
            return None
        gain, rest = self._saved(self.nothing, hours)
        price = float(self.nothing.prices[paid[0]])
        return Purchase((paid[0],), self.whole[paid[0]], price, rest - price, gain)

    def _foreseen(self, bought: Purchase) -> Foreseen:
        index = [i * len(self.figures) + self.figures.index(bought.figure) for i in bought.candidates]
        moves, later = foreseen(
            self.belief.of([*self.columns, *index]), range(len(self.columns), len(self.columns) + len(index))
        )
        prices = self.nothing.prices.copy()
        for i in bought.candidates if bought.figure in STOPS else ():
            prices[i] = self.prices.step(i, bought.figure, SCORE)
        return Foreseen(bought, self.belief.mean + self.outer[:, : len(index)] @ moves, later, prices)

    def _saved(self, each: Foreseen, hours: float) -> tuple[float, float]:
        """Points that are expected to be saved once the rest is spent on who leads then, and what is spent of it."""
        alike: dict[bytes, list[int]] = {}  # draws by who leads in them, for these are worked out together
        leaders = _leaders(each, hours)
        for draw, row in enumerate(leaders):
            alike.setdefault(row.tobytes(), []).append(draw)
        total, rest = 0.0, 0.0
        for draws in alike.values():
            chosen = np.flatnonzero(leaders[draws[0]]).tolist()
            total += float(rise(each.later, each.means[draws], chosen, self.inner[draws]).sum())
            rest = max(rest, float(each.prices[chosen].sum()))
        return total / len(each.means) - float(self.belief.mean.max()), rest

    def _purchases(self) -> Iterator[Purchase]:
        """The probe of all that are not probed, and each stop of the most promising."""
        if PROBE in self.figures:
            left = [i for i, there in enumerate(self.there) if PROBE not in there and (i, PROBE) not in self.without]
            if left:
                yield Purchase(tuple(left), PROBE, float(self.prices.probe[left].sum()))
        for stop in (name for name in self.figures if name in STOPS and name != SCORE):
            ahead = [i for i in self.order if STOPS.get(self._reached(i), 0.0) < STOPS[stop]]
            for count in (count for count in TOGETHER if count <= len(ahead)):
                hours = sum(self.prices.step(i, self._reached(i), stop) for i in ahead[:count])
                yield Purchase(tuple(ahead[:count]), stop, hours)

    def _whole(self, i: int) -> str:
        """The next figure that takes a whole training of candidate i; "" where there is none."""
        there = self.there[i]
        scores = (name for name in self.figures if name.partition("_")[0] == SCORE and name not in there)
        found = next(scores, "")
        return "" if (i, found) in self.without else found

    def _price(self, i: int) -> float:
        """Of candidate i's next whole training; infinite where there is none."""
        if not self.whole[i]:
            return float("inf")
        return self.prices.step(i, self._reached(i) if self.whole[i] == SCORE else "", SCORE)

    def _reached(self, i: int) -> str:
        return max((name for name in self.there[i] if name in STOPS), key=STOPS.__getitem__, default="")


def _leaders(each: Foreseen, hours: float) -> NDArray[np.bool_]:
    """(draws, n) whether a candidate is among those that the rest of the budget goes to."""
    draws = np.arange(len(each.means))
    chosen, left = np.zeros(each.means.shape, dtype=bool), np.full(len(draws), float(hours))
    least = each.prices.min()
    for column in each.order.T:
        if left.max() < least:
            break
        price = each.prices[column]
        taken = (price <= left) & (chosen.sum(axis=1) < LEADERS)
        chosen[draws, column] = taken
        left -= np.where(taken, price, 0.0)
    return chosen


def _changes(means: Array, reach: Array) -> Array:
    """(draws, n) points by which the best expected score rises once that of one moves by `reach` times a normal number.

    s (phi(x) - x Phi(-x)) with x = |distance from the best other| / s.
    """
    ranked = np.sort(means, axis=1)
    first, second = ranked[:, -1:], ranked[:, -2:][:, :1]
    apart = np.abs(means - np.where(means == first, second, first))
    spread = np.maximum(np.abs(reach), TINY)
    return np.asarray(spread * np.interp(apart / spread, _GRID, _LOSS, right=0.0))


def _antithetic(rng: np.random.Generator, draws: int, *shape: int) -> Array:
    """(draws, ...) standard normal numbers, each with its opposite."""
    half = rng.standard_normal((draws // 2, *shape))
    return np.concatenate([half, -half])
