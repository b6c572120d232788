"""A sweep started as a person starts it, and its jobs as seen from outside: which process trains a cell, how far it is.

Shared by the tests of the engines: of joblib, and tests/on_slurm and tests/on_ray, which `make test-slurm` and
`make test-ray` run.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd

from rm_selection import runs

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[1]
# Some seconds of training with 20 checkpoints: a process that is told to end goes on for two.
LONG = ("training.max_steps=200", "training.checkpoint_steps=10", "objective.epochs=40", "hardware.threads=1")


@dataclass
class Sweep:
    """The command while it runs, and the files that hold what it says."""

    process: subprocess.Popen[bytes]
    study: Path
    said: Path
    told: Path

    def end(self, patience: float = 240) -> tuple[int, str, str]:
        """Its exit code, output and error stream."""
        code = self.process.wait(patience)
        return code, self.said.read_text(), self.told.read_text()


@contextmanager
def started(world: Path, study: str, line: list[str], environment: Mapping[str, str]) -> Iterator[Sweep]:
    """Python -m rm_selection.train -m with these words; killed where the test ends before it."""
    command = [sys.executable, "-m", "rm_selection.train", "-m", *line, f"study={study}"]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    known = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment}
    said, told = world / f"{study}.out", world / f"{study}.err"
    with said.open("w") as out, told.open("w") as err:
        process = subprocess.Popen(command, cwd=world, env=known, stdout=out, stderr=err)
    try:
        yield Sweep(process, world / "outputs" / study, said, told)
    finally:
        process.kill()
        process.wait()


def until(seen: Callable[[], T | None], patience: float = 120) -> T:
    """What is seen as soon as something is."""
    ends = time.monotonic() + patience
    while time.monotonic() < ends:
        if found := seen():
            return found
        time.sleep(0.02)
    raise TimeoutError(f"{seen} saw nothing for {patience} seconds")


def in_training(sweep: Sweep, seed: int) -> int:
    """The process that trains the cell of a seed, once the cell has a whole checkpoint and is not finished."""

    def seen() -> int | None:
        assert sweep.process.poll() is None, sweep.end()
        return trained_by(sweep.study, seed)

    return until(seen)


def trained_by(study: Path, seed: int) -> int | None:
    """The process that trains the cell of a seed, where the cell has a whole checkpoint by now."""
    for folder in study.glob(f"runs/*__s{seed}-*"):
        if any(folder.rglob("whole.json")):
            assert not (folder / "run.json").exists(), "the cell was finished before it could be killed"
            return holder(folder / ".lock")
    return None


def holder(file: Path) -> int | None:
    """The process that has a file open."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.readlink() == file:
                return int(link.parts[2])
        except OSError:  # gone meanwhile
            continue
    return None


def finished(study: Path) -> set[int]:
    """The seeds of the cells that are."""
    return {record["provenance"]["seed"] for record in runs.records(study) if record["status"] == "finished"}


def scores(study: Path, seed: int) -> pd.DataFrame:
    """Of each pair, by the cell of a seed."""
    (folder,) = study.glob(f"runs/*__s{seed}-*")
    return pd.read_parquet(folder / "scores.parquet")
