"""Which cells a sweep is to run, told before it begins, so that `status` knows what waits.

outputs/<study>/sweeps/<command>-<random>.json
    command    train, measure or posttrain
    words      what was given after -m
    cells      where each cell's record will lie in the study -> billions of parameters of its base, null: unknown

The process that was started writes it and keeps it locked until its last cell is done, whatever launcher runs them; the
lock goes with the process. When the sweep began is the time of the file. A new sweep takes the place of an ended one of
the same command.
"""

from __future__ import annotations

import fcntl
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rm_selection import runs
from rm_selection.errors import StudyError

FOLDER = "sweeps"
_HELD = ExitStack()  # the locks of this process


@dataclass(frozen=True)
class Sweep:
    """What a sweep is to run. began: seconds since the epoch. live: whether its process is there."""

    command: str
    words: Sequence[str]
    cells: Mapping[str, float | None]
    began: float
    live: bool


@contextmanager
def kept() -> Iterator[None]:
    """The sweeps written inside count as live, to the end of the block or of the process."""
    with _HELD:
        yield


def write(study: Path, command: str, words: Sequence[str], cells: Mapping[str, float | None]) -> None:
    """Tell what a sweep is to run."""
    folder, name = study / FOLDER, f"{command}-{secrets.token_hex(4)}.json"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{command}-*.json"):
        if not runs.held(old):
            old.unlink(missing_ok=True)
    handle = _HELD.enter_context((folder / f".{name}").open("w", encoding="utf-8"))
    json.dump({"command": command, "words": list(words), "cells": dict(cells)}, handle, indent=1)
    handle.flush()
    fcntl.flock(handle, fcntl.LOCK_EX)  # before anybody can find it, so that it is never taken for an ended one
    (folder / f".{name}").rename(folder / name)


def read(study: Path) -> list[Sweep]:
    """The sweeps of a study that run, and the last ended one of each command.

    Raises:
        StudyError: a file is not what `write` writes.
    """
    return [sweep for path in sorted((study / FOLDER).glob("[!.]*.json")) if (sweep := _read(path)) is not None]


def _read(path: Path) -> Sweep | None:
    try:
        live = runs.held(path)
        known, began = json.loads(path.read_text(encoding="utf-8")), path.stat().st_mtime
        return Sweep(str(known["command"]), list(known["words"]), dict(known["cells"]), began, live)
    except FileNotFoundError:  # a new sweep takes its place
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise StudyError(f"{path} is no list of a sweep's cells; remove it") from error
