"""Running out of memory: told in one sentence, and how much can run at once before it happens."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from rm_selection.errors import OutOfMemoryError

WORDS = ("out of memory", "allocate memory", "not enough memory")  # an illegal memory access is no lack of it
SPARE = 0.1  # of the device's memory, left for what is not foreseen: pieces that fit nothing, other kernels


def lacking(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError, OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in WORDS)


@contextmanager
def memory_reported(way_out: str) -> Iterator[None]:
    """Turn running out of memory, on any device, into an error that names the way out.

    Raises:
        OutOfMemoryError: memory ran out inside.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not lacking(error):
            raise
        raise OutOfMemoryError(f"the device is out of memory; {way_out}") from error


def release() -> None:
    """Give back what no one holds any longer."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def room(device: torch.device, trained: int) -> int:
    """Bytes that a training step may take on a CUDA device, with what the model holds already.

    Args:
        device: a CUDA device.
        trained: weights that AdamW is going to keep two float32 numbers of, but does not yet.
    """
    free, _ = torch.cuda.mem_get_info(device)
    mine = free + torch.cuda.memory_reserved(device)  # the cache of this process is free for it
    return int(mine * (1 - SPARE)) - 8 * trained


def fitting(peak: Callable[[int], int], least: int, most: int, bytes_there: int) -> int:
    """How many tokens fit, on a straight line through the peaks of `least` tokens and of twice as many.

    Args:
        peak: bytes at the highest when so many tokens are run.
        least: tokens that must run at once in any case.
        most: tokens that there are at most.
        bytes_there: that the peak may reach.
    """
    if most <= 2 * least:
        return least
    low, high = peak(least), peak(2 * least)
    each = max(high - low, 1) / least
    return max(least, min(most, int(least + (bytes_there - low) / each)))
