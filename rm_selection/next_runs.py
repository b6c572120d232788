"""Which figure to pay for next: the one that lowers the expected regret most per device-hour.

What can be bought of a candidate is a probe, a training up to one of its STOPS (from where it stands) and, once it is
whole, the same with another seed. One probe or one short run alone says little, for nobody knows its level; so several
candidates at once are weighed too: the probe of all that are not probed, and the same stop for the most promising.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rm_selection.analysis.belief import Belief, gain, gains
from rm_selection.analysis.calibration import SCORE, Calibration

Array = NDArray[np.float64]
PROBE = "probe"
STOPS = {"at_25": 0.25, "at_50": 0.5, "at_75": 0.75, SCORE: 1.0}  # shares of the steps of a training
SEEDS = 3  # trainings of one candidate, at most
TOGETHER = (2, 3, 4, 6, 8)  # candidates, the most promising, that are weighed as one purchase


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
    """The same figure of several candidates. hours: what it costs; gain: points of regret it is expected to save."""

    candidates: tuple[int, ...]
    figure: str
    hours: float
    gain: float = 0.0

    @property
    def worth(self) -> float:
        """Points an hour."""
        return self.gain / max(self.hours, 1e-12)


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


def weighed(
    belief: Belief, figures: Sequence[str], known: Array, prices: Prices, rng: np.random.Generator
) -> list[Purchase]:
    """Everything that may be bought, with the regret that it is expected to save.

    Args:
        belief: what is believed now of n candidates.
        figures: the K names of the columns of `known`.
        known: (n, K) figures, NaN where not known.
        prices: of each candidate.
        rng: for the draws behind a gain.
    """
    found, alone = [], gains(belief)
    for each in _purchases(belief, figures, known, prices):
        index = [i * len(figures) + figures.index(each.figure) for i in each.candidates]
        saved = float(alone[index[0]]) if len(index) == 1 else gain(belief, index, rng)
        found.append(replace(each, gain=saved))
    return found


def best(purchases: Sequence[Purchase], hours: float) -> Purchase | None:
    """The purchase that saves most regret an hour among those that `hours` can pay; None where there is none."""
    return max((each for each in purchases if each.hours <= hours), key=lambda each: each.worth, default=None)


def _purchases(belief: Belief, figures: Sequence[str], known: Array, prices: Prices) -> Iterator[Purchase]:
    """All that may be bought, one candidate or several."""
    column = {name: figures.index(name) for name in figures}
    if PROBE in column:
        left = np.flatnonzero(np.isnan(known[:, column[PROBE]])).tolist()
        yield from _together(left, PROBE, prices.probe)
    order = np.argsort(-belief.mean)
    for name in (name for name in figures if name in STOPS or name.startswith(f"{SCORE}_")):
        hours = np.array([_hours(name, known[i], column, prices, i) for i in range(len(known))])
        open_ = [int(i) for i in order if not np.isnan(hours[i])]
        for i in open_:
            yield Purchase((i,), name, float(hours[i]))
        for count in TOGETHER:
            if len(open_) >= count and name in STOPS:
                chosen = tuple(open_[:count])
                yield Purchase(chosen, name, float(hours[list(chosen)].sum()))


def _together(candidates: Sequence[int], figure: str, hours: Array) -> Iterator[Purchase]:
    if len(candidates):
        chosen = tuple(int(i) for i in candidates)
        yield Purchase(chosen, figure, float(hours[list(chosen)].sum()))


def _hours(name: str, known: Array, column: dict[str, int], prices: Prices, i: int) -> float:
    """Of taking candidate i to that stop or seed; NaN where it is there already, or an earlier seed is not whole."""
    if not np.isnan(known[column[name]]):
        return float("nan")
    if name in STOPS:
        there = [one for one in STOPS if one in column and not np.isnan(known[column[one]])]
        reached = max(there, key=STOPS.__getitem__, default=None)
        ahead = reached is None or STOPS[name] > STOPS[reached]
        return prices.step(i, reached, name) if ahead else float("nan")
    before = column[name] - 1
    return float("nan") if np.isnan(known[before]) else prices.step(i, None, SCORE)
