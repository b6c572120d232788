"""Train one reward model at several learning rates and keep the best: the study's search, or successive halving.

Halving (Jamieson and Talwalkar, arXiv 1502.07943) trains all rates for an eighth of the steps, the better half of them
to three eighths, the better half of those to five, and of those to the end: 40% of the steps of the study's ten rates.
Evenly spaced instead of doubled as in the paper, since few rates are left when they are told apart best: late. What
goes on does so from its own last checkpoint and ends as it would have alone.

Every rate has a folder of its own, so that a killed search goes on where it stopped; the losers' scores are kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
    """Rows to learn from and to pick the checkpoint by; `pairs` choose the merge vector of a regression."""

    train: Sequence[Any]
    validation: Sequence[Any]
    pairs: Sequence[Pair] = ()


@dataclass(frozen=True)
class Search:
    """Learning rates of full training, and a name of SHARES: grid, or halving. until: share of the steps to train."""

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
        search: the rates, of which the earliest of equally good ones wins, and when they are compared.
        folder: where the training keeps its state; only the log of the best is left, as <folder>/log.jsonl.
        on_log: hears every line of the log, with its rate.
        resume: go on with what is there.

    Raises:
        TrainingError: the loss is no number, or memory ran out.
    """
    trials: dict[float, dict[str, Any]] = {}
    left, last, trained = list(search.rates), 0.0, None
    for share in search.shares:
        left = _better_half(trials, left)
        for rate in left:
            trained = None  # two models at a time may not fit the device
            run = _run(folder, rate, on_log, resume or rate in trials, share)
            trained, last = _train(load(), data, replace(protocol, learning_rate=rate), run), rate
            trials[rate] = {"rate": rate, **_told(trained)}
    best = _ranked([trials[rate] for rate in left])[0]
    if trained is None or last != best["rate"]:
        trained = None
        run = _run(folder, best["rate"], on_log, resume=True, share=search.until)
        trained = _train(load(), data, replace(protocol, learning_rate=best["rate"]), run)
    rm, told = trained.model, best | {"trials": list(trials.values())}
    if data.pairs:
        rm, merged = _merged(rm, data.pairs, protocol.tokens_per_batch)
        told |= merged
    if distributed.first():
        shutil.copy2(_place(folder, best["rate"]) / LOG, folder.parent / LOG)
    return rm, told


def _better_half(trials: dict[float, dict[str, Any]], rates: list[float]) -> list[float]:
    """The rates that go on, in the order given: at first all, then the better half, rounded up."""
    if not trials:
        return rates
    best = [one["rate"] for one in _ranked([trials[rate] for rate in rates])[: (len(rates) + 1) // 2]]
    return [rate for rate in rates if rate in best]


def _run(folder: Path, rate: float, on_log: OnLog, resume: bool, share: float = 1.0) -> Run:
    return Run(_place(folder, rate), lambda line: on_log(line | {"rate": rate}), resume, share)


def _train(rm: RewardModel, data: Data, protocol: Protocol, run: Run) -> Trained:
    train = bradley_terry.train if isinstance(data.train[0], Pair) else multi_attribute.train
    run.folder.mkdir(parents=True, exist_ok=True)
    return train(rm, data.train, data.validation, protocol, run)


def _place(folder: Path, rate: float) -> Path:
    return folder / f"rate-{rate:g}"


def _told(trained: Trained) -> dict[str, Any]:
    names = ("metric", "best_step", "tokens", "pad_tokens", "seconds", "counts")
    found = next(one for one in trained.evaluations if one["step"] == trained.best_step)
    told = {name: getattr(trained, name) for name in names}
    return told | {"evaluations": list(trained.evaluations), "value": found[trained.metric]}


def _ranked(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By the best checkpoint so far, the best first and equals in the order given."""
    sign = -1 if trials[0]["metric"] == bradley_terry.METRIC else 1
    return sorted(trials, key=lambda one: sign * one["value"])


def _merged(rm: RewardModel, pairs: Sequence[Pair], tokens_per_batch: int) -> tuple[RewardModel, dict[str, Any]]:
    values = score(rm, [side for pair in pairs for side in pair.conversations], tokens_per_batch).values
    found = search(values[0::2], values[1::2], grid_for(rm.outputs))
    told = {"accuracy": found.accuracy, "ties": found.ties, "n": found.n, "equals": found.equals}
    vector = dict(zip(found.attributes, found.vector, strict=True))
    return replace(rm, weights=found.vector), {"merge_vector": vector, "merge": told}
