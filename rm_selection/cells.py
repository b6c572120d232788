"""One cell of a sweep, from settings to record: a base at a stage, a dataset, an objective, a seed.

    outcome = run(settings)     # trained, scored and recorded; or found finished, skipped or failed, with its reason

The record is written last and whole: a cell killed before goes on from its last whole checkpoint. One that was wanted
for a share of its steps is recorded as partial, with its scores so far, and goes on from there when more is wanted.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rm_selection import checkpoints, distributed, runs
from rm_selection.checkpoint_folder import fingerprint
from rm_selection.checkpoints import Checkpoint, resolve
from rm_selection.errors import PushError
from rm_selection.evaluation_sets import sources
from rm_selection.outcomes import Outcome, Task, settle
from rm_selection.tracking import NoTracker, Tracker, tracker
from rm_selection.train_settings import TrainConfig
from rm_selection.training_data import for_objective

if TYPE_CHECKING:
    from rm_selection.work import Work


def run(settings: TrainConfig) -> Outcome:
    """Train, score and record one cell.

    Raises:
        ConfigError: the objective cannot learn from the dataset.
        RunError: it is finished, but was made from other data or weights.
        KeyboardInterrupt: after the record says so.
    """
    distributed.join(settings.hardware)
    settings = _learning(settings)
    compared, (folder,) = _compared(settings), folders(settings)

    def begin() -> tuple[dict[str, str], Task]:
        checkpoint = resolve(settings.base, settings.stage, settings.folder)
        return inputs(settings, checkpoint), partial(_fresh, settings, checkpoint, folder)

    outcome = settle(folder, compared, begin, settings.until)
    if settings.training.push_to_hub is not None and distributed.first():
        _push(folder, settings.training.push_to_hub)
    return outcome


def folders(settings: TrainConfig) -> list[Path]:
    """Where the record of the cell lies, or will.

    Raises:
        ConfigError: the objective cannot learn from the dataset.
    """
    settings = _learning(settings)
    name = f"{settings.base.name}@{settings.stage}"
    compared = _compared(settings)
    run_id = runs.run_id(name, settings.dataset.name, settings.objective.name, settings.seed, compared)
    return [settings.folder / "runs" / run_id]


def _learning(settings: TrainConfig) -> TrainConfig:
    """The settings with a dataset that the objective learns from."""
    return replace(settings, dataset=for_objective(settings.dataset, settings.objective.name, settings.context))


def compared_settings(settings: TrainConfig) -> dict[str, Any]:
    """What decides the weights and is compared before a finished run is skipped; not where it runs or is mirrored.

    Raises:
        ConfigError: the objective cannot learn from the dataset.
    """
    return _compared(_learning(settings))


def _compared(settings: TrainConfig) -> dict[str, Any]:
    dataset, training, objective = asdict(settings.dataset), asdict(settings.training), asdict(settings.objective)
    for name in ("resume", "push_to_hub"):
        training.pop(name)
    if objective["search"] == "grid":
        objective.pop("search")  # as all runs were searched before there was a choice
    evaluation = {name: asdict(one) for name, one in settings.evaluation.sets.items()}
    return {
        "dataset": dataset,
        "objective": objective,
        "training": training,
        "evaluation": evaluation,
        "precision": settings.hardware.precision,
    }


def inputs(settings: TrainConfig, checkpoint: Checkpoint) -> dict[str, str]:
    """Hashes of the local files a run is made from: weights, data and benchmarks; the Hub's are in the settings."""
    dataset = settings.dataset
    own = {"train": dataset.train, "validation": dataset.validation} if dataset.repo is None else {}
    files = (
        own
        | {"pairs": dataset.pairs}
        | {
            name: source.path_or_repo
            for name, (_, source, _) in sources(settings.evaluation).items()
            if source.kind == "jsonl"
        }
    )
    found = {"checkpoint": checkpoint.revision or fingerprint(Path(checkpoint.source))}
    return found | {name: runs.sha256(Path(path)) for name, path in files.items() if path and Path(path).is_file()}


def _fresh(settings: TrainConfig, checkpoint: Checkpoint, folder: Path, record: runs.Record) -> runs.Record:
    """Train and score; returns what the record gains."""
    commit = checkpoints.commit(checkpoint)  # tells within a second where the Hub or the repository is missing

    from rm_selection.work import Work

    started = time.time()
    checkpoint = replace(checkpoint, revision=commit or checkpoint.revision)
    if not distributed.first():
        return Work(settings, checkpoint, folder, NoTracker()).learn()
    mirror = _mirror(settings, checkpoint, folder, record)
    failed = True
    try:
        work = Work(settings, checkpoint, folder, mirror, checkpoint.revision or record["inputs"]["checkpoint"])
        gained = _scored(work, record | {"provenance": runs.provenance(settings.seed)})
        gained["cost"]["seconds"] = round(time.time() - started, 3) + _before(record)
        gained |= _finish(work, gained) if settings.until == 1 else _parted(gained, settings.until)
        mirror.summary({"scores": gained["scores"], "cost": gained["cost"]})
        failed = False
    finally:
        mirror.close(failed)
    if settings.until == 1:
        shutil.rmtree(folder / "training", ignore_errors=True)
    return gained


def _scored(work: Work, record: runs.Record) -> runs.Record:
    gained = record | work.learn()
    return gained | work.score()


def _finish(work: Work, record: runs.Record) -> runs.Record:
    work.save(record)
    return {"status": "finished"}


def _parted(record: runs.Record, share: float) -> runs.Record:
    """What the record of a part of a training says: its share of the steps, its scores, and seconds in all so far."""
    scores = {name: found["score"] for name, found in record["scores"].items() if "score" in found}
    part = {"share": share, "scores": scores, "seconds": record["cost"]["seconds"]}
    reason = f"{share:.0%} of the steps were wanted"
    return {"status": "partial", "reason": reason, "partials": [*record.get("partials", []), part]}


def _before(record: runs.Record) -> float:
    """Seconds that earlier parts of the training took."""
    return float(record["partials"][-1]["seconds"]) if "partials" in record else 0.0


def _push(folder: Path, repo: str) -> None:
    """Upload a finished model that is not there yet; the run stays finished whatever comes of it."""
    from rm_selection import console, hub

    with runs.locked(folder) as ours:
        record = runs.read_record(folder)
        if not ours or record is None or record["status"] != "finished":
            return
        pushed = record.get("push", "failed")
        if not pushed.startswith("failed") and f"/{repo}/" in pushed:
            return
        try:
            record["push"] = hub.push(folder / "model", repo)
        except PushError as error:
            record["push"] = f"failed: {error}"
            console.line(f"warning: {error}")
        runs.write_record(folder, record)


def _mirror(settings: TrainConfig, checkpoint: Checkpoint, folder: Path, record: Mapping[str, Any]) -> Tracker:
    size = "unknown size" if checkpoint.params_b is None else f"{checkpoint.params_b:g}B"
    tags = [checkpoint.family, size, checkpoint.stage, settings.objective.name, settings.dataset.name]
    mode, project = settings.tracking.mode, settings.tracking.project
    known = {name: getattr(checkpoint, name) for name in ("base", "stage", "family", "params_b")}
    about = dict(record["settings"]) | known | {"seed": settings.seed}
    return tracker(mode, project, settings.study, str(record["run_id"]), tags, about, folder)
