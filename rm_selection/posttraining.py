"""A chain of post-training stages of one base, from settings to records; like `cells` for reward models.

    for outcome in run(settings): ...     # sft, dpo, rlvr, as far as each could be made

outputs/<study>/stages/<base>@made-<stage>/
    run.json     as of a run; `checkpoint` (with made_from), `improvement` on what the stage trains on
    log.jsonl    the training log
    model/       the checkpoint, which base@made-<stage> then means in this study
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from rm_selection import checkpoints, runs
from rm_selection.checkpoint_folder import fingerprint
from rm_selection.checkpoints import Checkpoint, made_folder, parent, resolve
from rm_selection.outcomes import Outcome, Task, settle
from rm_selection.posttrain_settings import PosttrainConfig
from rm_selection.tracking import Tracker, tracker


def run(settings: PosttrainConfig) -> Iterator[Outcome]:
    """Make the stages in order and record each; the first that is not finished is the last.

    Raises:
        RunError: one is finished, but was made by another recipe, from other data or from another parent.
        KeyboardInterrupt: after the record says so.
    """
    for stage in settings.stage:
        outcome = _one(settings, stage)
        yield outcome
        if outcome.status != "finished":
            return


def folders(settings: PosttrainConfig) -> list[Path]:
    """Where the records of the stages lie, or will."""
    return [made_folder(settings.folder, settings.base.name, f"made-{stage}") for stage in settings.stage]


def _one(settings: PosttrainConfig, stage: str) -> Outcome:
    name = f"made-{stage}"
    folder = made_folder(settings.folder, settings.base.name, name)
    recipe = getattr(settings.recipe, stage)
    compared = {
        "stage": stage,
        "recipe": {key: value for key, value in asdict(recipe).items() if key != "micro_batch"},
        "precision": settings.hardware.precision,
        "seed": settings.seed,
    }

    def begin() -> tuple[dict[str, str], Task]:
        start = resolve(settings.base, parent(name), settings.folder)
        found = {"parent": start.revision or fingerprint(Path(start.source))}
        if recipe.path is not None and Path(recipe.path).is_file():
            found["data"] = runs.sha256(Path(recipe.path))
        return found, partial(_fresh, settings, stage, start, folder)

    return settle(folder, compared, begin)


def _fresh(settings: PosttrainConfig, stage: str, start: Checkpoint, folder: Path, record: runs.Record) -> runs.Record:
    """Make one stage; returns what the record gains."""
    commit = checkpoints.commit(start)  # tells within a second where the Hub or the repository is missing
    start = replace(start, revision=commit or start.revision)

    from rm_selection.stages.work import make

    mirror, failed = _mirror(settings, start, stage, folder, record), True
    try:
        gained = make(settings, stage, start, folder, lambda line: mirror.log(line, int(line["step"])))
        mirror.summary({"improvement": gained["improvement"], "cost": gained["cost"]})
        hashed = fingerprint(folder / "model")
        mirror.made(folder.name, "checkpoint", {"made_from": start.name, "sha256": hashed})
        failed = False
    finally:
        mirror.close(failed)
    shutil.copy2(folder / "training" / "log.jsonl", folder / "log.jsonl")
    shutil.rmtree(folder / "training", ignore_errors=True)
    made = replace(start, stage=f"made-{stage}", source=str(folder / "model"), revision=None, made_from=start.name)
    known: dict[str, Any] = {"checkpoint": asdict(made) | {"name": made.name}, "parent": asdict(start)}
    known["fingerprint"] = hashed
    return record | known | gained | {"provenance": runs.provenance(settings.seed), "status": "finished"}


def _mirror(settings: PosttrainConfig, start: Checkpoint, stage: str, folder: Path, record: runs.Record) -> Tracker:
    tags = [start.family, f"made-{stage}", "posttrain"]
    about = dict(record["settings"]) | {"base": start.base, "made_from": start.name}
    mode, project = settings.tracking.mode, settings.tracking.project
    return tracker(mode, project, settings.study, folder.name, tags, about, folder)
