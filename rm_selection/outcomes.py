"""What became of one piece of a sweep, and the record that says so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rm_selection import runs


@dataclass(frozen=True)
class Outcome:
    """What became of it. status: finished, failed, skipped, or busy where another process works on it."""

    run_id: str
    folder: Path
    status: str
    reason: str = ""
    new: bool = True  # False where it was finished before


def keep(folder: Path, record: runs.Record) -> None:
    """Write the record, unless it tells of a failure to get as far as a run that is finished already."""
    known = runs.read_record(folder)
    if record["status"] == "finished" or known is None or known["status"] != "finished":
        runs.write_record(folder, record)
