"""A stopwatch of one training or scoring: seconds, tokens, losses and the memory at its highest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback


@dataclass
class Timed(TrainerCallback):
    """One run. run, real: tokens that went through the model, with and without padding. loss: of each step.

    peak: bytes of the device's memory, or of this process on CPU, at the highest.
    """

    seconds: float = 0.0
    run: int = 0
    real: Any = 0
    loss: list[float] = field(default_factory=list)
    peak: int = 0

    def on_step_begin(self, *_args: Any, **_known: Any) -> None:
        """From the first micro-batch..."""
        wait()
        self._began = time.perf_counter()

    def on_step_end(self, *_args: Any, **_known: Any) -> None:
        """...to the end of the optimizer's step; what lies between steps is logging and saving."""
        wait()
        self.seconds += time.perf_counter() - self._began

    def on_log(self, *_args: Any, logs: Any = None, **_known: Any) -> None:
        """Keep the loss."""
        self.loss += [logs["loss"]] if "loss" in logs else []

    @contextmanager
    def counting(self, model: Any) -> Iterator[None]:
        """Count tokens and memory of what runs inside."""
        _forget_peak()
        hook = model.register_forward_pre_hook(self._count, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()
            self.real, self.peak = int(self.real), _peak()

    def _count(self, _module: Any, _args: Any, inputs: dict[str, torch.Tensor]) -> None:
        self.run += inputs["attention_mask"].numel()
        self.real = self.real + inputs["attention_mask"].sum()  # a tensor: on CUDA no step waits for it


def wait() -> None:
    """Until the device has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _forget_peak() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    elif (refs := Path("/proc/self/clear_refs")).exists():  # Linux: the process's peak begins anew
        refs.write_text("5")


def _peak() -> int:
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
