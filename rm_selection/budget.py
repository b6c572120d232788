"""Spend device-hours on choosing a base, one purchase after another, until the budget or what it is worth ends.

    plan = Plan(settings)
    choice = spend(plan, plan.stand(), buyer, settings.dry_run)       # buyer: of buying.py

Nothing is remembered between purchases but the study's records, so a killed plan goes on where it stopped, and what is
there is never paid for twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rm_selection import reference
from rm_selection.analysis.belief import Belief, believe
from rm_selection.analysis.calibration import SCORE
from rm_selection.budget_settings import BudgetConfig
from rm_selection.candidates import Candidate, Lineage, candidates
from rm_selection.columns import amount, shortened
from rm_selection.errors import SelectionError
from rm_selection.next_runs import PROBE, STOPS, Market, Prices, Purchase
from rm_selection.prices import corrected, priced
from rm_selection.selection import Constraints
from rm_selection.standing import Failure, Standing, at_work, refuse_others, standing

Array = NDArray[np.float64]
_NO_RECORD = Failure("its command left no record; what it printed says why")
LEAST = 1e-3  # points; what is expected to save less is no reason to train anything


@dataclass(frozen=True)
class Bought:
    """A purchase, its candidates by name, and its commands, word by word.

    hours, gain: as expected before it, device-hours and points of regret.
    """

    figure: str
    names: tuple[str, ...]
    hours: float
    gain: float
    commands: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Choice:
    """How a choice stands. candidates: n that are left. known: (n, K) figures. hours: device-hours spent so far.

    timed: PROBE, SCORE or both: of what the hours are known in this study.
    belief, prices: of the candidates. failed: why, by the name of a candidate that is left no longer. without: why it
    will not get a probe or a further seed, by name and figure.
    purchases: made so far. ended: why no more is bought; empty while more is.
    """

    candidates: list[Candidate]
    known: Array
    hours: float
    belief: Belief
    prices: Prices
    timed: frozenset[str]
    failed: dict[str, str]
    without: dict[tuple[str, str], str]
    purchases: tuple[Bought, ...] = ()
    ended: str = ""


class Buyer(Protocol):
    """Makes purchases: after `run` the study's records hold their figures, or say what failed."""

    def commands(self, bought: Purchase, choice: Choice) -> list[list[str]]:
        """Those of a purchase, word by word."""

    def run(self, commands: Sequence[Sequence[str]]) -> bool:
        """Run them, one after another; whether one ended with an error, such as a setting that is refused."""


class Plan:
    """What does not change while a budget is spent: candidates that fit, what figures tell, and prices.

    Raises:
        SelectionError: no candidate is left, or none fits the device.
        StudyError: the study holds runs of another protocol.
    """

    def __init__(self, settings: BudgetConfig) -> None:
        self.settings = settings
        bounds = Constraints(settings.max_params_b, settings.min_params_b, settings.licence, settings.exclude_family)
        lineage = Lineage(settings.use, settings.policy, settings.same_tokenizer)
        self.offer = priced(settings, candidates(settings.candidates, settings.stage, bounds, lineage))
        refuse_others(settings, self.offer.candidates)
        calibration, public = reference.expected(settings.objective.name)
        self.calibration = calibration if settings.probe else calibration.without(PROBE)
        self.public = np.array([public.get(one.repo, np.nan) for one in self.offer.candidates])
        self.failed: dict[tuple[str, str], Failure] = {}  # what this plan tried in vain, as in Standing

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of the K figures."""
        return self.calibration.figures

    def stand(self) -> Choice:
        """How the choice stands by the study's records.

        Raises:
            SelectionError: every candidate failed.
        """
        return self._choice(self._standing())

    def _standing(self) -> Standing:
        now = standing(self.settings, self.offer.candidates, self.figures)
        now.known[:, self.figures.index(reference.PUBLIC)] = self.public
        return now

    def _choice(self, now: Standing) -> Choice:
        failed = {name: one.reason for (name, figure), one in self.failed.items() if figure == SCORE}
        without = {key: one.reason for key, one in self.failed.items() if key[1] != SCORE}
        kept = [i for i, one in enumerate(self.offer.candidates) if one.name not in failed]
        if not kept:
            name, reason = next(iter(failed.items()))
            raise SelectionError(f"no candidate is left: all {len(failed)} failed, {name}: {reason}")
        prices = corrected(self.offer.prices, now.took).of(kept)
        known = now.known[kept]
        chosen = [self.offer.candidates[i] for i in kept]
        timed = frozenset([PROBE] * bool(now.took.probed) + [SCORE] * bool(now.took.trained))
        return Choice(chosen, known, now.hours, believe(self.calibration, known), prices, timed, failed, without)

    def after(self, bought: Bought, error: bool) -> Choice:
        """How it stands after a purchase. Who has nothing to show for it is not tried again by this plan.

        Raises:
            SelectionError: every candidate failed, another process is at work on one, or nobody has anything to show,
                for a reason that is none of theirs.
        """
        now, column = self._standing(), self.figures.index(bought.figure)
        figure = SCORE if bought.figure in STOPS else bought.figure
        vain: dict[tuple[str, str], Failure] = {}
        for one, known in zip(self.offer.candidates, now.known, strict=True):
            if one.name in bought.names and np.isnan(known[column]):
                if at_work(self.settings, one, figure):
                    raise SelectionError(f"another process works on {one.name}; once it is done, the same line goes on")
                vain[one.name, figure] = now.failed.get((one.name, figure), _NO_RECORD)
        whys = [*vain.values()]
        shared = all(why.of_the_plan for why in whys) or (error and all(why == _NO_RECORD for why in whys))
        if whys and shared and len(whys) == len(bought.names):
            told = "and says why" if whys[0] == _NO_RECORD else f"{bought.names[0]}: {whys[0].reason}"
            raise SelectionError(f"the last command failed, {told}; mend that, and the same line goes on")
        self.failed |= vain
        return self._choice(now)

    def next(self, choice: Choice) -> Purchase | str:
        """The next purchase, or why there is none."""
        places = {one.name: i for i, one in enumerate(choice.candidates)}
        without = {(places[name], figure) for name, figure in choice.without if name in places}
        market = Market(choice.belief, self.figures, choice.known, choice.prices, self.settings.seed, without)
        left = self.settings.budget_gpu_hours - choice.hours
        found = market.next(left)
        if found is not None and found.gain >= LEAST and found.worth >= self.settings.worth:
            return self._timed_first(found, choice)
        return self._untried(choice, left) or self._end(choice, found, market.cheapest(), left)

    def _end(self, choice: Choice, found: Purchase | None, least: Purchase | None, left: float) -> str:
        """Why nothing more is bought. found: what would be best. least: what is cheapest."""
        worth = self.settings.worth
        if len(choice.candidates) == 1:
            return "one candidate is left"
        if least is None:
            return "nothing is left to buy"
        if least.hours > left and choice.hours == 0:
            raise SelectionError(_too_small(self.settings.budget_gpu_hours, least, choice))
        if least.hours > left:
            return f"{amount(max(left, 0.0))} hours are left, and the cheapest purchase takes {amount(least.hours)}"
        if found is None or found.gain < LEAST:
            return f"nothing that is left to buy would save {LEAST:g} points of regret"
        return f"the next hours would save {found.worth:.2g} points of regret each, less than worth={worth:g}"

    def _untried(self, choice: Choice, left: float) -> Purchase | None:
        """After failures: a training of the leader, if none of those left has begun one, for it may fail as well."""
        stops = [name for name in self.figures if name in STOPS]
        begun = ~np.isnan(choice.known[:, [self.figures.index(name) for name in stops]])
        if not choice.failed or begun.any():
            return None
        leader = int(choice.belief.mean.argmax())
        stop = stops[0] if len(choice.candidates) > 1 else SCORE
        bought = Purchase((leader,), stop, choice.prices.step(leader, "", stop))
        return bought if bought.hours <= left else None

    def _timed_first(self, found: Purchase, choice: Choice) -> Purchase:
        """The purchase; of its first candidate alone while the study has timed nothing of the kind, for its price."""
        if found.kind in choice.timed:
            return found
        share = found.hours / len(found.candidates)
        return replace(found, candidates=found.candidates[:1], hours=share)


def spend(plan: Plan, choice: Choice, buyer: Buyer, dry_run: bool) -> Choice:
    """Spend the budget, from how the choice stands.

    A dry run runs nothing and takes every figure to come out as expected, so what it prints is one way it may go.

    Raises:
        SelectionError: the budget pays for nothing, every candidate failed, or a command was refused.
    """
    made: list[Bought] = []
    while not isinstance(found := plan.next(choice), str):
        if dry_run and len(made) == plan.settings.top:
            found = f"so many purchases are shown; top={2 * plan.settings.top} plans further"
            break
        names = tuple(choice.candidates[i].name for i in found.candidates)
        commands = buyer.commands(found, choice)
        made.append(Bought(found.figure, names, found.hours, found.gain, commands))
        choice = _as_expected(plan, choice, found) if dry_run else plan.after(made[-1], buyer.run(commands))
    return replace(choice, purchases=tuple(made), ended=found)


def _as_expected(plan: Plan, choice: Choice, bought: Purchase) -> Choice:
    known, column = choice.known.copy(), plan.figures.index(bought.figure)
    for i in bought.candidates:
        known[i, column] = choice.belief.expected[i * len(plan.figures) + column]
    belief, timed = believe(plan.calibration, known), choice.timed | {bought.kind}
    return replace(choice, known=known, hours=choice.hours + bought.hours, belief=belief, timed=timed)


def _too_small(budget: float, least: Purchase, choice: Choice) -> str:
    names = shortened([choice.candidates[i].name for i in least.candidates], 3)
    return (
        f"budget_gpu_hours={budget:g} pays for nothing; the smallest useful one is {least.hours:.2g}, for "
        f"{least.figure} of {names}"
    )
