"""How the reward models of a study were trained: loss and validation by step, of every seed and learning rate."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from rm_selection import runs
from rm_selection.errors import StudyError
from rm_selection.shared_rows import trained
from rm_selection.sheet_tables import model_of

COLUMNS = ("model", "objective", "run_id", "seed", "rate", "chosen", "what", "step", "value")
LOSS = "loss"
MOST = 80  # points of a line; more steps than that are averaged in groups

Rows = Iterator[dict[str, Any]]


def curves(folder: Path) -> pd.DataFrame:
    """Loss of the chosen learning rate and validation of all, of the finished runs of a study.

    Returns:
        model, objective, run_id, seed, rate, chosen (whether this rate made the reward model), what (loss, or what
        validation is judged by), step, value; losses are means over the steps up to `step`.

    Raises:
        RunError: a record is damaged.
        StudyError: a training log is.
    """
    made = [one for one in runs.records(folder) if trained(one) and one["status"] == "finished"]
    rows = [row for record in made for row in _of_run(folder / "runs" / record["run_id"], record)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _of_run(folder: Path, record: Mapping[str, Any]) -> Rows:
    training = record.get("training", {})
    about = {
        "model": model_of(record),
        "objective": record["settings"]["objective"]["name"],
        "run_id": record["run_id"],
        "seed": record["provenance"]["seed"],
    }
    for step, value in _thinned(_losses(folder / "log.jsonl")):
        yield about | {"rate": training.get("rate"), "chosen": True, "what": LOSS, "step": step, "value": value}
    for trial in training.get("trials", ()):
        rate, metric = trial.get("rate"), trial.get("metric")
        for found in trial.get("evaluations", ()):
            if metric in found:
                of_rate = {"rate": rate, "chosen": rate == training.get("rate"), "what": metric}
                yield about | of_rate | {"step": found["step"], "value": found[metric]}


def _losses(path: Path) -> list[tuple[int, float]]:
    """Step and loss of every step that was logged; none where there is no log."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        told = [json.loads(line) for line in lines]
        return [(int(line["step"]), float(line[LOSS])) for line in told if LOSS in line]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise StudyError(f"{path} is not a training log ({error}); remove the file to leave its curve out") from error


def _thinned(points: Sequence[tuple[int, float]]) -> Iterator[tuple[int, float]]:
    """At most MOST points: the last step and the mean of each group of steps."""
    size = -(-len(points) // MOST) or 1
    for start in range(0, len(points), size):
        group = points[start : start + size]
        yield group[-1][0], sum(value for _, value in group) / len(group)
