"""What the jobs of a command refused, brought to the process that started them.

A launcher of Hydra may run a job in a worker process, from which no list comes back, and of the errors that do Hydra
shows the first only. So each job writes its refusal into a folder that the starting process made.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
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


@contextmanager
def refusals() -> Iterator[Refusals]:
    """Where jobs note what they refuse; it is raised when all are done.

    Raises:
        SelectionError: one job refused, or several, a line each; or a worker process was killed, which ends the sweep.
    """
    with TemporaryDirectory(prefix="rm-selection-") as folder, warnings.catch_warnings():
        # joblib replaces a worker that has grown by 300 MB, as one does that refused its first job and then loads torch
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)
        noted, killed = Refusals(Path(folder)), []
        try:
            yield noted
        except BrokenExecutor as error:
            killed.append(_killed(str(error)))
        told = noted.told() + killed
    if len(told) == 1:
        raise SelectionError(told[0])
    if told:
        raise SelectionError("\n".join([f"{len(told)} jobs failed:", *told]))


def _killed(report: str) -> str:
    signals = ", ".join(sorted(set(re.findall(r"\bSIG[A-Z]+\b", report) or ["it"])))
    return (
        f"a worker process was killed ({signals}), maybe for want of memory, which ended the sweep; give the same"
        " command again to go on with what is not finished, with fewer workers (hydra.launcher.n_jobs=1) if it recurs"
    )
