"""How a reward model is trained, where, and what comes of it; imports nothing heavy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rm_selection.reward_model import RewardModel

TOKENS_PER_BATCH = 16_384  # padded tokens scored at once
SHARES = {"grid": (1.0,), "climb": (0.375, 0.625, 1.0)}  # of the steps, where rates are compared
Evaluation = dict[str, float]  # validation values of a checkpoint by name, and its step
OnLog = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters on every linear map of the body; the head is trained whole."""

    rank: int = 16
    alpha: int = 32


@dataclass(frozen=True)
class Protocol:
    """How a reward model is trained; the defaults are the study's.

    learning_rate: constant after warmup_steps. rate_factor: what it is multiplied by, so that one list of rates does
        for full training and, at ten times these, for adapters.
    global_batch: pairs or rated responses an optimiser step; micro_batch: of them, at once on a device.
    micro_tokens: padded tokens at once in training, in place of micro_batch; None: micro_batch counts.
    fills_memory: on a CUDA device of one's own, micro_tokens is found before the first step where it is None.
    epochs: passes over the data; max_steps ends earlier, None does not.
    checkpoint_every: optimiser steps between checkpoints, each of which is evaluated.
    seed: of the order of the data and of LoRA's start; the head has its own, in load().
    center_rewards_coefficient, use_margin: Bradley-Terry only.
    tokens_per_batch: padded tokens at once in evaluation.
    """

    learning_rate: float = 1e-6
    rate_factor: float = 1.0
    global_batch: int = 64
    micro_batch: int = 8
    micro_tokens: int | None = None
    fills_memory: bool = False
    epochs: float = 1.0
    max_steps: int | None = None
    warmup_steps: int = 20
    checkpoint_every: int = 20
    seed: int = 0
    lora: Lora | None = None
    gradient_checkpointing: bool = False
    center_rewards_coefficient: float | None = None
    use_margin: bool = False
    tokens_per_batch: int = TOKENS_PER_BATCH

    @property
    def rate(self) -> float:
        """The learning rate that is used."""
        return self.learning_rate * self.rate_factor


def steps(rows: int, epochs: float, global_batch: int, max_steps: int | None) -> int:
    """Optimiser steps of a training on that many rows, 1 or more."""
    passes = math.ceil(epochs * math.ceil(rows / global_batch))
    return max(1, min(passes, passes if max_steps is None else max_steps))


def upto(evaluations: Sequence[Evaluation], share: float, steps: int) -> Sequence[Evaluation]:
    """Those that there are of a training that stopped at a share of its steps: up to the first from there on."""
    count = next((i for i, one in enumerate(evaluations, 1) if one["step"] >= share * steps), len(evaluations))
    return evaluations[:count]


@dataclass(frozen=True)
class Run:
    """Where a training run lives: its folder, who hears each line of its log, and whether to go on with it.

    share: of its steps to be done by now, 0 to 1; it stops at the first checkpoint from there, and can be gone on with.
    inputs: hashes of what it is trained from, by name; it goes on with the same ones only.
    """

    folder: Path
    on_log: OnLog = lambda _line: None
    resume: bool = False
    share: float = 1.0
    inputs: Mapping[str, str] = field(default_factory=dict)

    def reached(self, step: int, steps: int) -> bool:
        """Whether as many of the steps are done as shall be."""
        return step >= self.share * steps


@dataclass(frozen=True)
class Trained:
    """The model at its best checkpoint up to the share of the steps that was asked for.

    evaluations: one a checkpoint, each with its step; metric names the value that chose the best.
    kept: false where a run had gone further than that and dropped the checkpoint; the model is then a later one.
    steps: optimiser steps of the whole training, done or not.
    tokens, pad_tokens: run in training. seconds: of all parts of the run. counts: training rows kept and dropped.
    """

    model: RewardModel
    metric: str
    best_step: int
    evaluations: tuple[Evaluation, ...]
    steps: int
    tokens: int
    pad_tokens: int
    seconds: float
    counts: dict[str, int]
    kept: bool = True


@dataclass(frozen=True)
class Objective:
    """How checkpoints are evaluated and which is best.

    evaluate: validation values of a model, by name. metric: the one that counts.
    """

    evaluate: Callable[[RewardModel], dict[str, float]]
    metric: str
    more_is_better: bool

    def best(self, evaluations: Sequence[Evaluation]) -> int:
        """Step of the best evaluation, the earliest of equals."""
        sign = -1 if self.more_is_better else 1
        return int(min(evaluations, key=lambda one: (sign * one[self.metric], one["step"]))["step"])
