"""What conf/throughput.yaml holds."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rm_selection.errors import ConfigError
from rm_selection.evaluation_layouts import LAYOUTS
from rm_selection.settings import above_zero, in_group, refused, setting, within
from rm_selection.train_settings import HardwareConfig, TrainingConfig

SHAPES = {  # hidden, intermediate, layers, heads, key-value heads, vocabulary
    "tiny": (32, 64, 2, 4, 2, 256),
    "260k": (64, 172, 5, 8, 4, 512),  # as stories260K
    "15m": (288, 768, 6, 6, 6, 32_000),  # as stories15M
    "1b": (2048, 8192, 16, 32, 8, 128_256),  # as Llama 3.2 1B
    "7b": (4096, 11_008, 32, 32, 32, 32_000),  # as Llama 2 7B
}
TASKS = ("train", "score")


@dataclass
class LengthsConfig:
    """conf/lengths/: how long drawn prompts and responses are, log-normal."""

    name: str = setting("stands in the table")
    prompt: int = setting("median tokens of a prompt")
    prompt_spread: float = setting("standard deviation of their logarithm")
    response: int = setting("median tokens of a response")
    response_spread: float = setting("standard deviation of their logarithm")
    longest: int = setting("tokens of a prompt or response at most")

    def __post_init__(self) -> None:
        for name in ("prompt", "response", "longest"):
            within(f"lengths.{name}", getattr(self, name), 1, 1_000_000)
        for name in ("prompt_spread", "response_spread"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise refused(f"lengths.{name}", value, "a number, 0 or more")


@dataclass
class ThroughputConfig:
    """conf/throughput.yaml."""

    model: str | None = setting("folder of a checkpoint; null: one token a letter, and a shape")
    shape: str | None = setting(f"{', '.join(SHAPES)}: a Llama of that size, random weights; null: the checkpoint")
    pairs: str | None = setting("preference pairs, a file of JSON lines; null: random letters of drawn lengths")
    benchmark: str = setting("layout of that file: jsonl (ours), or a benchmark's")
    responses: int = setting("chosen and as many rejected ones of each drawn prompt, each against each")
    limit: int | None = setting("rows to read; null: all")
    max_length: int = setting("tokens; longer pairs are left out")
    tasks: list[str] = setting("train and score, or one of them")
    rate: float = setting("learning rate, constant")
    steps: int = setting("optimizer steps a repeat")
    repeats: int = setting("times that each way is run, in turn")
    table: str = setting("CSV to append the figures to")
    lengths: LengthsConfig = in_group("how long drawn prompts and responses are: chat or helpsteer2")
    training: TrainingConfig = in_group("full or lora; global_batch, micro_batch and gradient_checkpointing count")
    hardware: HardwareConfig = in_group("auto, cpu or gpu")

    def __post_init__(self) -> None:
        self.hardware.in_one_process("throughput")
        if self.shape is not None and self.shape not in SHAPES:
            raise refused("shape", self.shape, f"{', '.join(SHAPES)}, or null for the checkpoint itself")
        if self.shape is None and self.model is None:
            raise ConfigError("nothing to time: give shape=15m for a random Llama, or model=FOLDER for a checkpoint")
        if self.benchmark not in LAYOUTS:
            raise refused("benchmark", self.benchmark, " or ".join(LAYOUTS))
        if not self.tasks or set(self.tasks) - set(TASKS):
            raise refused("tasks", self.tasks, "[train,score], [train] or [score]")
        for name in ("steps", "repeats", "responses"):
            within(name, getattr(self, name), 1, 1_000_000)
        within("max_length", self.max_length, 8, 1_000_000)
        if self.limit is not None:
            within("limit", self.limit, 1, 10**9)
        above_zero("rate", self.rate)
