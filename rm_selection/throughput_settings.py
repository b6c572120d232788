"""What conf/throughput.yaml holds."""

from __future__ import annotations

from dataclasses import dataclass

from rm_selection.settings import in_group, refused, setting, within
from rm_selection.train_settings import HardwareConfig

SHAPES = {  # hidden, intermediate, layers, heads, key-value heads, vocabulary
    "260k": (64, 172, 5, 8, 4, 512),  # as stories260K
    "15m": (288, 768, 6, 6, 6, 32_000),  # as stories15M
    "1b": (2048, 8192, 16, 32, 8, 128_256),  # as Llama 3.2 1B
    "7b": (4096, 11_008, 32, 32, 32, 32_000),  # as Llama 2 7B
}


@dataclass
class ThroughputConfig:
    """conf/throughput.yaml."""

    model: str = setting("folder of a checkpoint")
    shape: str | None = setting(
        f"{', '.join(SHAPES)}: a random Llama on the checkpoint's tokenizer; null: the checkpoint"
    )
    pairs: str = setting("preference pairs, a file of JSON lines")
    limit: int | None = setting("pairs to read; null: all")
    max_length: int = setting("tokens; longer pairs are left out")
    global_batch: int = setting("pairs an optimizer step")
    micro_batch: int = setting("of them at once, in stock TRL and in ours where hardware.micro_tokens is null")
    steps: int = setting("optimizer steps a repeat")
    repeats: int = setting("times that each way is run, in turn")
    table: str = setting("CSV to append the figures to")
    hardware: HardwareConfig = in_group("auto, cpu or gpu")

    def __post_init__(self) -> None:
        self.hardware.in_one_process("throughput")
        if self.shape is not None and self.shape not in SHAPES:
            raise refused("shape", self.shape, f"{', '.join(SHAPES)}, or null for the checkpoint itself")
        for name in ("global_batch", "micro_batch", "steps", "repeats"):
            within(name, getattr(self, name), 1, 1_000_000)
        within("max_length", self.max_length, 8, 1_000_000)
        if self.global_batch % self.micro_batch:
            raise refused("micro_batch", self.micro_batch, f"a divisor of global_batch={self.global_batch}")
