"""Spend device-hours on choosing a base, one purchase after another, until the budget or what it is worth ends.

    plan = Plan(settings)
    choice = spend(plan, buyer, settings.dry_run)       # buyer: of buying.py

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
from rm_selection.standing import refuse_others, standing

Array = NDArray[np.float64]
_NO_RECORD = "its command left no record; what it printed says why"
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
    will not get a probe or a further seed, by name and figure. mended: why one that is tried again is not there yet.
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
    mended: dict[tuple[str, str], str]
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
        # Of purchases that left no record, as in Standing.
        self.failed: dict[str, str] = {}
        self.without: dict[tuple[str, str], str] = {}

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of the K figures."""
        return self.calibration.figures

    def stand(self) -> Choice:
        """How the choice stands by the study's records.

        Raises:
            SelectionError: every candidate failed.
        """
        now = standing(self.settings, self.offer.candidates, self.figures)
        now.known[:, self.figures.index(reference.PUBLIC)] = self.public
        failed, without = self.failed | now.failed, self.without | now.without
        kept = [i for i, one in enumerate(self.offer.candidates) if one.name not in failed]
        if not kept:
            name, reason = next(iter(failed.items()))
            raise SelectionError(f"no candidate is left: all {len(failed)} failed, {name}: {reason}")
        prices = corrected(self.offer.prices, now.took).of(kept)
        known = now.known[kept]
        chosen = [self.offer.candidates[i] for i in kept]
        timed = frozenset([PROBE] * bool(now.took.probed) + [SCORE] * bool(now.took.trained))
        belief = believe(self.calibration, known)
        return Choice(chosen, known, now.hours, belief, prices, timed, failed, without, now.mended)

    def after(self, bought: Bought, error: bool) -> Choice:
        """How it stands after a purchase; who has neither its figure nor a failure to show is not tried for ever.

        Raises:
            SelectionError: it ended with an error and nobody has either, so its settings or its data are at fault.
        """
        choice, column = self.stand(), self.figures.index(bought.figure)
        which = SCORE if bought.figure in STOPS else bought.figure
        there = {one.name: row[column] for one, row in zip(choice.candidates, choice.known, strict=True)}
        lost = [
            name
            for name in bought.names
            if np.isnan(there.get(name, 0.0)) and (name, bought.figure) not in choice.without
        ]
        if error and lost and len(lost) == len(bought.names):
            told = f"{lost[0]}: {choice.mended[lost[0], which]}" if (lost[0], which) in choice.mended else "it says why"
            raise SelectionError(f"the last command failed, {told}; mend that, and the same line goes on")
        why = {name: choice.mended.get((name, which), _NO_RECORD) for name in lost}
        if bought.figure in STOPS:
            self.failed |= why
        else:
            self.without |= {(name, bought.figure): reason for name, reason in why.items()}
        return self.stand() if lost else choice

    def next(self, choice: Choice) -> Purchase | str:
        """The next purchase, or why there is none."""
        places = {one.name: i for i, one in enumerate(choice.candidates)}
        without = {(places[name], figure) for name, figure in choice.without if name in places}
        market = Market(choice.belief, self.figures, choice.known, choice.prices, self.settings.seed, without)
        left, worth = self.settings.budget_gpu_hours - choice.hours, self.settings.worth
        found = market.next(left)
        if found is not None and found.gain >= LEAST and found.worth >= worth:
            return self._timed_first(found, choice)
        least = market.cheapest()
        if least is None:
            return "nothing is left to buy"
        if least.hours > left and choice.hours == 0:
            raise SelectionError(_too_small(self.settings.budget_gpu_hours, least, choice))
        if least.hours > left:
            return f"{amount(max(left, 0.0))} hours are left, and the cheapest purchase takes {amount(least.hours)}"
        saved = found.worth if found is not None else 0.0
        return f"the next hours would save {saved:.2g} points of regret each, less than worth={worth:g}"

    def _timed_first(self, found: Purchase, choice: Choice) -> Purchase:
        """The purchase; of its first candidate alone while the study has timed nothing of the kind, for its price."""
        if found.kind in choice.timed:
            return found
        share = found.hours / len(found.candidates)
        return replace(found, candidates=found.candidates[:1], hours=share)


def spend(plan: Plan, buyer: Buyer, dry_run: bool) -> Choice:
    """Spend the budget.

    A dry run runs nothing and takes every figure to come out as expected, so what it prints is one way it may go.

    Raises:
        SelectionError: the budget pays for nothing, every candidate failed, or a command was refused.
    """
    choice = plan.stand()
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
