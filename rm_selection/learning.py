"""Train one reward model at several learning rates and keep the best: the study's search.

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
from rm_selection.protocol import Protocol, Run, Trained
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


def learn(
    load: Callable[[], RewardModel],
    data: Data,
    protocol: Protocol,
    rates: Sequence[float],
    folder: Path,
    on_log: OnLog,
    resume: bool,
) -> tuple[RewardModel, dict[str, Any]]:
    """The best model over `rates`, and what the record says of the training.

    Args:
        load: a fresh model, the same each time.
        data: what it learns from.
        protocol: all but the rate.
        rates: learning rates of full training; the earliest of equally good ones wins.
        folder: where the training keeps its state; only the log of the best is left, as <folder>/log.jsonl.
        on_log: hears every line of the log, with its rate.
        resume: go on with what is there.

    Raises:
        TrainingError: the loss is no number, or memory ran out.
    """
    trials: list[dict[str, Any]] = []
    trained = None
    for rate in rates:
        trained = None  # two models at a time may not fit the device
        trained = _train(load(), data, replace(protocol, learning_rate=rate), folder, on_log, resume)
        trials.append({"rate": rate, **_told(trained)})
    best = _best(trials)
    if trained is None or trials[-1] is not best:
        trained = None
        trained = _train(load(), data, replace(protocol, learning_rate=best["rate"]), folder, on_log, resume=True)
    rm, told = trained.model, best | {"trials": trials}
    if data.pairs:
        rm, merged = _merged(rm, data.pairs, protocol.tokens_per_batch)
        told |= merged
    if distributed.first():
        shutil.copy2(_place(folder, best["rate"]) / LOG, folder.parent / LOG)
    return rm, told


def _train(rm: RewardModel, data: Data, protocol: Protocol, folder: Path, on_log: OnLog, resume: bool) -> Trained:
    train = bradley_terry.train if isinstance(data.train[0], Pair) else multi_attribute.train
    rate = protocol.learning_rate
    run = Run(_place(folder, rate), lambda line: on_log(line | {"rate": rate}), resume)
    run.folder.mkdir(parents=True, exist_ok=True)
    return train(rm, data.train, data.validation, protocol, run)


def _place(folder: Path, rate: float) -> Path:
    return folder / f"rate-{rate:g}"


def _told(trained: Trained) -> dict[str, Any]:
    names = ("metric", "best_step", "tokens", "pad_tokens", "seconds", "counts")
    found = next(one for one in trained.evaluations if one["step"] == trained.best_step)
    told = {name: getattr(trained, name) for name in names}
    return told | {"evaluations": list(trained.evaluations), "value": found[trained.metric]}


def _best(trials: list[dict[str, Any]]) -> dict[str, Any]:
    sign = 1 if trials[0]["metric"] == bradley_terry.METRIC else -1
    return max(trials, key=lambda one: sign * one["value"])  # the earliest of equals


def _merged(rm: RewardModel, pairs: Sequence[Pair], tokens_per_batch: int) -> tuple[RewardModel, dict[str, Any]]:
    values = score(rm, [side for pair in pairs for side in pair.conversations], tokens_per_batch).values
    found = search(values[0::2], values[1::2], grid_for(rm.outputs))
    told = {"accuracy": found.accuracy, "ties": found.ties, "n": found.n, "equals": found.equals}
    vector = dict(zip(found.attributes, found.vector, strict=True))
    return replace(rm, weights=found.vector), {"merge_vector": vector, "merge": told}
