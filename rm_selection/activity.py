"""How far a running cell is, from the log and the checkpoints that its training leaves (see training_state)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rm_selection.protocol import steps
from rm_selection.runs import modified
from rm_selection.training_state import LOG, State, peek

_TAIL = 4096  # bytes; a line of a log has some three hundred


@dataclass(frozen=True)
class Activity:
    """How far it is; None where it is not known yet.

    rate: the learning rate that is tried. step: of the optimiser, with it. steps: of all.
    figure: name and value of the last validation. wrote: when it last wrote, seconds since the epoch.
    """

    rate: float | None = None
    step: int | None = None
    steps: int | None = None
    figure: tuple[str, float] | None = None
    wrote: float | None = None


def activity(folder: Path) -> Activity:
    """How far the cell in `folder` is; one that keeps no log is known by the files it writes."""
    log = _newest([*folder.glob(f"training/rate-*/{LOG}"), folder / "training" / LOG])
    if log is None:
        last = _newest(folder.glob("*"))
        return Activity(wrote=None if last is None else modified(last))
    state, line = peek(log.parent), _last_line(log)
    rate = log.parent.name.partition("rate-")[2]
    return Activity(
        rate=float(rate) if rate else None,
        step=line.get("step"),
        steps=None if state is None else _steps(state.settings),
        figure=None if state is None else _figure(state),
        wrote=modified(log),
    )


def _steps(settings: Mapping[str, Any]) -> int | None:
    """Of the whole training; None where its settings do not tell."""
    try:
        return steps(settings["rows"], settings["epochs"], settings["global_batch"], settings["max_steps"])
    except KeyError:
        return None


def _figure(state: State) -> tuple[str, float] | None:
    figures = state.evaluations[-1] if state.evaluations else {}
    return next(((name, value) for name, value in figures.items() if name.startswith("validation_")), None)


def _last_line(log: Path) -> Mapping[str, Any]:
    """The last whole line; empty where there is none."""
    with suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL))
        for line in reversed(file.read().splitlines()):
            with suppress(ValueError):
                known = json.loads(line)
                return known if isinstance(known, dict) else {}
    return {}


def _newest(paths: Iterable[Path]) -> Path | None:
    """The file written last; files may go meanwhile."""
    times = {path: modified(path) for path in paths}
    return max((path for path, time in times.items() if time), key=lambda path: times[path] or 0.0, default=None)
