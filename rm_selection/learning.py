"""Train one reward model at several learning rates and keep the best: the study's search, or a climb.

Scores rise with the logarithm of the rate to one peak and fall beyond it. The climb starts at the middle rate, compares
it with its two neighbours at three eighths of the steps, and moves to a neighbour while one is better. Early on rates
above the best lead, so that is not the end of it: the peak and its neighbours go on to five eighths, and the better two
of them to the end. About three whole trainings, however many the rates. What goes on does so from its own last
checkpoint and ends as it would have alone. How the shares were chosen: experiments/search.

Every rate has a folder of its own, so that a killed search goes on where it stopped; the losers' scores are kept. A
rate at which the loss becomes no number loses to all that came further, and is not tried again by the same search.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rm_selection import distributed
from rm_selection.merge import grid_for, search
from rm_selection.preferences import Pair
from rm_selection.protocol import SHARES, OnLog, Protocol
from rm_selection.reward_model import RewardModel
from rm_selection.scoring import score
from rm_selection.training_state import LOG
from rm_selection.trials import Data, Trials


@dataclass(frozen=True)
class Search:
    """Learning rates of full training, and a name of SHARES: grid, or climb. until: share of the steps to train."""

    rates: Sequence[float]
    kind: str = "grid"
    until: float = 1.0

    @property
    def shares(self) -> tuple[float, ...]:
        """Of the steps, at which rates are compared, up to the end or as far as is wanted."""
        return (*(share for share in SHARES[self.kind] if share < self.until), self.until)


def learn(
    load: Callable[[], RewardModel],
    data: Data,
    protocol: Protocol,
    search: Search,
    folder: Path,
    on_log: OnLog,
    resume: bool,
) -> tuple[RewardModel, dict[str, Any]]:
    """The best model over the rates of `search`, and what the record says of the training.

    Args:
        load: a fresh model, the same each time.
        data: what it learns from.
        protocol: all but the rate.
        search: the rates, and when they are compared. Of equally good ones the first wins, in a climb the middle one.
        folder: where the training keeps its state; only the log of the best is left, as <folder>/log.jsonl.
        on_log: hears every line of the log, with its rate.
        resume: go on with what is there.

    Raises:
        NonFiniteLossError: at every rate that was tried the loss became no number.
        TrainingError: memory ran out.
    """
    trials = Trials(load, data, protocol, folder, on_log, resume)
    best = _best(trials, search)
    rm, told = trials.model(best, search.until), trials.told[best] | {"trials": list(trials.told.values())}
    if data.pairs:
        rm, merged = _merged(rm, data.pairs, protocol.tokens_per_batch)
        told |= merged
    if distributed.first():
        shutil.copy2(trials.logs[best], folder.parent / LOG)
    return rm, told


def _best(trials: Trials, search: Search) -> float:
    """The best rate; where the one a climb ended at diverged, of the others.

    Raises:
        NonFiniteLossError: all of them diverged.
    """
    rates = list(search.rates)
    while rates:
        if search.kind == "climb":
            best = climb(trials.ranked, rates, search.shares)
        else:
            best = trials.ranked(rates, search.until)[0]
        if not trials.lost(best, search.until):
            return best
        rates = [rate for rate in rates if not trials.lost(rate, search.until)]
    raise trials.all_lost()


def climb(
    ranked: Callable[[Sequence[float], float], list[float]], rates: Sequence[float], shares: Sequence[float]
) -> float:
    """The best of the rates near the peak.

    Args:
        ranked: trains some rates to a share of the steps, and gives them back with the best first.
        rates: one or more, in any order.
        shares: of the steps, where rates are compared, ascending: at the first it climbs, at the second it
            drops the worst of the three near the peak, and the last one is the end.
    """
    order, (first, *later) = sorted(set(rates)), shares
    at, best = -1, len(order) // 2
    while best != at:
        at = best
        near = ranked([order[at], *order[max(at - 1, 0) : at], *order[at + 1 : at + 2]], first)
        best = order.index(near[0])
    for share in later:
        near = ranked(near, share)[:2]
    return near[0]


def _merged(rm: RewardModel, pairs: Sequence[Pair], tokens_per_batch: int) -> tuple[RewardModel, dict[str, Any]]:
    values = score(rm, [side for pair in pairs for side in pair.conversations], tokens_per_batch).values
    found = search(values[0::2], values[1::2], grid_for(rm.outputs))
    told = {"accuracy": found.accuracy, "ties": found.ties, "n": found.n, "equals": found.equals}
    vector = dict(zip(found.attributes, found.vector, strict=True))
    return replace(rm, weights=found.vector), {"merge_vector": vector, "merge": told}
