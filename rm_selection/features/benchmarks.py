"""Scores on public benchmarks: run with lm-evaluation-harness and EvalPlus, or imported from results made elsewhere.

Each run of a task is kept, as the harness's own JSON, in <folder>/tasks as soon as it is done, and not run again.
Values are percentages, 0-100. A benchmark that cannot be run is missing, with its reason in details["missing"].
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rm_selection import console, runs
from rm_selection.checkpoint_folder import fingerprint
from rm_selection.checkpoints import Checkpoint
from rm_selection.errors import MeasurementError
from rm_selection.features import Measured, Place
from rm_selection.features.harness_results import Result, Results, read
from rm_selection.features.scores import Score, measured, row_of, score
from rm_selection.features.suites import Benchmark, suite
from rm_selection.measure_settings import BenchmarksConfig
from rm_selection.studies import write_text


def measure(checkpoint: Checkpoint, settings: BenchmarksConfig, place: Place) -> Measured:
    """Score a checkpoint on a suite, or import what others scored.

    Raises:
        MeasurementError: not one benchmark could be measured, or what is imported is unclear.
        ModelError: the base cannot be loaded.
        ConfigError: there is no such suite.
    """
    if settings.import_from is not None:
        from rm_selection.features import importers

        return importers.measured_elsewhere(checkpoint, settings)
    folder = settings.folder()
    return _Run(checkpoint, settings, place).measure(suite(settings.suite) if folder is None else (), folder)


class _Run:
    """One suite on one checkpoint."""

    def __init__(self, checkpoint: Checkpoint, settings: BenchmarksConfig, place: Place) -> None:
        self.checkpoint, self.settings, self.place = checkpoint, settings, place
        self.missing: dict[str, str] = {}
        self.scores: dict[str, Score] = {}
        self.tokens = 0

    def measure(self, rows: tuple[Benchmark, ...], folder: Path | None) -> Measured:
        """Run all and put the figures together."""
        files = files_hash(folder) if folder else ""
        rows = self._harness(rows, folder, files)
        self._evalplus([row for row in rows if row.runner == "evalplus"])
        if not self.scores:
            name, reason = next(iter(self.missing.items()))
            raise MeasurementError(f"no benchmark of {self.settings.suite} could be measured; {name}: {reason}")
        found = measured(rows, self.scores, f"folder {files}" if folder else self.settings.suite)
        return replace(found, details={**found.details, "missing": self.missing}, tokens=self.tokens)

    def _harness(self, rows: tuple[Benchmark, ...], folder: Path | None, files: str) -> tuple[Benchmark, ...]:
        """Run what lm-evaluation-harness runs; returns the rows, which for a folder are those of its tasks."""
        from rm_selection.features.harness import Harness
        from rm_selection.features.hub_data import cache_alone, reachable
        from rm_selection.features.language_model import load

        language = load(self.checkpoint, self.place.device, self.place.precision)
        harness = Harness(language, self.place.tokens_per_batch, self.place.precision, folder)
        if folder and not harness.names:
            raise MeasurementError(f"{folder} holds no task of lm-evaluation-harness; put its YAML files there")
        found: Results = {}
        reasons: dict[str, str] = {}
        with cache_alone(when=folder is None and not reachable()):
            for tasks, shots in _runs(rows) if not folder else [((name,), None) for name in harness.names]:
                kept = self.place.folder / "tasks" / f"{_file_name(tasks, shots)}.json"
                try:
                    found |= read(self._kept(kept, files) or self._fresh(kept, files, harness, tasks, shots))
                except Exception as error:  # noqa: BLE001 - tasks are code of others; one that fails costs only itself
                    reasons["+".join(tasks)] = reason(error)
        self.tokens = harness.tokens
        if folder:
            failed = [Result.nothing(name) for name in reasons]  # rows of theirs: no mean without them
            rows = tuple(row_of(result) for result in [*found.values(), *failed] if not result.parts)
        self._score(rows, found, reasons, files)
        return rows

    def _score(self, rows: tuple[Benchmark, ...], found: Results, reasons: dict[str, str], files: str) -> None:
        for row in rows:
            if row.runner != "lm_eval":
                continue
            try:
                figure = score(row, found, files)
            except MeasurementError as error:
                self.missing[row.benchmark] = str(error)
                continue
            if figure is None:
                self.missing[row.benchmark] = reasons.get(row.task, "its task gave no result")
            else:
                self.scores[row.benchmark] = figure

    def _evalplus(self, rows: list[Benchmark]) -> None:
        from rm_selection.features import evalplus

        if rows and not self.settings.evalplus:
            why = "EvalPlus runs code that the base writes; allow it with feature.evalplus=FOLDER for its environment"
            self.missing |= {row.benchmark: why for row in rows}
            return
        for dataset in dict.fromkeys(row.task for row in rows):
            own = [row for row in rows if row.task == dataset]
            try:
                found = evalplus.run(self.checkpoint, dataset, Path(str(self.settings.evalplus)), self.place)
                self.scores |= {row.benchmark: found[row.benchmark] for row in own if row.benchmark in found}
            except MeasurementError as error:
                self.missing |= {row.benchmark: str(error) for row in own}

    def _made_with(self, files: str) -> dict[str, str]:
        """What a kept result must have been made with to be taken again."""
        own = self.checkpoint.revision or fingerprint(Path(self.checkpoint.source))
        version = importlib.metadata.version("lm_eval")
        return {"checkpoint": own, "precision": self.place.precision, "files": files, "lm_eval": version}

    def _kept(self, file: Path, files: str) -> dict[str, Any] | None:
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return data if isinstance(data, dict) and data.get("made_with") == self._made_with(files) else None

    def _fresh(self, file: Path, files: str, harness: Any, tasks: tuple[str, ...], shots: int | None) -> dict[str, Any]:
        started = time.monotonic()
        made = self._made_with(files)
        found: dict[str, Any] = harness.run(tasks, shots)
        data = {**found, "made_with": made, "lm_eval_version": made["lm_eval"]}
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(data, indent=1))
        console.line(f"{file.stem}: {time.monotonic() - started:.1f} s")
        return data


def _runs(rows: tuple[Benchmark, ...]) -> Iterator[tuple[tuple[str, ...], int | None]]:
    """What to run for the rows, each once however many rows read it."""
    yield from dict.fromkeys((row.tasks, row.shots) for row in rows if row.runner == "lm_eval")


def _file_name(tasks: tuple[str, ...], shots: int | None) -> str:
    return "+".join(tasks) + ("" if shots is None else f"_{shots}shot")


def files_hash(folder: Path) -> str:
    """Eight hexadecimal digits of the names and contents of a folder's files."""
    whole = hashlib.sha256()
    for file in sorted(one for one in folder.rglob("*") if one.is_file() and "__pycache__" not in one.parts):
        whole.update(f"{file.relative_to(folder).as_posix()}\0{runs.sha256(file)}\n".encode())
    return whole.hexdigest()[:8]


def reason(error: BaseException) -> str:
    """Why a task could not be run, in a line."""
    text = " ".join(str(error).split()).strip("* ")  # some frame theirs with stars
    if not text or isinstance(error, KeyError):  # which says the key alone
        text = f"{type(error).__name__} {text}".strip()
    return text if len(text) <= 300 else f"{text[:300]}..."
