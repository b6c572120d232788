"""One cell spread over the processes that torchrun started: who is first, and what all know.

    torchrun --nproc-per-node=4 -m rm_selection.train hardware=fsdp ...

The first process owns lock, record, log, checkpoints' marks, tracking and evaluation; the others follow it through the
training, whose every step they share. Started alone, a process is first and everything here does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from rm_selection.errors import ConfigError

if TYPE_CHECKING:
    from rm_selection.train_settings import HardwareConfig

T = TypeVar("T")
PATIENCE = timedelta(days=7)  # the others wait while the first scores and saves


def world() -> int:
    """How many processes share the cell."""
    return int(os.environ.get("WORLD_SIZE", "1"))  # as torchrun sets it


def rank() -> int:
    """The number of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def first() -> bool:
    """Whether this process is the first, or the only one."""
    return rank() == 0


def grouped() -> bool:
    """Whether this process has joined a group, be it the only one there."""
    from torch import distributed

    return distributed.is_initialized()


def join(hardware: HardwareConfig) -> None:
    """Meet the other processes.

    Raises:
        ConfigError: several processes were started for a cell that is not to be spread, or one that is has none.
    """
    if world() > 1 and not hardware.sharded:  # each would train the whole cell, or wait for ever
        raise ConfigError(
            f"WORLD_SIZE is {world()}, and hardware={hardware.name} works in one process; start it without torchrun,"
            " or, to train, give hardware=fsdp, which spreads a cell over them"
        )
    if not hardware.sharded:
        return
    if "RANK" not in os.environ:
        raise ConfigError(
            "hardware=fsdp spreads a cell over processes, and this one was started alone; start it as"
            " torchrun --nproc-per-node=GPUS -m rm_selection.train hardware=fsdp ..., or choose hardware=auto"
        )
    import torch
    from torch import distributed

    if not distributed.is_initialized():
        cuda = hardware.device != "cpu" and torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(local_device())
        distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=PATIENCE)


def local_device() -> str:
    """The CUDA device of this process."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"


def shared(make: Callable[[], T]) -> T:
    """What `make` gives in the first process, in all of them; what it raises there is raised in all."""
    if world() == 1:
        return make()
    found: list[Any] = [None, None]
    if first():
        try:
            found[0] = make()
        except Exception as error:  # noqa: BLE001 - raised below, in every process
            found[1] = error
    from torch import distributed

    distributed.broadcast_object_list(found)
    if found[1] is not None:
        raise found[1]
    made: T = found[0]
    return made


def gathered(value: T) -> list[T]:
    """What each process has, by rank."""
    if world() == 1:
        return [value]
    from torch import distributed

    found: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(found, value)
    return found


def summed(*counts: int) -> list[int]:
    """Each count summed over the processes."""
    return [sum(each) for each in zip(*gathered(counts), strict=True)]


@contextmanager
def followers() -> Iterator[Callable[[], None]]:
    """In the first process: a call that sets the others to work; where it is not made inside, they are sent home.

    They wait until the first leaves this, by an error too: torchrun kills it as soon as one of them ends with one.
    """
    called, stopped = [], False

    def call() -> None:
        called.append(True)
        shared(lambda: True)

    try:
        yield call
    except KeyboardInterrupt:  # it came to all of them
        stopped = True
        raise
    finally:
        if not (called and stopped):
            shared(lambda: False)


def called() -> bool:
    """In the other processes: wait for the first one's word, whether there is work to share."""
    return shared(lambda: False)
