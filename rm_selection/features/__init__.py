"""What can be known of a base before a reward model is trained from it: one feature a file, each with

    measure(checkpoint, settings, place) -> Measured

where settings is the dataclass of measure_settings.py that bears its name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Place:
    """Where and how a feature is measured.

    folder: of this measurement; what is kept there survives a kill and may be gone on from.
    device: cpu or cuda. precision: float32, bf16 or bf16_weights.
    tokens_per_batch: padded tokens a forward pass.
    """

    folder: Path
    device: str
    precision: str
    tokens_per_batch: int
    seed: int


@dataclass(frozen=True)
class Measured:
    """What was found.

    values: numbers that become columns `<feature>.<name>`; what could not be measured is absent.
    protocols: how each value was measured, by its name: figures whose protocols differ are never put in one column.
    details: JSON values that the record keeps beside them: counts, intervals, versions.
    tokens: run through the base, padding not counted.
    """

    values: dict[str, float]
    protocols: dict[str, str]
    details: dict[str, Any] = field(default_factory=dict)
    tokens: int = 0
