"""What is told of timed runs: pairs and tokens a second, padding, memory, and the share of the device's matrix peak."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from rm_selection.errors import ConfigError
from rm_selection.timed import Timed, wait


def summary(mine: list[Timed], stock: list[Timed], pairs: int, operations: int, peak: float) -> dict[str, Any]:
    """What is told of a way.

    Args:
        mine: its repeats.
        stock: those of stock TRL, or of the padded loop, in the same order.
        pairs: that a repeat runs.
        operations: a token that runs, attention left out.
        peak: operations a second that the device can do, see `matrix_peak`.

    Returns:
        pairs_per_s: median, with lowest and highest. times_stock: median over repeats of how many times as fast as
        stock. real_tokens_per_s: tokens of both sides of the pairs, however they were run. run: tokens run over these.
        padded: padding over tokens run. loss_difference: largest, from stock's. mfu: operations of tokens that are no
        padding over the measured matrix peak. peak_gib: of the device's memory, or of the process on CPU.
    """
    each = np.array([pairs / one.seconds for one in mine])
    real = sum(one.real for one in stock) / len(stock)
    told = {"pairs_per_s": np.median(each), "low": each.min(), "high": each.max()}
    ratios = [two.seconds / one.seconds for one, two in zip(mine, stock, strict=True)]
    told |= {"times_stock": np.median(ratios), "times_low": min(ratios), "times_high": max(ratios)}
    told |= {"real_tokens_per_s": told["pairs_per_s"] * real / pairs, "run": mine[0].run / stock[0].real}
    told["padded"] = 1 - sum(one.real for one in mine) / sum(one.run for one in mine)
    losses = [abs(a - b) for one, two in zip(mine, stock, strict=True) for a, b in zip(one.loss, two.loss, strict=True)]
    told["loss_difference"] = max(losses, default=None)
    spent = np.median([one.real * operations / one.seconds for one in mine])
    told |= {"mfu": spent / peak, "peak_gib": max(one.peak for one in mine) / 2**30}
    return told


def check(table: Path) -> None:
    """Refuse a table that cannot be appended to, before anything is timed.

    Raises:
        ConfigError: it is a folder or no CSV, or its folder cannot be made or written.
    """
    try:
        table.parent.mkdir(parents=True, exist_ok=True)
        if table.is_dir() or not os.access(table if table.exists() else table.parent, os.W_OK):
            raise PermissionError
        if table.exists():
            pd.read_csv(table, nrows=1)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"table={table} cannot be appended to; give a CSV file, or one that is not there yet"
        ) from error


def append(figures: pd.DataFrame, table: Path) -> None:
    """Add the rows to a CSV, which is made where there is none."""
    table.parent.mkdir(parents=True, exist_ok=True)
    before = [pd.read_csv(table)] if table.exists() else []
    pd.concat([*before, figures], ignore_index=True).to_csv(table, index=False)


def shown(value: object) -> str:
    """A figure as it is printed."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


def matrix_peak(device: str, precision: str, repeats: int = 10) -> float:
    """Operations a second of a matrix product in that arithmetic.

    Args:
        device: cuda or cpu.
        precision: float32, or one of bf16.
        repeats: products that are timed.
    """
    size = 8192 if device == "cuda" else 1024
    one = torch.randn(size, size, device=device, dtype=torch.float32 if precision == "float32" else torch.bfloat16)
    for count in (3, repeats):  # first to warm up
        wait()
        began = time.perf_counter()
        for _ in range(count):
            one @ one
        wait()
    return 2 * size**3 * repeats / (time.perf_counter() - began)
