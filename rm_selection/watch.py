"""What is done beside the Trainer's steps: the log, the end on a loss that is no number, evaluation of checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from transformers import TrainerCallback

from rm_selection import distributed, training_state
from rm_selection.errors import NonFiniteLossError
from rm_selection.protocol import Objective, Run
from rm_selection.reward_model import RewardModel
from rm_selection.training_state import State


class Watch(TrainerCallback):
    """Hears the Trainer: logs each step, stops on a loss that is no number, evaluates and marks each checkpoint."""

    def __init__(self, rm: RewardModel, run: Run, objective: Objective, known: State) -> None:
        self.rm, self.run, self.objective, self.known = rm, run, objective, known
        self.before, self.began = known, time.monotonic()
        self.real: Any = 0  # tokens of this process; a tensor on the device as soon as they are counted
        self.all = 0  # with padding

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """A line an optimiser step; the Trainer's summary at the end is none."""
        logs: dict[str, float] = kwargs["logs"]
        if "loss" not in logs:
            return
        for name in ("loss", "grad_norm"):
            self._check(name, logs.get(name, 0.0), state)
        self.tell({"step": state.global_step} | {name: logs[name] for name in logs if name != "num_tokens"})

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Evaluate the checkpoint just written and declare it whole."""
        found = {"step": state.global_step} | self.objective.evaluate(self.rm)
        for name, value in found.items():
            self._check(name, value, state)
        self.tell(found)
        evaluations = (*self.known.evaluations, found)
        tokens, padded = distributed.summed(int(self.real), self.all)  # from here on every process's files are written
        self.known = replace(
            self.known,
            step=state.global_step,
            best_step=self.objective.best(evaluations),
            finished=state.global_step >= state.max_steps,
            evaluations=evaluations,
            tokens=self.before.tokens + tokens,
            pad_tokens=self.before.pad_tokens + padded - tokens,
            seconds=self.before.seconds + time.monotonic() - self.began,
        )
        if distributed.first():
            training_state.mark_whole(self.run.folder, self.known)
        control.should_training_stop |= self.run.reached(state.global_step, state.max_steps)

    def tell(self, line: dict[str, float]) -> None:
        """Write a line to the log and to whoever listens."""
        if not distributed.first():
            return
        training_state.append(self.run.folder, line)
        self.run.on_log(line)

    def _check(self, name: str, value: float, state: Any) -> None:
        if not math.isfinite(value):
            way = "" if self.rm.precision == "float32" else ", or give hardware.precision=float32"
            raise NonFiniteLossError(
                f"{name} is {value} at step {state.global_step}; lower objective.rates{way}", state.max_steps
            )

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count the tokens that training runs through the model inside."""

        def count(module: torch.nn.Module, _args: Any, inputs: Mapping[str, torch.Tensor]) -> None:
            if module.training:
                self.real = self.real + inputs["attention_mask"].sum()
                self.all += inputs["attention_mask"].numel()

        hook = self.rm.model.register_forward_pre_hook(count, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()
