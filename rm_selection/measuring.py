"""One feature of one checkpoint, from settings to record; like `cells` for reward models.

    outcome = run(settings)     # measured and recorded; or found finished, skipped or failed, with its reason

The record lies in outputs/<study>/features/<base>@<stage>__<feature>-<hash>/run.json and holds, beside what the record
of a run holds, `values`, `protocols` and `details` (see features.Measured).
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rm_selection import checkpoints, runs
from rm_selection.checkpoint_folder import fingerprint
from rm_selection.checkpoints import Checkpoint, resolve
from rm_selection.measure_settings import MeasureConfig
from rm_selection.outcomes import Outcome, Task, settle


def run(settings: MeasureConfig) -> Outcome:
    """Measure and record one feature of one checkpoint.

    Raises:
        RunError: it is finished, but was measured on other data or weights.
        KeyboardInterrupt: after the record says so.
    """
    (folder,) = folders(settings)

    def begin() -> tuple[dict[str, str], Task]:
        checkpoint = resolve(settings.base, settings.stage, settings.folder)
        return inputs(settings, checkpoint), lambda _record: _fresh(settings, checkpoint, folder)

    return settle(folder, _compared(settings), begin)


def folders(settings: MeasureConfig) -> list[Path]:
    """Where the record of the feature lies, or will."""
    name = f"{settings.base.name}@{settings.stage}__{settings.feature.name}-{runs.digest(_compared(settings))}"
    return [settings.feature_folders / name]


def _compared(settings: MeasureConfig) -> dict[str, Any]:
    return {"feature": asdict(settings.feature), "precision": settings.hardware.precision, "seed": settings.seed}


def inputs(settings: MeasureConfig, checkpoint: Checkpoint) -> dict[str, str]:
    """Hashes of the local files that the figures come from: weights and data; the Hub's are in the settings."""
    weights = settings.feature.needs_weights
    own = fingerprint(Path(checkpoint.source)) if weights and checkpoint.revision is None else checkpoint.revision
    found = {"checkpoint": own or checkpoint.source}
    for what, path in settings.feature.files().items():
        found |= {f"{what}/{_inside(file, Path(path))}": runs.sha256(file) for file in _files(Path(path))}
    return found


def _files(path: Path) -> Iterator[Path]:
    """The file, or all files of the folder; nothing where `path` is the name of something else."""
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from sorted(one for one in path.rglob("*") if one.is_file() and "__pycache__" not in one.parts)


def _inside(file: Path, path: Path) -> str:
    return file.name if file == path else file.relative_to(path).as_posix()


def _fresh(settings: MeasureConfig, checkpoint: Checkpoint, folder: Path) -> runs.Record:
    """Measure; returns what the record gains."""
    weights = settings.feature.needs_weights
    commit = checkpoints.commit(checkpoint) if weights else None  # tells within a second where the Hub is missing
    checkpoint = replace(checkpoint, revision=commit or checkpoint.revision)

    from rm_selection.features import Place
    from rm_selection.hardware import device, precision_of

    feature: Any = importlib.import_module(f"rm_selection.features.{settings.feature.name}")
    started = time.time()  # after the imports, which a sweep pays for once
    where = device(settings.hardware)
    precision = precision_of(settings.hardware, where)
    place = Place(folder, where, precision, settings.hardware.tokens_per_batch, settings.seed)
    found = feature.measure(checkpoint, settings.feature, place)
    return {
        "status": "finished",
        "checkpoint": asdict(checkpoint) | {"name": checkpoint.name},
        "values": found.values,
        "protocols": found.protocols,
        "details": found.details,
        "cost": {"seconds": round(time.time() - started, 3), "tokens": found.tokens, "device": where},
        "provenance": runs.provenance(settings.seed),
    }
