"""What the cost model rests on: data/devices.csv, throughput.csv and sizes.csv, read without pandas, to be quick.

Units: sizes in billions of parameters, memory in GiB, tflops in 1e12 operations a second.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DATA = Path(__file__).resolve().parent / "data"


@dataclass(frozen=True)
class DeviceRow:
    """A device by its vendor's data sheet.

    product: as torch and nvidia-smi name it. tflops: bf16 products of dense matrices. None: not known.
    """

    name: str
    product: str
    memory_gib: float | None
    tflops: float | None
    source: str


@dataclass(frozen=True)
class ThroughputRow:
    """A training that was timed.

    lora: adapters, else all weights. recomputed: whether activations were. tokens_per_s: of both sides of the pairs,
    padding not counted. row_tokens: run at once at most. peak_gib: of the device's memory. None: not known.
    """

    device: str
    date: str
    params_b: float
    hidden: int
    layers: int
    lora: bool
    recomputed: bool
    precision: str
    tokens_per_s: float
    row_tokens: int | None
    peak_gib: float | None
    source: str


@dataclass(frozen=True)
class SizeRow:
    """How much a dataset or benchmark of conf/ holds.

    part: train, validation or evaluation. responses: of a row. lengths: the file of conf/lengths nearest to it.
    """

    data: str
    part: str
    rows: int
    responses: int
    lengths: str
    source: str


@cache
def devices() -> tuple[DeviceRow, ...]:
    """Every device."""
    return tuple(
        DeviceRow(row["name"], row["product"], _number(row["memory_gib"]), _number(row["tflops"]), row["source"])
        for row in _rows("devices.csv")
    )


@cache
def throughput() -> tuple[ThroughputRow, ...]:
    """Every training that was timed."""
    return tuple(
        ThroughputRow(
            row["device"],
            row["date"],
            float(row["params_b"]),
            int(row["hidden"]),
            int(row["layers"]),
            row["training"] == "lora",
            row["recomputed"] == "true",
            row["precision"],
            float(row["tokens_per_s"]),
            int(row["row_tokens"]) if row["row_tokens"] else None,
            _number(row["peak_gib"]),
            row["source"],
        )
        for row in _rows("throughput.csv")
    )


@cache
def sizes() -> tuple[SizeRow, ...]:
    """Every part of a dataset, and every benchmark."""
    return tuple(
        SizeRow(row["data"], row["part"], int(row["rows"]), int(row["responses"]), row["lengths"], row["source"])
        for row in _rows("sizes.csv")
    )


def _rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _number(text: str) -> float | None:
    return float(text) if text else None
