"""What the three trainers share: a log line a step, checkpoints to go on from, and a loss that is no number refused.

A run goes on from its last whole checkpoint (see training_state); the parent's folder is only ever read.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, PrinterCallback, TrainerCallback

from rm_selection import training_state
from rm_selection.errors import DivergedError, NonFiniteLossError
from rm_selection.memory import memory_reported
from rm_selection.refusals import quiet
from rm_selection.training_state import State

RISEN, SLACK = 2.0, 0.5  # times the first losses, and beyond: further up it has run away
Tell = Callable[[Mapping[str, float]], None]


@dataclass(frozen=True)
class Fitted:
    """steps: of the optimiser. first_loss, last_loss: means over a tenth of them. seconds: of training."""

    steps: int
    first_loss: float
    last_loss: float
    seconds: float


def fit(trainer: Any, settings: Mapping[str, Any], folder: Path, resume: bool, tell: Tell, recipe: str) -> Fitted:
    """Train to the end; the trainer's model then holds the last weights.

    Args:
        trainer: of `trainers`.
        settings: JSON values that a run may not go on under others of.
        folder: for checkpoints and the log.
        resume: go on with what is there.
        tell: hears every line of the log.
        recipe: what its settings are typed under, such as recipe.sft.

    Raises:
        NonFiniteLossError: the loss or a gradient is no number.
        DivergedError: the last losses are far above the first.
        OutOfMemoryError: a step does not fit the device.
        RunError: begun with other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not resume:
        training_state.discard(folder)
    state = training_state.last_whole(folder, settings)
    training_state.cut_log(folder, state.step if state else 0)
    watch = _Watch(folder, tell, recipe, state or State(0, 0, False, dict(settings), (), 0, 0, 0.0))
    trainer.add_callback(watch)
    trainer.remove_callback(PrinterCallback)
    last = None if state is None else training_state.checkpoint(folder, state.step)
    with memory_reported(f"lower {recipe}.micro_batch or {recipe}.max_length"), quiet():
        if last is not None and watch.known.finished:  # the Trainer would take one more step
            _restore(trainer.model, last)
        else:
            trainer.train(resume_from_checkpoint=None if last is None else str(last))
    first_loss, last_loss = _ends(folder)
    if last_loss > RISEN * abs(first_loss) + SLACK:
        raise DivergedError(f"the loss rose from {first_loss:.3g} to {last_loss:.3g}; lower {recipe}.rate")
    return Fitted(watch.known.step, first_loss, last_loss, watch.known.seconds)


def _restore(model: Any, folder: Path) -> None:
    """Put the weights of a checkpoint into the model."""
    saved: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=model.dtype, use_safetensors=True)
    model.load_state_dict(saved.state_dict())


def _ends(folder: Path) -> tuple[float, float]:
    """Mean loss of the first and of the last tenth of the steps."""
    lines = (folder / training_state.LOG).read_text(encoding="utf-8").splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    part = max(1, len(losses) // 10)
    return sum(losses[:part]) / part, sum(losses[-part:]) / part


class _Watch(TrainerCallback):
    """Hears the Trainer: logs each step, stops on a loss that is no number, marks each checkpoint whole."""

    def __init__(self, folder: Path, tell: Tell, recipe: str, known: State) -> None:
        self.folder, self.tell, self.recipe, self.known = folder, tell, recipe, known
        self.before, self.began = known.seconds, time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """A line an optimiser step; the Trainer's summary at the end is none."""
        logs: dict[str, Any] = kwargs["logs"]
        if "loss" not in logs:
            return
        for name in ("loss", "grad_norm", "reward"):
            if not math.isfinite(value := float(logs.get(name, 0.0))):
                way = f"lower {self.recipe}.rate, or give hardware.precision=float32"
                raise NonFiniteLossError(f"{name} is {value} at step {state.global_step}; {way}")
        line = {"step": state.global_step} | {name: float(logs[name]) for name in logs if _told(logs[name])}
        training_state.append(self.folder, line)
        self.tell(line)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Declare the checkpoint just written whole."""
        seconds = self.before + time.monotonic() - self.began
        finished = state.global_step >= state.max_steps
        step, settings = state.global_step, self.known.settings
        self.known = State(step, step, finished, settings, (), 0, 0, round(seconds, 3))
        training_state.mark_whole(self.folder, self.known)


def _told(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
