"""Checkpoints of a training run that can be killed at any time, and its log.

<folder>/checkpoint-<step>/   written by the Trainer: weights, optimiser, schedule, random state
    whole.json                written last, by rename: without it the checkpoint is half-written and is thrown away
<folder>/log.jsonl            a line an optimiser step and an evaluation; cut back to the checkpoint on resuming

Kept are the last whole checkpoint, to go on from, and the best one, for its weights.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from rm_selection.errors import RunError

MARK = "whole.json"
LOG = "log.jsonl"
AT_ONCE = ("micro_tokens", "fills_memory", "tokens_per_batch", "shares_prompts")
# What only resuming needs: two thirds of a checkpoint's size.
RESUME_FILES = (MARK, "optimizer*.pt", "scheduler.pt", "rng_state*.pth")


@dataclass(frozen=True)
class State:
    """What the Trainer does not keep of a run: its settings, its evaluations so far, and what they cost."""

    step: int
    best_step: int
    finished: bool
    settings: dict[str, object]
    evaluations: tuple[dict[str, float], ...]
    tokens: int
    pad_tokens: int
    seconds: float


def checkpoint(folder: Path, step: int) -> Path:
    """Where the Trainer puts the checkpoint of a step."""
    return folder / f"checkpoint-{step}"


def mark_whole(folder: Path, state: State) -> None:
    """Declare the checkpoint of `state.step` whole, then drop the ones it makes useless."""
    path = checkpoint(folder, state.step)
    partial = path / f".{MARK}"
    partial.write_text(json.dumps(asdict(state)), encoding="utf-8")
    partial.replace(path / MARK)
    for old in folder.glob("checkpoint-*"):
        if old == checkpoint(folder, state.best_step) and old != path:
            for file in [file for name in RESUME_FILES for file in old.glob(name)]:
                file.unlink()
        elif old != path:
            _drop(old)


def last_whole(folder: Path, settings: Mapping[str, object]) -> State | None:
    """The state to go on from, or None; half-written checkpoints are removed.

    Args:
        folder: of the run.
        settings: JSON values; those the run was begun with, and hashes of its inputs.

    Raises:
        RunError: the run was begun with other settings; the first that differs is named with both values.
    """
    found = [_read(mark) for mark in folder.glob(f"checkpoint-*/{MARK}")]
    state = max(found, key=lambda one: one.step, default=None)
    keep = () if state is None else (checkpoint(folder, state.step), checkpoint(folder, state.best_step))
    for path in folder.glob("checkpoint-*"):
        if path not in keep:
            _drop(path)
    before, now = decisive({} if state is None else state.settings), decisive(settings)
    if state is not None and before != now:
        name = next(key for key in (*now, *before) if key not in before or before[key] != now.get(key))
        raise RunError(
            f"{folder.name} was begun with {name}={before.get(name)!r}, now it is {now.get(name)!r};"
            " restore it, or start anew with training.resume=false"
        )
    return state


def decisive(settings: Mapping[str, object]) -> dict[str, object]:
    """The settings that decide what a training comes to.

    AT_ONCE are left out: they say what runs together, and losses are sums over the same rows whatever these share a
    pass or a prompt with, so it ends equal but for rounding.
    """
    return {name: value for name, value in settings.items() if name not in AT_ONCE}


def peek(folder: Path) -> State | None:
    """The state of the newest whole checkpoint, while another process may be at work on it; nothing is removed."""
    found = []
    for mark in folder.glob(f"checkpoint-*/{MARK}"):
        with suppress(OSError, ValueError, TypeError):  # dropped meanwhile
            found.append(_read(mark))
    return max(found, key=lambda one: one.step, default=None)


def discard(folder: Path) -> None:
    """Remove checkpoints and log."""
    for path in folder.glob("checkpoint-*"):
        _drop(path)
    (folder / LOG).unlink(missing_ok=True)


def append(folder: Path, line: Mapping[str, float]) -> None:
    """Add a line to the log."""
    with (folder / LOG).open("a", encoding="utf-8") as log:
        log.write(json.dumps(dict(line)) + "\n")


def cut_log(folder: Path, step: int) -> None:
    """Drop what was logged after `step`, for it is about to happen again, and a half-written last line."""
    path = folder / LOG
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
    partial = path.with_name(f".{LOG}")
    partial.write_text("".join(kept), encoding="utf-8")
    partial.replace(path)


def _read(mark: Path) -> State:
    known = json.loads(mark.read_text(encoding="utf-8"))
    return State(**known | {"evaluations": tuple(known["evaluations"])})


def _drop(path: Path) -> None:
    (path / MARK).unlink(missing_ok=True)  # first: what is being deleted is whole no longer
    shutil.rmtree(path)
