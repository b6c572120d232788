"""What became of one piece of a sweep, and the record that says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rm_selection import distributed, runs
from rm_selection.errors import RunError, SelectionError, UnpublishedStage
from rm_selection.failures import failure

Task = Callable[[runs.Record], runs.Record]  # the record so far -> what it gains


@dataclass(frozen=True)
class Outcome:
    """What became of it. status: finished, partial, failed, skipped, or busy where another process works on it."""

    run_id: str
    folder: Path
    status: str
    reason: str = ""
    new: bool = True  # False where it was finished before


def settle(
    folder: Path,
    settings: Mapping[str, Any],
    begin: Callable[[], tuple[Mapping[str, str], Task]],
    until: float = 1.0,
) -> Outcome:
    """Do one piece of a sweep, named like its folder, unless it is finished, and record what became of it.

    Args:
        folder: where its record lies.
        settings: what decides the result, compared with those of a finished record.
        begin: gives hashes of the inputs, compared likewise, and the task that is then to be done.
        until: share of it that is wanted; a record of as much is not made again.

    Raises:
        RunError: it is finished, but was made with other settings or from other inputs.
        KeyboardInterrupt: after the record says so.
    """
    if not distributed.first():
        return _follow(folder, begin)
    with distributed.followers() as call, runs.locked(folder) as ours:
        if not ours:
            return Outcome(folder.name, folder, "busy", "another process works on it", new=False)
        record: runs.Record = {"status": "failed", "run_id": folder.name, "settings": dict(settings)}
        try:
            record["inputs"], task = begin()
            if runs.finished(folder, settings, record["inputs"], until):
                return Outcome(folder.name, folder, _status(folder), new=False)
            call()
            record |= _partials(folder, record)
            record |= task(record)
        except UnpublishedStage as error:
            record |= {"status": "skipped", "reason": str(error)}
        except RunError:
            raise
        except KeyboardInterrupt as error:
            _keep(folder, record | failure(error))
            raise
        except Exception as error:  # noqa: BLE001 - whatever ends a piece is recorded, and the sweep goes on
            record |= failure(error)
        _keep(folder, record)
    return Outcome(folder.name, folder, record["status"], record.get("reason", ""))


def _follow(folder: Path, begin: Callable[[], tuple[Mapping[str, str], Task]]) -> Outcome:
    """Take part in what the first process does until it is done with the piece; record nothing, and tell no error."""
    if distributed.called():
        _, task = begin()
        with suppress(SelectionError):
            task({"run_id": folder.name, "settings": {}})
        distributed.called()
    return Outcome(folder.name, folder, "followed", new=False)


def _status(folder: Path) -> str:
    return str((runs.read_record(folder) or {})["status"])


def _partials(folder: Path, record: runs.Record) -> runs.Record:
    """What earlier parts of the same piece came to, to be kept whatever becomes of the next."""
    known = runs.read_record(folder) or {}
    mine = json.loads(json.dumps(record))
    same = all(runs.difference(known.get(part, {}), mine[part]) is None for part in ("settings", "inputs"))
    return {"partials": known["partials"]} if "partials" in known and same else {}


def _keep(folder: Path, record: runs.Record) -> None:
    """Write the record, unless it tells of a failure to get as far as a run that is finished already."""
    known = runs.read_record(folder)
    if record["status"] == "finished" or known is None or known["status"] != "finished":
        runs.write_record(folder, record)
