"""States of responses on disk: a pass that was killed goes on, and probes with other folds do not run the base again.

    outputs/<study>/features/hidden_states/<digest>.safetensors

The digest stands for weights, tokens and precision. The file holds the first responses of the pass, all of them where
it got to its end, and is replaced whole.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from rm_selection import runs
from rm_selection.errors import StudyError
from rm_selection.features.frozen_pass import DEPTHS, POOLINGS, States
from rm_selection.features.responses import Response

FOLDER = "hidden_states"
SAVE_EVERY_S = 60.0
VERSION = 1  # raise it when the pass changes what it finds


def place(features: Path, weights: str, responses: Sequence[Response], precision: str) -> Path:
    """The file of one pass; `weights` is a checkpoint's fingerprint or commit."""
    read = hashlib.sha256()
    for one in responses:
        read.update(np.array([len(one.ids), one.start, *one.ids], dtype="<i8").tobytes())
    known = {"version": VERSION, "weights": weights, "precision": precision, "responses": read.hexdigest()}
    return features / FOLDER / f"{runs.digest(known | {'depths': DEPTHS, 'poolings': POOLINGS})}.safetensors"


def gathered(
    path: Path, responses: Sequence[Response], run: Callable[[Sequence[Response]], Iterator[States]]
) -> tuple[States, int]:
    """The states of all responses, and how many of them had to be run.

    Args:
        path: see `place`.
        responses: in the order of the pass.
        run: the pass over the rest of them, batch by batch.

    Raises:
        StudyError: the file cannot be written.
    """
    found = _load(path)
    before = 0 if found is None else len(found)
    parts = [] if found is None else [found]
    saved = time.monotonic()
    for states in run(responses[before:]) if before < len(responses) else ():
        parts.append(states)
        if time.monotonic() - saved > SAVE_EVERY_S:
            parts = [States.joined(parts)]
            _save(path, parts[0])
            saved = time.monotonic()
    whole = States.joined(parts)
    if before < len(responses):
        _save(path, whole)
    return whole, len(responses) - before


def _load(path: Path) -> States | None:
    try:
        return States(**load_file(path))
    except FileNotFoundError:
        return None
    except (SafetensorError, OSError, TypeError):  # a damaged copy of what can be made again
        return None


def _save(path: Path, states: States) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(dict(vars(states)), part)
        part.replace(path)
    except (OSError, SafetensorError) as error:
        raise StudyError(f"{path.parent} cannot be written ({error}); choose another with output=") from error
