"""Processes that start within a moment: forked from a server that has imported what takes seconds.

They run on their own, with RANK and WORLD_SIZE as torchrun sets them, and can be killed.
"""

import os
import socket
import sys
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

server = get_context("forkserver")
server.set_forkserver_preload(["ranks", "rm_selection.train", "rm_selection.work"])


def command(*line: str) -> None:
    """python -m rm_selection.train in this process, which it ends."""
    from rm_selection import train

    sys.argv = ["train", *line]
    train.main()


def start(function: Callable[..., None], *arguments: Any, count: int = 1) -> list[BaseProcess]:
    """That many processes of one group, each of which calls the function; one process needs no group."""
    known = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "WORLD_SIZE": str(count)}
    each = [known | {"RANK": str(rank), "LOCAL_RANK": str(rank)} if count > 1 else {} for rank in range(count)]
    started = [server.Process(target=_run, args=(one, function, arguments)) for one in each]
    for process in started:
        process.start()
    return started


def free_port() -> str:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def wait(processes: list[BaseProcess], patience: float = 120) -> list[int | None]:
    """Their exit codes; those that hang are killed."""
    for process in processes:
        process.join(patience)
        process.kill()
        process.join()
    return [process.exitcode for process in processes]


def _run(environment: dict[str, str], function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    import torch

    os.environ.update(environment, OMP_NUM_THREADS="1")  # where it is unset, accelerate sets torch's threads
    torch.set_num_threads(1)
    function(*arguments)


def write_part(folder: Path, base: Path) -> None:
    """Shard a model over the processes of this group; write how much of each parameter this one holds."""
    import json

    from torch import distributed
    from transformers import AutoModelForSequenceClassification

    from rm_selection.sharding import shard

    distributed.init_process_group("gloo")
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    shard(model)
    held = {name: [one.to_local().numel(), one.numel()] for name, one in model.named_parameters()}
    (folder / f"{distributed.get_rank()}.json").write_text(json.dumps(held))
    distributed.destroy_process_group()
