"""Train one reward model at several learning rates and keep the best: the study's search, or a climb.

Scores rise with the logarithm of the rate to one peak and fall beyond it. The climb starts at the middle rate, compares
it with its two neighbours at three eighths of the steps, and moves to a neighbour while one is better. Early on rates
above the best lead, so that is not the end of it: the peak and its neighbours go on to five eighths, and the better two
of them to the end. About three whole trainings, however many the rates. What goes on does so from its own last
checkpoint and ends as it would have alone. How the shares were chosen: experiments/search.

Every rate has a folder of its own, so that a killed search goes on where it stopped; the losers' scores are kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rm_selection import bradley_terry, distributed, multi_attribute
from rm_selection.merge import grid_for, search
from rm_selection.preferences import Pair
from rm_selection.protocol import SHARES, Protocol, Run, Trained
from rm_selection.reward_model import RewardModel
from rm_selection.scoring import score
from rm_selection.training_state import LOG

OnLog = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class Data:
    """Rows to learn from and to pick the checkpoint by; `pairs` choose the merge vector of a regression.

    inputs: hashes of these and of the weights, by name: what a killed training goes on with must be the same.
    """

    train: Sequence[Any]
    validation: Sequence[Any]
    pairs: Sequence[Pair] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)


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
        TrainingError: the loss is no number, or memory ran out.
    """
    trials = _Trials(load, data, protocol, folder, on_log, resume)
    if search.kind == "climb":
        best = climb(trials.ranked, search.rates, search.shares)
    else:
        best = trials.ranked(search.rates, search.until)[0]
    rm, told = trials.model(best, search.until), trials.told[best] | {"trials": list(trials.told.values())}
    if data.pairs:
        rm, merged = _merged(rm, data.pairs, protocol.tokens_per_batch)
        told |= merged
    if distributed.first():
        shutil.copy2(_place(folder, best) / LOG, folder.parent / LOG)
    return rm, told


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


class _Trials:
    """Trainings of one base, one a rate, as far as each has come. told: what the record says of each."""

    def __init__(
        self,
        load: Callable[[], RewardModel],
        data: Data,
        protocol: Protocol,
        folder: Path,
        on_log: OnLog,
        resume: bool,
    ) -> None:
        self.load, self.data, self.protocol, self.folder = load, data, protocol, folder
        self.on_log, self.resume = on_log, resume
        self.told: dict[float, dict[str, Any]] = {}
        self._steps = 0  # of a whole training
        self._last: tuple[float, Trained] | None = None

    def ranked(self, rates: Sequence[float], share: float) -> list[float]:
        """The rates, the best first and equals in the order given, by their best checkpoint up to that share."""
        values = {rate: self._value(rate, share) for rate in rates}
        return sorted(rates, key=lambda rate: -values[rate])

    def model(self, rate: float, share: float) -> RewardModel:
        """The model of a rate that was trained as far as that, at its best checkpoint."""
        last = self._last if self._last is not None and self._last[0] == rate else (rate, self._train(rate, share))
        return last[1].model

    def _value(self, rate: float, share: float) -> float:
        """More is better. What a killed search had trained beyond the share does not count: it would go elsewhere."""
        if rate not in self.told or self.told[rate]["evaluations"][-1]["step"] < share * self._steps:
            self._train(rate, share)
        name, done = self.told[rate]["metric"], self.told[rate]["evaluations"]
        by_then = next(i for i, one in enumerate(done, 1) if one["step"] >= share * self._steps)
        sign = 1 if name == bradley_terry.METRIC else -1
        return float(max(sign * one[name] for one in done[:by_then]))

    def _train(self, rate: float, share: float) -> Trained:
        self._last = None  # two models at a time may not fit the device
        protocol = replace(self.protocol, learning_rate=rate)
        resume = self.resume or rate in self.told
        place, inputs = _place(self.folder, rate), self.data.inputs
        run = Run(place, lambda line: self.on_log(line | {"rate": rate}), resume, share, inputs)
        run.folder.mkdir(parents=True, exist_ok=True)
        train = bradley_terry.train if isinstance(self.data.train[0], Pair) else multi_attribute.train
        trained = train(self.load(), self.data.train, self.data.validation, protocol, run)
        self.told[rate] = {"rate": rate, **_told(trained)}
        self._last, self._steps = (rate, trained), trained.steps
        return trained


def _place(folder: Path, rate: float) -> Path:
    return folder / f"rate-{rate:g}"


def _told(trained: Trained) -> dict[str, Any]:
    names = ("metric", "best_step", "tokens", "pad_tokens", "seconds", "counts")
    found = next(one for one in trained.evaluations if one["step"] == trained.best_step)
    told = {name: getattr(trained, name) for name in names}
    return told | {"evaluations": list(trained.evaluations), "value": found[trained.metric]}


def _merged(rm: RewardModel, pairs: Sequence[Pair], tokens_per_batch: int) -> tuple[RewardModel, dict[str, Any]]:
    values = score(rm, [side for pair in pairs for side in pair.conversations], tokens_per_batch).values
    found = search(values[0::2], values[1::2], grid_for(rm.outputs))
    told = {"accuracy": found.accuracy, "ties": found.ties, "n": found.n, "equals": found.equals}
    vector = dict(zip(found.attributes, found.vector, strict=True))
    return replace(rm, weights=found.vector), {"merge_vector": vector, "merge": told}
