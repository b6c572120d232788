"""Results of lm-evaluation-harness, as it writes them: one file a run, the newest of a task counts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rm_selection.errors import MeasurementError
from rm_selection.features.harness_results import Result, Results, read
from rm_selection.features.imported import Found, Wanted
from rm_selection.features.scores import Score, row_of, score
from rm_selection.features.suites import benchmarks

_DATE = re.compile(r"results_(\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2})")


def scores(files: list[tuple[Path, Any]], wanted: Wanted) -> Found:
    """The figures of the wanted base.

    Raises:
        MeasurementError: a file breaks its layout.
    """
    found = Found()
    runs: list[tuple[float, Path, Results]] = []
    for file, data in files:
        models = list(_models(file, data))
        found.models |= set(models[:1])
        if any(model in wanted for model in models):
            runs.append((_when(file, data), file, _read(file, data)))
    newest: Results = {}
    origin: dict[tuple[str, int | None], Path] = {}
    for _, file, results in sorted(runs, key=lambda run: (run[0], run[1])):
        for key in results.keys() & newest.keys():
            found.remarks.append(f"{key[0]}: {file.name} is newer than {origin[key].name}")
        newest |= results
        origin |= dict.fromkeys(results, file)
    found.scores |= dict(_scores(newest, found.remarks))
    return found


def _scores(results: Results, remarks: list[str]) -> Iterator[tuple[str, Score]]:
    for row in benchmarks():
        if row.runner == "lm_eval":
            yield from _score(row, results, remarks)
    inside = {leaf.task for result in results.values() for leaf in result.parts}
    for result in results.values():
        below = result.task in inside or (result.parts and not any(row.task == result.task for row in benchmarks()))
        if result.metrics and not below and not _listed(result, results):
            yield from _score(row_of(result), results, remarks)


def _listed(result: Result, results: Results) -> bool:
    """Whether a benchmark of the suites has taken it already."""
    return any(
        row.shots == result.shots
        and result.task in row.tasks
        and all((task, row.shots) in results for task in row.tasks)
        for row in benchmarks()
    )


def _score(row: Any, results: Results, remarks: list[str]) -> Iterator[tuple[str, Score]]:
    try:
        if (figure := score(row, results)) is not None:
            yield row.benchmark, figure
    except MeasurementError as error:  # one figure that is no percentage costs only itself
        remarks.append(str(error))


def _read(file: Path, data: Mapping[str, Any]) -> Results:
    try:
        return read(data)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise MeasurementError(f"{file} is no result file of lm-eval ({error}); repair it or take it away") from error


def _models(file: Path, data: Mapping[str, Any]) -> Iterator[str]:
    """The names that a file gives its model, the plainest first."""
    config = data.get("config") or {}
    arguments = config.get("model_args")
    if isinstance(arguments, str):
        arguments = dict(part.split("=", 1) for part in arguments.split(",") if "=" in part)
    pretrained = arguments.get("pretrained") if isinstance(arguments, dict) else None
    named = (data.get("model_name"), pretrained, file.parent.name)
    yield from (str(name) for name in named if name)


def _when(file: Path, data: Mapping[str, Any]) -> float:
    """When the run was, seconds since 1970: as the file says, or its name, or else its time on disk."""
    date = data.get("date")
    if isinstance(date, (int, float)):
        return float(date)
    if found := _DATE.match(file.name):
        return datetime.strptime(found[1], "%Y-%m-%dT%H-%M-%S").replace(tzinfo=UTC).timestamp()
    return file.stat().st_mtime
