"""Benchmark scores that others measured: files of lm-evaluation-harness, the Open LLM Leaderboard and EvalPlus.

The base is found in them by its repository, or by feature.import_name. Every figure keeps its own protocol; one that
two kinds of file hold is refused, for only the user knows which is meant.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from rm_selection.checkpoints import Checkpoint
from rm_selection.columns import shortened
from rm_selection.errors import MeasurementError
from rm_selection.features import Measured, import_evalplus, import_leaderboard, import_lm_eval
from rm_selection.features.imported import Found, Wanted
from rm_selection.features.scores import Score, measured
from rm_selection.features.suites import suite
from rm_selection.measure_settings import BenchmarksConfig

KINDS = "lm-eval JSON, an Open LLM Leaderboard CSV or EvalPlus JSON"


class _Kind(Protocol):
    def scores(self, files: list[tuple[Path, Any]], wanted: Wanted) -> Found: ...


_READERS: dict[str, _Kind] = {"lm_eval": import_lm_eval, "leaderboard": import_leaderboard, "evalplus": import_evalplus}


def measured_elsewhere(checkpoint: Checkpoint, settings: BenchmarksConfig) -> Measured:
    """The figures of a checkpoint in the file or folder of feature.import_from.

    Raises:
        MeasurementError: a file cannot be read, none is of the base, or it is unclear which figure is meant.
    """
    path, wanted = Path(str(settings.import_from)), Wanted(_names(checkpoint, settings.import_name))
    files = list(_contents(path))
    found = {kind: _READERS[kind].scores([(f, c) for k, f, c in files if k == kind], wanted) for kind in _READERS}
    scores: dict[str, Score] = {}
    for kind, here in found.items():
        for name, score in here.scores.items():
            if name in scores:
                both = f"({scores[name].protocol}) and ({score.protocol})"
                raise MeasurementError(f"{path} holds {name} twice, {both}; give feature.import_from one {kind} file")
            scores[name] = score
    remarks = [remark for here in found.values() for remark in here.remarks]
    if not scores:
        raise _nothing(path, wanted, sorted(set().union(*(here.models for here in found.values()))), remarks)
    local = settings.suite == "microcosm" or Path(settings.suite).is_dir()
    rows = () if local else suite(settings.suite)
    made = measured(rows, scores, settings.suite)
    return replace(made, details={**made.details, "remarks": remarks})


def _names(checkpoint: Checkpoint, given: str | None) -> tuple[str, ...]:
    if given is not None:
        return (given,)
    local = () if checkpoint.revision else (Path(checkpoint.source).name,)
    return (checkpoint.source, checkpoint.name, *local)


def _nothing(path: Path, wanted: Wanted, models: list[str], remarks: list[str]) -> MeasurementError:
    if not models:
        return MeasurementError(f"{path} holds no benchmark results; give {KINDS}")
    if any(model in wanted for model in models):
        return MeasurementError("; ".join([f"{path} holds no percentage of {wanted.names[0]}", *remarks[:1]]))
    there = shortened(models, 5)
    return MeasurementError(
        f"{path} holds nothing of {wanted.names[0]}, but of {there}; name one with feature.import_name="
    )


def _contents(path: Path) -> Iterator[tuple[str, Path, Any]]:
    """Kind, path and content of each file that is of a known kind.

    Raises:
        MeasurementError: there is no such file, it cannot be read, or the only one is of no known kind.
    """
    if not path.exists():
        raise MeasurementError(f"feature.import_from={path} does not exist; give {KINDS}, or a folder of such files")
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    for file in files:
        if file.suffix == ".csv":
            yield "leaderboard", file, _csv(file)
        elif file.suffix == ".json":
            content = _json(file)
            if kind := _kind(content):
                yield kind, file, content
            elif file == path:
                raise MeasurementError(f"{path} is JSON, but no benchmark results; give {KINDS}")
        elif file == path:
            raise MeasurementError(f"{path} is neither .json nor .csv; give {KINDS}")


def _kind(content: object) -> str | None:
    if not isinstance(content, dict):
        return None
    if isinstance(content.get("results"), dict):
        return "lm_eval"
    if isinstance(content.get("eval"), dict) or import_evalplus.is_board(content):
        return "evalplus"
    return None


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise MeasurementError(f"{file} cannot be read as JSON ({error}); repair it or take it away") from error


def _csv(file: Path) -> list[dict[str, str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            return list(csv.DictReader(stream, strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise MeasurementError(f"{file} cannot be read as CSV ({error}); save it as a UTF-8 CSV file") from error
