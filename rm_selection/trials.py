"""The trainings of a search for a learning rate: one a rate, each as far as it was compared."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rm_selection import bradley_terry, console, distributed, multi_attribute, training_state
from rm_selection.diverged import forget, note, noted
from rm_selection.errors import NonFiniteLossError
from rm_selection.memory import release
from rm_selection.preferences import Pair
from rm_selection.protocol import OnLog, Protocol, Run, Trained, upto
from rm_selection.reward_model import RewardModel
from rm_selection.training_state import LOG


@dataclass(frozen=True)
class Data:
    """Rows to learn from and to pick the checkpoint by; `pairs` choose the merge vector of a regression.

    inputs: hashes of these and of the weights, by name: what a killed training goes on with must be the same.
    """

    train: Sequence[Any]
    validation: Sequence[Any]
    pairs: Sequence[Pair] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)


class Trials:
    """Trainings of one base, one a rate, as far as each has come.

    told: what the record says of each; of one that diverged, why, and the evaluations that there were before.
    logs: the file of each.
    """

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
        self.logs: dict[float, Path] = {}
        self._steps = 0  # of a whole training
        self._last: tuple[tuple[float, float], Trained] | None = None  # by rate and share

    def ranked(self, rates: Sequence[float], share: float) -> list[float]:
        """The rates, the best first and equals in the order given, by their best checkpoint up to that share."""
        values = {rate: self._value(rate, share) for rate in rates}
        return sorted(rates, key=lambda rate: -values[rate])

    def model(self, rate: float, share: float) -> RewardModel:
        """The model of a rate that was trained as far as that, at its best checkpoint."""
        last = self._last
        trained = last[1] if last is not None and last[0] == (rate, share) else self._train(rate, share)
        if trained.kept:
            return trained.model
        del trained, last  # of a killed training that had gone further; as far as this it is done again, beside it
        return self._train(rate, share, f"until-{share:g}").model

    def _value(self, rate: float, share: float) -> float:
        """More is better. What a killed search had trained beyond the share does not count: it would go elsewhere."""
        if rate not in self.told or not (self._reached(rate, share) or "diverged" in self.told[rate]):
            self._try(rate, share)
        if self.lost(rate, share):
            return -math.inf
        told = self.told[rate]
        name, by_then = told["metric"], upto(told["evaluations"], share, self._steps)
        sign = 1 if name == bradley_terry.METRIC else -1
        best = max(by_then, key=lambda one: sign * one[name])
        if "diverged" not in told:
            told |= {"best_step": best["step"], "value": best[name]}
        return float(sign * best[name])

    def lost(self, rate: float, share: float) -> bool:
        """Whether it diverged before that share of the steps."""
        return "diverged" in self.told.get(rate, {}) and not self._reached(rate, share)

    def all_lost(self) -> NonFiniteLossError:
        """The error that says so; whoever starts the search again has it tried again."""
        if distributed.first():
            for rate in self.told:
                forget(self.place(rate))
        lowest = self.told[min(self.told)]
        if len(self.told) == 1:
            return NonFiniteLossError(lowest["diverged"])
        return NonFiniteLossError(
            f"all {len(self.told)} learning rates diverged, the lowest one of {lowest['rate']:g} too: "
            f"{lowest['diverged']}"
        )

    def _reached(self, rate: float, share: float) -> bool:
        done = self.told[rate]["evaluations"]
        return bool(done) and bool(done[-1]["step"] >= share * self._steps)

    def _try(self, rate: float, share: float) -> None:
        """Train, unless it is known to diverge."""
        place, given = self.place(rate), self._given(rate)
        known = distributed.shared(lambda: noted(place, given)) if self.resume else None
        if known is None and (error := self._error(rate, share)) is not None:
            known = distributed.shared(lambda: note(place, error, self._metric, given))
        if known is not None:
            self._steps, self.told[rate] = known["steps"], {"rate": rate, **known["told"]}
            if distributed.first():
                console.line(f"learning rate {rate:g} is out: {known['told']['diverged']}")

    def _error(self, rate: float, share: float) -> NonFiniteLossError | None:
        """Train; the error, if it diverges."""
        distributed.shared(lambda: forget(self.place(rate)))
        try:
            self._train(rate, share)
            return None
        except NonFiniteLossError as error:
            found = error.with_traceback(None)
        release()  # outside of the except block, which holds on to the model
        return found

    def _train(self, rate: float, share: float, part: str = "") -> Trained:
        """part: name of a folder inside that of the rate, for what must not touch its training."""
        self._last = None  # two models at a time may not fit the device
        protocol = replace(self.protocol, learning_rate=rate)
        resume = self.resume or rate in self.told
        place, inputs = self.place(rate) / part, self.data.inputs
        run = Run(place, lambda line: self.on_log(line | {"rate": rate}), resume, share, inputs)
        run.folder.mkdir(parents=True, exist_ok=True)
        train = bradley_terry.train if self._paired else multi_attribute.train
        trained = train(self.load(), self.data.train, self.data.validation, protocol, run)
        self.told[rate] = {"rate": rate, **_told(trained)}
        self.logs[rate] = place / LOG
        self._last, self._steps = ((rate, share), trained), trained.steps
        return trained

    def place(self, rate: float) -> Path:
        """The folder of a rate."""
        return self.folder / f"rate-{rate:g}"

    @property
    def _paired(self) -> bool:
        return isinstance(self.data.train[0], Pair)

    @property
    def _metric(self) -> str:
        return bradley_terry.METRIC if self._paired else multi_attribute.METRIC

    def _given(self, rate: float) -> dict[str, Any]:
        """What decides whether it diverges."""
        decisive = training_state.decisive(asdict(replace(self.protocol, learning_rate=rate)))
        given: dict[str, Any] = json.loads(json.dumps({**decisive, **self.data.inputs}))
        return given


def _told(trained: Trained) -> dict[str, Any]:
    names = ("metric", "best_step", "tokens", "pad_tokens", "seconds", "counts")
    found = next(one for one in trained.evaluations if one["step"] == trained.best_step)
    told = {name: getattr(trained, name) for name in names}
    return told | {"evaluations": list(trained.evaluations), "value": found[trained.metric]}
