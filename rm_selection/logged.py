"""What the runs of a study logged to W&B, under W&B's names, read from the study's own records.

logged = read(Path("outputs/mine"))     # which scores, rates, curves, stages and costs there are
points = beside(Path("outputs/mine"))   # each score beside what was measured of its base
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from rm_selection import runs, study_tables
from rm_selection.errors import StudyError
from rm_selection.gathered import gathered

CURVES = ("loss", "accuracy", "margin", "grad_norm")  # of what trainers log, what is worth a panel
FACTS = ("model", "base", "stage", "family", "params_b", "dataset", "objective", "seed")
Records = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Logged:
    """What there is to show of a study.

    runs: finished reward models; bases, stages, objectives: of those.
    scores: by evaluation that has an overall score, its categories.
    rates: learning rates tried, ascending. curves: of CURVES, what training logged. validation: what it was judged by.
    made: post-training stages that the study made, by name. costs: parts of the cost that are numbers.
    best: by evaluation, the run of the highest score in words.
    """

    study: str
    runs: int
    bases: tuple[str, ...]
    stages: tuple[str, ...]
    objectives: tuple[str, ...]
    scores: Mapping[str, tuple[str, ...]]
    rates: tuple[float, ...]
    curves: tuple[str, ...]
    validation: tuple[str, ...]
    made: tuple[str, ...]
    costs: tuple[str, ...]
    best: Mapping[str, str]


@dataclass(frozen=True)
class Pair:
    """A figure and a score: their columns in a table, and both in words."""

    figure: str
    score: str
    title: str


@dataclass(frozen=True)
class Points:
    """Reward models beside what was measured of their bases.

    table: one row a run: FACTS, scores, figures; every name is letters, digits and underscores, since charts read other
        names as formulas.
    pairs: of each column of scores, the figures that go with it, those that do so most closely first.
    """

    table: pd.DataFrame
    pairs: tuple[Pair, ...]


def read(folder: Path) -> Logged:
    """What the finished runs of a study logged.

    Raises:
        StudyError: there are none.
    """
    done = _trained(folder)
    scored = _sorted(name for one in done for name, found in one["scores"].items() if "score" in found)
    lines = _lines(folder, done)
    made = [one for one in runs.records(folder, "stages") if one["status"] == "finished"]
    return Logged(
        study=folder.name,
        runs=len(done),
        bases=_sorted(one["checkpoint"]["base"] for one in done),
        stages=_sorted(one["checkpoint"]["stage"] for one in done),
        objectives=_sorted(one["settings"]["objective"]["name"] for one in done),
        scores={name: _categories(done, name) for name in scored},
        rates=tuple(sorted({trial["rate"] for one in done for trial in one["training"]["trials"] if "rate" in trial})),
        curves=tuple(name for name in CURVES if name in lines),
        validation=_sorted(name for name in lines if name.startswith("validation")),
        made=_sorted(one["checkpoint"]["stage"] for one in made),
        costs=_sorted(name for one in done for name, value in one["cost"].items() if isinstance(value, (int, float))),
        best={name: _best(done, name) for name in scored},
    )


def beside(folder: Path) -> Points:
    """The scores of a study's runs beside the figures of their bases; no pairs where nothing was measured.

    Raises:
        StudyError: no run is finished, or a figure was measured in two ways.
    """
    table = pd.DataFrame([_row(one) for one in _trained(folder)])
    scores = [str(name) for name in table if name not in FACTS]
    measured = study_tables.features(gathered(folder)).drop(columns=[*study_tables.CHECKPOINT[1:]])
    table = table.merge(measured, on="model", how="left")
    figures = [str(name) for name in measured if name != "model" and table[name].notna().any()]
    close = table[[*scores, *figures]].astype(float).rank().corr().abs().fillna(0).to_dict()
    plain = _plain(map(str, table.columns))
    pairs = [
        Pair(plain[figure], plain[score], f"{score} against {figure}")
        for score in scores
        for _, figure in sorted((-close[score][figure], figure) for figure in figures)
    ]
    return Points(table.rename(columns=plain), tuple(pairs))


def _trained(folder: Path) -> Records:
    done = list(filter(runs.known_base, runs.records(folder)))
    if not done:
        way = f"train some with python -m rm_selection.train -m base=... study={folder.name}"
        raise StudyError(f"{folder} has no finished run to show; {way}")
    return done


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def _categories(done: Records, evaluation: str) -> tuple[str, ...]:
    found = [one["scores"].get(evaluation, {}).get("categories", {}) for one in done]
    return _sorted(name for categories in found for name in categories)


def _best(done: Records, evaluation: str) -> str:
    """The run of the highest score, with its 90% interval from the pairs."""
    scored = [one for one in done if "score" in one["scores"].get(evaluation, {})]
    best = max(scored, key=lambda one: float(one["scores"][evaluation]["score"]))
    found = best["scores"][evaluation]
    ends = found.get("intervals", {}).get("score")
    span = "" if ends is None else f" [{ends[0]:.1f}, {ends[1]:.1f}]"
    return f"{best['checkpoint']['name']}, {best['settings']['objective']['name']}: {found['score']:.1f}{span}"


def _lines(folder: Path, done: Records) -> set[str]:
    """Names in the training logs, of one run an objective: all runs of one log the same."""
    one_each = {one["settings"]["objective"]["name"]: one["run_id"] for one in done}
    found: set[str] = set()
    for run_id in one_each.values():
        path = folder / "runs" / run_id / "log.jsonl"
        try:
            found |= {name for line in path.read_text(encoding="utf-8").splitlines() for name in json.loads(line)}
        except FileNotFoundError:
            continue
        except ValueError as error:
            raise StudyError(f"{path} is not a training log ({error}); remove its folder to run again") from error
    return found


def _row(record: Mapping[str, Any]) -> dict[str, Any]:
    known, settings = record["checkpoint"], record["settings"]
    objective = settings["objective"]["name"]
    facts = (known["name"], *(known[name] for name in FACTS[1:5]))
    facts += (settings["dataset"]["name"], objective, record["provenance"]["seed"])
    scores = {f"{name} {objective}": one["score"] for name, one in record["scores"].items() if "score" in one}
    return dict(zip(FACTS, facts, strict=True)) | scores


def _plain(names: Iterable[str]) -> dict[str, str]:
    """Each name written in letters, digits and underscores, no two alike."""
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "figure"
        while plain in found.values():
            plain += "_"
        found[name] = plain
    return found
