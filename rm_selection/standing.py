"""Where each candidate stands in a study: every figure that its records hold, what failed, and what was spent.

The runs that count are those that the plan itself would make, by their settings; runs of the candidates that were made
otherwise are refused, not passed over, for a figure of another protocol is another figure.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rm_selection import alike, cell_states, cells, forecast, runs, sweeps
from rm_selection.analysis.calibration import SCORE
from rm_selection.budget_settings import BudgetConfig
from rm_selection.candidates import Candidate
from rm_selection.errors import StudyError
from rm_selection.next_runs import PROBE, SEEDS, STOPS
from rm_selection.runs import Record

Array = NDArray[np.float64]
BENCHMARKS = "benchmarks"  # the mean of the benchmarks that the study measured


@dataclass(frozen=True)
class Failure:
    """Why a figure is not there. kind: as in `failures`, "" where no record tells it."""

    reason: str
    kind: str = ""

    @property
    def of_the_plan(self) -> bool:
        """Whether it says nothing of the candidate: the next one would fail alike, and it can be mended."""
        return self.kind in ("interrupted", "settings", "bad data")


@dataclass
class Took:
    """Device-hours that work on candidates took. trained: candidate, stop that it reached, hours. probed: likewise."""

    trained: list[tuple[int, str, float]] = field(default_factory=list)
    probed: list[tuple[int, float]] = field(default_factory=list)


@dataclass
class Standing:
    """known: (n, K) figures, NaN where there is none. hours: device-hours of trainings and probes so far.

    failed: by the name of a candidate and the figure, SCORE for every stop of its first training.
    took: of what the figures cost.
    """

    known: Array
    hours: float
    failed: dict[tuple[str, str], Failure] = field(default_factory=dict)
    took: Took = field(default_factory=Took)


def standing(settings: BudgetConfig, chosen: Sequence[Candidate], figures: Sequence[str]) -> Standing:
    """What the study's records hold of each candidate.

    Args:
        settings: of the plan.
        chosen: n candidates.
        figures: K names: BENCHMARKS, PROBE, STOPS and further seeds SCORE_2, ... are read, others are left NaN.

    Raises:
        StudyError: the benchmark whose score counts is not among those scored.
        RunError: a record is damaged.
    """
    found = Standing(np.full((len(chosen), len(figures)), np.nan), _hours(settings.folder))
    measured = _features(settings.folder)
    for i, one in enumerate(chosen):
        values = _trained(settings, one, i, found) | _measured(measured, one, i, found)
        for name, value in values.items():
            if name in figures:
                found.known[i, figures.index(name)] = value
    return found


def folder(settings: BudgetConfig, one: Candidate, seed: int) -> Path:
    """Where the record of a training of a candidate lies, or will; seed: 0 for the first, 1 for the next, ..."""
    (found,) = cells.folders(settings.cell(one.base, one.stage, settings.seed + seed))
    return found


def at_work(settings: BudgetConfig, one: Candidate, figure: str) -> bool:
    """Whether another process is at that training of a candidate; probes take minutes, and are not asked."""
    seeds = {SCORE: 0} | {f"{SCORE}_{seed + 1}": seed for seed in range(1, SEEDS)}
    return figure in seeds and runs.held(folder(settings, one, seeds[figure]) / runs.LOCK)


def _trained(settings: BudgetConfig, one: Candidate, i: int, found: Standing) -> dict[str, float]:
    """Scores of a candidate's trainings, whole and in part, by figure."""
    values: dict[str, float] = {}
    for seed in range(SEEDS):
        record = runs.read_record(folder(settings, one, seed))
        if record is None:
            break
        figure = SCORE if seed == 0 else f"{SCORE}_{seed + 1}"
        if seed == 0:
            values |= _parts(settings, record)
        if record["status"] == "finished":
            values[figure] = _score(settings, record["scores"])
            found.took.trained.append((i, SCORE, _device_hours(record)))
        elif record["status"] == "partial" and values:
            found.took.trained.append((i, max(values, key=STOPS.__getitem__), _device_hours(record)))
        elif record["status"] == "failed":
            found.failed[one.name, figure] = _failure(record)
    return values


def _parts(settings: BudgetConfig, record: Record) -> dict[str, float]:
    """Of a training that was stopped on its way, its score at each stop."""
    shares = {share: name for name, share in STOPS.items()}
    parts = [part for part in record.get("partials", []) if part["share"] in shares]
    return {shares[part["share"]]: _score(settings, part["scores"]) for part in parts}


def _score(settings: BudgetConfig, scores: Mapping[str, Any]) -> float:
    there = sorted(scores)
    name = settings.counts or (there[0] if len(there) == 1 else None)
    if name is None or name not in scores:
        raise StudyError(f"counts={settings.counts or 'null'} names no benchmark; give {' or '.join(there)}")
    found = scores[name]
    return float(found["score"] if isinstance(found, Mapping) else found)


def _features(study: Path) -> dict[tuple[str, str], Record]:
    """What was measured in the study, by candidate and feature."""
    parts = [(record["run_id"].partition("__"), record) for record in runs.records(study, "features")]
    return {(name, rest.partition("-")[0]): record for (name, _, rest), record in parts}


def _measured(features: Mapping[tuple[str, str], Record], one: Candidate, i: int, found: Standing) -> dict[str, float]:
    """The mean of a candidate's benchmarks and the accuracy of its probe, where they were measured."""
    values = {}
    for kind, name in ((BENCHMARKS, "average"), (PROBE, "accuracy")):
        record = features.get((one.name, kind))
        if record is None:
            continue
        if record["status"] == "finished" and name in record["values"]:
            values[kind] = float(record["values"][name])
        if kind == PROBE and record["status"] == "finished":
            found.took.probed.append((i, _device_hours(record)))
        elif kind == PROBE and record["status"] == "failed":
            found.failed[one.name, PROBE] = _failure(record)
    return values


def _failure(record: Record) -> Failure:
    return Failure(str(record.get("reason", "no reason was recorded")), str(record.get("kind", "")))


def _device_hours(record: Record) -> float:
    return float(record["cost"]["seconds"]) * forecast.devices(record["cost"].get("device", "")) / 3600


def refuse_others(settings: BudgetConfig, chosen: Sequence[Candidate]) -> None:
    """Refuse finished runs of the candidates with the same objective that were made by another protocol.

    Raises:
        StudyError: a setting of one of them, and the plan's.
    """
    names = {one.name for one in chosen}
    ours = cells.compared_settings(settings.cell(chosen[0].base, chosen[0].stage, settings.seed))
    for record in runs.records(settings.folder):
        if not runs.known_base(record) or record["checkpoint"]["name"] not in names:
            continue
        theirs = record["settings"]
        if theirs["objective"]["name"] == settings.objective.name and (found := alike.difference(theirs, ours)):
            name, value, now = found
            raise StudyError(
                f"{record['run_id']} was trained with {name}={value}, and the plan would train with {now}; figures of "
                "two protocols do not mix: give its settings, or choose another study="
            )


def _hours(study: Path) -> float:
    """Device-hours of the study's trainings and probes, failed ones included."""
    own = [
        cell
        for cell in cell_states.cells(study, sweeps.read(study))
        if cell.command == "train" or (cell.command == "measure" and cell.what == PROBE)
    ]
    return forecast.forecast(own, time.time()).spent
