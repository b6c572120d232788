"""What to pay for next: the purchase after which the budget is expected to leave the least regret.

What can be bought of a candidate is a probe, a training up to one of its STOPS (from where it stands) and, once it is
whole, the same with another seed. Every purchase is judged two steps ahead: by what the best expected score rises to
once its figures are known and the rest of the budget has gone into whole trainings of whoever leads then. One step
ahead, as the knowledge gradient looks, a short training of one candidate alone is worth nothing, for nobody knows its
level, and what is left of the budget counts for nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rm_selection.analysis.belief import Belief, foreseen, rise
from rm_selection.analysis.calibration import SCORE, Calibration

Array = NDArray[np.float64]
PROBE = "probe"
STOPS = {"at_25": 0.25, "at_50": 0.5, "at_75": 0.75, SCORE: 1.0}  # shares of the steps of a training
SEEDS = 3  # trainings of one candidate, at most
TOGETHER = (1, 2, 3, 4, 6, 8)  # candidates, the most promising, that are weighed as one purchase
LEADERS = 12  # candidates, at most, that the rest of a budget is thought to go to
DRAWS = 64  # of a purchase's figures, and for each as many of what follows


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

    def step(self, i: int, reached: str | None, stop: str) -> float:
        """Of taking candidate i from the stop it has reached, or from nothing, to another."""
        before = 0.0 if reached is None else float(self.training[reached][i])
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
class Market:
    """What may be bought: n candidates, K figures.

    belief: of the candidates. figures: names of the columns of known, (n, K), NaN where not known. prices: of each.
    """

    belief: Belief
    figures: tuple[str, ...]
    known: Array
    prices: Prices

    def best(self, hours: float, seed: int = 0) -> Purchase | None:
        """The purchase that, with what follows it, is expected to save most regret; None where `hours` pay for none."""
        rng = np.random.default_rng(seed)
        normal = _antithetic(rng, max(len(self.known), LEADERS))
        leaders, prices = self._leaders(self.belief.mean, (), hours)
        found = self._first(leaders, prices, normal)
        for each in self._purchases():
            if each.hours <= hours:
                weighed = self._weighed(each, hours, normal)
                # Of equal ones the whole training comes first, for it ends with a reward model that can be used.
                if found is None or weighed.gain > found.gain * 1.01 + 1e-4:
                    found = weighed
        return found

    def cheapest(self) -> Purchase | None:
        """The purchase that costs least; None where nothing is left to buy."""
        whole = [self._whole(i, ()) for i in range(len(self.known))]
        singles = [Purchase((i,), name, hours) for i, (name, hours) in enumerate(whole) if name]
        return min([*singles, *self._purchases()], key=lambda each: each.hours, default=None)

    def _first(self, leaders: list[int], prices: list[float], normal: Array) -> Purchase | None:
        """The first of the whole trainings that follow, where nothing else is bought before them."""
        if not leaders:
            return None
        i, k = divmod(leaders[0], len(self.figures))
        saved = rise(self.belief, self.belief.mean[None], leaders, normal) - float(self.belief.mean.max())
        return Purchase((i,), self.figures[k], prices[0], sum(prices[1:]), saved)

    def _weighed(self, bought: Purchase, hours: float, normal: Array) -> Purchase:
        """The purchase with what it saves: the figures are drawn, and the rest is spent on who leads then."""
        index = [i * len(self.figures) + self.figures.index(bought.figure) for i in bought.candidates]
        moves, later = foreseen(self.belief, index)
        means = self.belief.mean + normal[:, : len(index)] @ moves
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        rest = 0.0
        for draw, mean in enumerate(means):
            leaders, prices = self._leaders(
                mean, bought.candidates if bought.figure in STOPS else (), hours - bought.hours, bought.figure
            )
            groups[tuple(leaders)].append(draw)
            rest = max(rest, sum(prices))
        total = sum(rise(later, means[draws], list(leaders), normal) * len(draws) for leaders, draws in groups.items())
        return replace(bought, rest=rest, gain=total / len(means) - float(self.belief.mean.max()))

    def _leaders(
        self, mean: Array, taken: Sequence[int], hours: float, stop: str = SCORE
    ) -> tuple[list[int], list[float]]:
        """Places of the figures that the rest of the budget goes to, from the top of `mean`, and their prices."""
        places: list[int] = []
        prices: list[float] = []
        for i in np.argsort(-mean, kind="stable").tolist():
            name, price = self._whole(i, (stop,) if i in taken else ())
            if name and price <= hours and len(places) < LEADERS:
                places.append(i * len(self.figures) + self.figures.index(name))
                prices.append(price)
                hours -= price
        return places, prices

    def _whole(self, i: int, besides: Sequence[str]) -> tuple[str, float]:
        """The next figure of candidate i that takes a whole training, and its price; "" where there is none."""
        there = self._there(i) | set(besides)
        for name in self.figures:
            if name.partition("_")[0] == SCORE and name not in there:
                reached = self._reached(there) if name == SCORE else None
                return name, self.prices.step(i, reached, SCORE)
        return "", 0.0

    def _purchases(self) -> Iterator[Purchase]:
        """The probe of all that are not probed, and each stop of the most promising."""
        if PROBE in self.figures:
            left = [i for i in range(len(self.known)) if PROBE not in self._there(i)]
            if left:
                yield Purchase(tuple(left), PROBE, float(self.prices.probe[left].sum()))
        order = np.argsort(-self.belief.mean, kind="stable").tolist()
        for stop in (name for name in self.figures if name in STOPS and name != SCORE):
            ahead = [i for i in order if self._ahead(i, stop)]
            for count in (count for count in TOGETHER if count <= len(ahead)):
                hours = sum(self.prices.step(i, self._reached(self._there(i)), stop) for i in ahead[:count])
                yield Purchase(tuple(ahead[:count]), stop, hours)

    def _ahead(self, i: int, stop: str) -> bool:
        reached = self._reached(self._there(i))
        return reached is None or STOPS[reached] < STOPS[stop]

    def _there(self, i: int) -> set[str]:
        return {name for name, value in zip(self.figures, self.known[i], strict=True) if not np.isnan(value)}

    @staticmethod
    def _reached(there: set[str]) -> str | None:
        return max((name for name in there if name in STOPS), key=STOPS.__getitem__, default=None)


def _antithetic(rng: np.random.Generator, width: int) -> Array:
    """(DRAWS, width) standard normal numbers, each with its opposite."""
    half = rng.standard_normal((DRAWS // 2, width))
    return np.vstack([half, -half])
