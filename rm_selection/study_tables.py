"""The tables of a study of one's own: finished runs, measured features, and what both cost; one protocol a table.

A row of `runs` is a reward model, of `features` a checkpoint. What was made in two ways never shares a column: where
runs or figures differ in how they were made, both ways are named and nothing is returned.

Units: scores 0-100, sizes in billions of parameters, tokens in trillions, costs in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from rm_selection import alike
from rm_selection.errors import StudyError
from rm_selection.gathered import Gathered
from rm_selection.runs import Record
from rm_selection.stage_tables import answers

CHECKPOINT = ("model", "base", "stage", "family", "params_b", "tokens_t", "licence")
VOCABULARY = "; vocabulary "  # what a protocol says last of a figure that only one tokenizer's others compare with


@dataclass(frozen=True)
class Study:
    """What was run and measured, and which stages were made.

    runs, answers: by objective, what `runs` and `answers` return, answers only where a base has several stages;
    spent: what `costs` returns; made: what `stage_tables.made` does.
    sources: where the records come from, a row each, empty where all are the study's own; told: that in sentences.
    beware: what to know before trusting the rows together.
    """

    runs: Mapping[str, pd.DataFrame]
    features: pd.DataFrame
    spent: pd.DataFrame
    answers: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    made: pd.DataFrame = field(default_factory=pd.DataFrame)
    sources: pd.DataFrame = field(default_factory=pd.DataFrame)
    told: Sequence[str] = ()
    beware: Sequence[str] = ()


def study(known: Gathered, evaluation: str | None = None) -> Study:
    """Everything a study holds; `evaluation` as for `runs`.

    Raises:
        StudyError: as `runs` and `features`.
    """
    trained = {objective: runs(known, objective, evaluation) for objective in objectives(known)}
    staged = {name: table for name, table in trained.items() if (table.groupby("base")["stage"].nunique() > 1).any()}
    right = {name: answers(known.pairs, table) for name, table in staged.items()}
    sources = _sources(known)
    told = [f"{row['source']}: {row['runs']} runs, {row['measurements']} measurements." for row in known.counts]
    unlike = sources[sources["unlike"] != ""].to_dict("records") if len(sources) else []
    beware = [f"the runs of {row['source']} were made otherwise, {row['unlike']}." for row in unlike]
    return Study(trained, features(known), costs(known), right, known.made(), sources, told, beware)


def features(known: Gathered) -> pd.DataFrame:
    """What was measured in a study: one row a checkpoint, a column `<feature>.<name>` a figure, missing left missing.

    A figure per token compares within one vocabulary only: where checkpoints have several, its column is left out.

    Returns:
        CHECKPOINT's columns, then the figures in alphabetical order.

    Raises:
        StudyError: a figure was measured twice for a checkpoint, or in two ways for two of them.
    """
    found = known.features
    table = pd.DataFrame([_checkpoint(record) for record in found], columns=list(CHECKPOINT)).drop_duplicates("model")
    figures: dict[str, dict[str, tuple[float, str, str]]] = {}  # column -> model -> value, protocol, run
    for record in found:
        for name, value in record["values"].items():
            column = f"{record['settings']['feature']['name']}.{name}"
            _add(figures.setdefault(column, {}), column, record, value, record["protocols"].get(name, ""))
    kept = [column for column in sorted(figures) if _comparable(column, figures[column])]
    for column in kept:
        table[column] = table["model"].map({model: value for model, (value, _, _) in figures[column].items()})
    return table.sort_values("model", ignore_index=True)


def documents(known: Gathered) -> dict[str, pd.DataFrame]:
    """By checkpoint, the score of every document that presence was measured on: id, domain, tokens, bytes, log_p (sum).

    Raises:
        StudyError: a file of scores is missing or cannot be read.
    """
    found: dict[str, pd.DataFrame] = {}
    for record in known.features:
        if record["settings"]["feature"]["name"] == "presence":
            try:
                rows = known.documents(record["run_id"])
            except (OSError, ValueError) as error:
                way = "remove its folder and measure again"
                raise StudyError(f"{known.place(record)} cannot be read; {way}") from error
            found |= {record["checkpoint"]["name"]: rows} if len(rows) else {}
    return found


def costs(known: Gathered) -> pd.DataFrame:
    """What training and measuring took: model, what (train or a feature), seconds; one row a record."""
    rows = [(record["checkpoint"]["name"], "train", record["cost"]["seconds"]) for record in known.runs]
    rows += [
        (record["checkpoint"]["name"], record["settings"]["feature"]["name"], record["cost"]["seconds"])
        for record in known.features
    ]
    return pd.DataFrame(rows, columns=["model", "what", "seconds"])


def objectives(known: Gathered) -> list[str]:
    """The objectives that a study has finished runs of, regression first.

    Raises:
        StudyError: it has none.
    """
    found = {record["settings"]["objective"]["name"] for record in known.runs}
    if not found:
        raise StudyError(
            f"{known.folder} has no finished run; train some with python -m rm_selection.train -m base=... "
            f"study={known.folder.name}, take those of others with results=[FOLDER], or use study=published"
        )
    return sorted(found, reverse=True)


def runs(known: Gathered, objective: str, evaluation: str | None = None) -> pd.DataFrame:
    """The finished reward models of one objective: one row a run.

    Args:
        known: the records.
        objective: bradley_terry or regression.
        evaluation: benchmark whose score counts; None for the only one.

    Returns:
        CHECKPOINT's columns (model is <base>@<stage>), run_id, dataset, objective, seed, seconds, tokens (of training),
        evaluation, score, low, high (90%, from the pairs), n (pairs), and a column a category or, where the benchmark
        has none, a subset.

    Raises:
        StudyError: no finished run of the objective, runs of several protocols, or several evaluations and none chosen.
    """
    chosen = _of(known, objective)
    if not chosen:
        there = " and ".join(objectives(known))
        raise StudyError(f"{known.folder} has no finished run of objective={objective}; it has {there}")
    _check_alike(known, chosen)
    named = _evaluation(chosen, evaluation)
    return pd.DataFrame([_run_row(one, named) for one in chosen]).sort_values(["model", "seed"], ignore_index=True)


def _of(known: Gathered, objective: str) -> list[Record]:
    return [one for one in known.runs if one["settings"]["objective"]["name"] == objective]


def _checkpoint(record: Mapping[str, Any]) -> dict[str, Any]:
    known = record["checkpoint"]
    return {name: known["name"] if name == "model" else known[name] for name in CHECKPOINT}


def _run_row(record: Mapping[str, Any], evaluation: str) -> dict[str, Any]:
    settings, found = record["settings"], record["scores"][evaluation]
    low, high = found["intervals"].get("score", (np.nan, np.nan))
    about = {
        "run_id": record["run_id"],
        "dataset": settings["dataset"]["name"],
        "objective": settings["objective"]["name"],
        "seed": record["provenance"]["seed"],
        "seconds": record["cost"]["seconds"],
        "tokens": sum(trial.get("tokens", 0) for trial in record["training"]["trials"]),
        "evaluation": evaluation,
    }
    figures = {"score": found.get("score", np.nan), "low": low, "high": high, "n": found["n"]}
    parts: dict[str, float] = found["categories"] or found["subsets"]
    return _checkpoint(record) | about | figures | parts


def _add(
    column: dict[str, tuple[float, str, str]], name: str, record: Mapping[str, Any], value: float, protocol: str
) -> None:
    model, run = record["checkpoint"]["name"], record["run_id"]
    if model in column and column[model][:2] != (value, protocol):
        raise StudyError(
            f"{name} of {model} was measured twice, in {column[model][2]} and {run}; remove one of them from features/"
        )
    column[model] = (value, protocol, run)


def _comparable(column: str, figures: Mapping[str, tuple[float, str, str]]) -> bool:
    """Whether the figures of a column may stand in one; not where only their vocabularies differ.

    Raises:
        StudyError: they were measured in different ways.
    """
    ways = {protocol: run for _, protocol, run in figures.values()}
    plain = {protocol.split(VOCABULARY)[0]: run for protocol, run in ways.items()}
    if len(plain) > 1:
        (first, one), (second, two) = list(plain.items())[:2]
        raise StudyError(
            f"{column} was measured in two ways, '{first}' in {one} and '{second}' in {two}; measure all alike, or "
            "keep them in two studies"
        )
    return len(ways) == 1


def _check_alike(known: Gathered, chosen: Sequence[Record]) -> None:
    """Refuse runs that differ in more than base, stage and seed; if they may be mixed, only scores on other pairs."""
    for other, name, one, two in alike.differences(chosen):
        tested = name.startswith("evaluation.")
        if known.mixes and not tested:
            continue
        first, second = (_where(known, run) for run in (chosen[0], other))
        way = ", or take them together all the same with mix_protocols=true" if known.others and not tested else ""
        raise StudyError(
            f"the runs of this study were not made alike: {name} is {one} in {first} and {two} in {second}; keep them "
            f"in two studies{way}"
        )


def _where(known: Gathered, run: Record) -> str:
    return f"{run['run_id']} ({known.source(run)})" if known.others else str(run["run_id"])


def _sources(known: Gathered) -> pd.DataFrame:
    """Where the records come from: source, runs, measurements, failed, protocols, unlike; empty for a study alone."""
    unlike: dict[str, str] = {}
    for objective in objectives(known):
        for other, name, one, two in alike.differences(_of(known, objective)):
            unlike.setdefault(known.source(other), f"{objective}: {name} is {two}, elsewhere {one}")
    return pd.DataFrame([{**row, "unlike": unlike.get(row["source"], "")} for row in known.counts])


def _evaluation(chosen: Sequence[Mapping[str, Any]], named: str | None) -> str:
    there = sorted(map(str, chosen[0]["scores"]))
    name = there[0] if named is None and len(there) == 1 else named
    if name is None or name not in there:
        raise StudyError(f"evaluation={named or 'null'} names none of this study's; give {' or '.join(there)}")
    return name
