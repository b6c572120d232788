"""What the jobs of a command refused, brought to the process that started them.

A launcher of Hydra may run a job in a worker process, from which no list comes back, and of the errors that do Hydra
shows the first only. So each job writes its refusal into a folder that the starting process made; from a machine that
does not see the folder, our launchers bring it back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rm_selection.errors import SelectionError


@dataclass(frozen=True)
class Refusals:
    """A folder with a file for each job that refused."""

    folder: Path

    def add(self, error: SelectionError, job: int) -> None:
        """Note why the job with that number refused.

        Raises:
            SelectionError: `error`, for Hydra to bring back, where the job runs on a machine without the folder.
        """
        if not self.folder.is_dir():
            raise error
        (self.folder / f"{job:08}").write_text(str(error), encoding="utf-8", errors="surrogateescape")

    def told(self) -> list[str]:
        """What was noted, in the order of the jobs."""
        files = sorted(self.folder.iterdir())
        return [file.read_text(encoding="utf-8", errors="surrogateescape") for file in files]


_OPEN: list[Refusals] = []  # of the sweep that this process started


def noted() -> Refusals:
    """Where this process's sweep notes refusals."""
    return _OPEN[-1]


@contextmanager
def refusals() -> Iterator[Refusals]:
    """Where jobs note what they refuse; it is raised when all are done.

    Raises:
        SelectionError: one job refused or was lost, or several, a line each.
    """
    with TemporaryDirectory(prefix="rm-selection-") as folder:
        _OPEN.append(Refusals(Path(folder)))
        try:
            yield noted()
        finally:
            told = _OPEN.pop().told()
    if len(told) == 1:
        raise SelectionError(told[0])
    if told:
        raise SelectionError("\n".join([f"{len(told)} jobs failed:", *told]))
