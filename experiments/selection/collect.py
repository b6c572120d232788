"""The trainings of small worlds as the shipped table data/small_worlds.csv: collect.py FOLDER..."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd

from rm_selection import console, runs
from rm_selection.table_rows import SmallWorldRow
from rm_selection.tables import DATA

SKILLS = ("arxiv", "books", "github", "stack", "wiki")
STOPS = ("at_25", "at_50", "at_75", "score")


def rows(study: Path) -> list[dict[str, Any]]:
    """A row a finished training; its scores are on the evaluation, which experiment=microcosm_selection watches."""
    measured: dict[str, dict[str, float]] = {}
    for record in runs.records(study, "features"):
        values, known = record["values"], measured.setdefault(record["checkpoint"]["base"], {})
        if record["settings"]["feature"]["name"] == "benchmarks":
            known |= {name: values[f"micro_{name}"] for name in SKILLS} | {"benchmarks": values["average"]}
        else:
            known |= {"probe": values["accuracy"]}
    return [
        {"study": study.name.replace("microcosm-selection", "world")}
        | _facts(record)
        | measured[_base(record)]
        | _scores(record)
        for record in runs.records(study)
        if record["status"] == "finished"
    ]


def _base(record: runs.Record) -> str:
    return str(record["checkpoint"]["base"])


def _facts(record: runs.Record) -> dict[str, Any]:
    known = record["checkpoint"]
    facts = {name: known[name] for name in ("family", "params_b", "tokens_t")}
    return {"model": known["base"], "seed": record["provenance"]["seed"]} | facts


def _scores(record: runs.Record) -> dict[str, float]:
    """At each quarter of the steps, and at the last."""
    (trial,) = record["training"]["trials"]
    found = [round(100 * one["validation_accuracy"], 3) for one in trial["evaluations"]]
    return dict(zip(STOPS, [*found[:3], found[-1]], strict=True))


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit("name the folders of studies: python experiments/selection/collect.py outputs/microcosm-selection-*")
    found = pd.DataFrame([row for folder in sys.argv[1:] for row in rows(Path(folder))])
    table = found[list(SmallWorldRow.model_fields)].sort_values(["study", "model", "seed"])
    target = DATA / "small_worlds.csv"
    table.to_csv(target, index=False)
    console.line(f"{len(table)} trainings of {table['study'].nunique()} worlds: {target}")


if __name__ == "__main__":
    main()
