"""What has become of each cell of a study, read from its folders while others work in them; nothing is written.

done       recorded as finished
running    a process holds its lock
waiting    a sweep that runs has not come to it yet, or is to try it again
partial    recorded so: a share of its steps was wanted, and done
failed     recorded so, with its reason
skipped    recorded so: its base has no such stage
stopped    it was begun and killed; the same command goes on with it
not begun  a sweep that ended before had it in its list

Of a record only the parts that are needed are read, so a thousand cells take a quarter of a second.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rm_selection import runs
from rm_selection.errors import RunError, StudyError
from rm_selection.sweeps import FOLDER, Sweep

DONE, RUNNING, WAITING, FAILED, SKIPPED, STOPPED = "done", "running", "waiting", "failed", "skipped", "stopped"
PARTIAL, NOT_BEGUN = "partial", "not begun"
STATES = (DONE, RUNNING, WAITING, PARTIAL, FAILED, SKIPPED, STOPPED, NOT_BEGUN)
PARTS = ("status", "reason", "scores", "cost", "checkpoint")

# What a folder is called in each part of a study, and the command that makes it.
_RUN = re.compile(r"(?P<base>.+?)(@(?P<stage>.+?))?__(?P<data>.+)__(?P<what>.+)__s(?P<seed>\d+)(-\w+)?")
_FEATURE = re.compile(r"(?P<base>.+?)@(?P<stage>.+?)__(?P<what>.+)-\w+")
_STAGE = re.compile(r"(?P<base>.+?)@(?P<what>.+)")
_NAMES = {"runs": ("train", _RUN), "features": ("measure", _FEATURE), "stages": ("posttrain", _STAGE)}


@dataclass(frozen=True)
class Cell:
    """One cell.

    command: train, evaluate, measure or posttrain. what: its objective, feature or stage.
    params_b: of its base, billions; None: unknown. reason: why it failed or was skipped.
    began: when a process last took it; ended: when its record was written; seconds since the epoch, None: not yet.
    seconds: of work, in its record. device: as in the record. scores: 0-100, by evaluation.
    """

    folder: Path
    state: str
    command: str
    base: str
    what: str
    seed: str | None = None
    params_b: float | None = None
    reason: str = ""
    began: float | None = None
    ended: float | None = None
    seconds: float | None = None
    device: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)


def check(study: Path) -> None:
    """Refuse a study that no command has worked on.

    Raises:
        StudyError: those there are are named.
    """
    if _begun(study):
        return
    others = sorted(path.name for path in study.parent.glob("[!.]*") if _begun(path))
    there = f"{study.parent} has {', '.join(others)}" if others else f"{study.parent} has none; train writes the first"
    raise StudyError(f"study={study.name} has no runs, features or stages; {there}")


def _begun(study: Path) -> bool:
    return any((study / part).is_dir() for part in (*_NAMES, FOLDER))


def cells(study: Path, sweeps: Sequence[Sweep]) -> list[Cell]:
    """The cells that a study has or that its sweeps have in their lists, by their place in the study."""
    sizes = {place: size for sweep in sweeps for place, size in sweep.cells.items()}
    since = {place: sweep.began for sweep in sweeps if sweep.live for place in sweep.cells}
    there = {f"{part}/{path.name}" for part in _NAMES for path in (study / part).glob("[!.]*")}
    found = [_cell(study, place, since.get(place), sizes.get(place)) for place in sorted(there | sizes.keys())]
    return [cell for cell in found if cell is not None]


def _cell(study: Path, place: str, since: float | None, size: float | None) -> Cell | None:
    """The cell at a place of the study; None for what is none. since: when a live sweep that has it began."""
    part, _, name = place.partition("/")
    command, names = _NAMES[part]
    if (named := names.fullmatch(name)) is None:
        return None
    known, folder = named.groupdict(), study / place
    record, began, ended = _record(folder), runs.modified(folder / runs.LOCK), runs.modified(folder / "run.json")
    cost, checkpoint = record.get("cost", {}), record.get("checkpoint", {})
    return Cell(
        folder=folder,
        state=_state(folder, record.get("status"), ended or began, since),
        command="evaluate" if known["what"] == "evaluation" else command,
        base=known["base"],
        what=known["what"],
        seed=known.get("seed"),
        params_b=checkpoint.get("params_b", size),
        reason=record.get("reason", ""),
        began=began,
        ended=ended,
        seconds=cost.get("seconds"),
        device=cost.get("device", ""),
        scores=_scores(record),
    )


def _scores(record: Mapping[str, Any]) -> dict[str, float]:
    """Of a finished run; a part of a training says less."""
    found = record.get("scores", {}) if record.get("status") == "finished" else {}
    return {name: one["score"] for name, one in found.items() if "score" in one}


def _state(folder: Path, status: str | None, last: float | None, since: float | None) -> str:
    """last: when something was last written about it, by a record or else by taking its lock."""
    if status == "finished":
        return DONE
    if runs.held(folder / runs.LOCK):
        return RUNNING
    if since is not None and (last is None or last < since):
        return WAITING
    if status is not None:
        return status
    return NOT_BEGUN if last is None else STOPPED


def _record(folder: Path) -> Mapping[str, Any]:
    try:
        return runs.read_parts(folder, PARTS) or {}
    except RunError as error:
        return {"status": "failed", "reason": str(error)}
