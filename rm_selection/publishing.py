"""Boards of a study as files, and from a machine with a key as pages of W&B.

outputs/<study>/dashboards/
    workspace.json, report.json    the whole specification, as W&B's own library writes and reads it
    points/                        the run with the table of scores beside figures, offline where nothing is sent
    published.json                 which pages there are, so that the same command updates them
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from rm_selection import boards, tracking
from rm_selection.boards import Place
from rm_selection.errors import PublishError, StudyError
from rm_selection.logged import Logged, Points
from rm_selection.studies import write_text

AGAIN = "then repeat the command"


def write(folder: Path, logged: Logged, points: Points, project: str) -> tuple[Path, Path]:
    """Write both specifications; returns their files. Nobody needs to be logged in.

    Raises:
        StudyError: the folder cannot be written.
    """
    view, page = boards.workspace(logged, Place(project)), boards.report(logged, points, Place(project))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _dump(view, folder / "workspace.json"), _dump(page, folder / "report.json")
    except OSError as error:
        raise StudyError(f"{folder} cannot be written ({error.strerror}); choose another with output=") from error


def log(folder: Path, study: str, points: Points, mode: str, project: str) -> None:
    """Log the table of scores beside figures as a run of the study's group; one of an earlier time is replaced."""
    shutil.rmtree(folder / boards.POINTS, ignore_errors=True)
    (folder / boards.POINTS).mkdir(parents=True)
    run = tracking.tracker(mode, project, study, boards.POINTS, [boards.POINTS], {}, folder / boards.POINTS)
    run.table(boards.POINTS, points.table)
    run.close()


def publish(folder: Path, logged: Logged, points: Points, project: str) -> dict[str, str]:
    """Put table, workspace and report on W&B, or bring up to date what is there; returns both addresses by name.

    Raises:
        PublishError: W&B refused it or gave no answer, and what to do.
    """
    if not tracking.reachable():
        raise PublishError(f"{_kept(folder)}: {tracking.server()} cannot be reached; connect, {AGAIN}")
    try:
        import wandb

        entity = os.environ.get("WANDB_ENTITY") or str(wandb.Api().default_entity)
        log(folder, logged.study, points, "auto", project)
        return _save(folder, logged, points, Place(project, entity))
    except Exception as error:  # whatever the client raises, the user is told in a sentence
        raise PublishError(f"{_kept(folder)}: {_reason(error, project)}") from error


def how(mode: str) -> str:
    """How to publish what was only written."""
    login = "" if tracking.has_key() else "`wandb login`, then "
    return f"to publish: {login}the same command{'' if mode == 'auto' else ' with tracking.mode=auto'}"


def offline(study: Path) -> str:
    """How to publish the runs that were kept offline; empty where there are none."""
    kept = "*/*/wandb/offline-run-*"
    return f"to publish offline runs: wandb sync {shlex.quote(str(study))}/{kept}" if any(study.glob(kept)) else ""


def _save(folder: Path, logged: Logged, points: Points, place: Place) -> dict[str, str]:
    path = folder / "published.json"
    where = [place.entity, place.project]
    known = _earlier(path, where)
    view = boards.workspace(logged, place)
    view._internal_name, view._internal_id = known.get("workspace", ("", ""))
    view.save()
    known["workspace"] = [view._internal_name, view._internal_id]
    write_text(path, json.dumps(known))  # at once: a report that fails must not make the next view a second one
    page = boards.report(logged, points, Place(place.project, place.entity, str(view.url)))
    page.id = known.get("report", "")
    page.save()
    write_text(path, json.dumps(known | {"report": page.id}))
    return {"workspace": str(view.url), "report": str(page.url)}


def _earlier(path: Path, where: list[str]) -> dict[str, Any]:
    """The pages published before at the same place; none where the file is no record of it."""
    with suppress(OSError, ValueError):
        known = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(known, dict) and known.get("where") == where:
            return known
    return {"where": where}


def _dump(board: Any, path: Path) -> Path:
    """The library has no public way to a specification but its server; this is what it sends there."""
    model = board._to_model().model_dump(mode="json", by_alias=True, exclude_none=True)
    write_text(path, json.dumps(model, indent=2) + "\n")
    return path


def _kept(folder: Path) -> str:
    return f"the dashboards were not published, their specification is in {folder}"


def _reason(error: Exception, project: str) -> str:
    import wandb

    response = getattr(error, "response", None)
    status = getattr(response, "http_status", None) or getattr(response, "status_code", None)
    line = " ".join(str(error).split())[:200] or type(error).__name__
    if isinstance(error, wandb.errors.AuthenticationError) or status == 401:
        return f"W&B does not accept the key ({line}); run `wandb login --relogin`, {AGAIN}"
    if status in (403, 404) or "not found" in line or "permission" in line:
        team = "set WANDB_ENTITY to a user or team of yours, or tracking.project="
        return f"this key may not write to project {project} ({line}); {team}, {AGAIN}"
    if isinstance(error, (ConnectionError, TimeoutError)):
        return f"W&B gave no answer ({line}); connect, {AGAIN}"
    return f"W&B's client says {line}; correct that, {AGAIN}"
