"""The tables that analysis reads: published figures now, one row a model, every column described and checked.

Units: scores 0-100, sizes in billions of parameters, tokens in trillions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from rm_selection.errors import TableError
from rm_selection.schema import read_table
from rm_selection.settings import CATEGORIES
from rm_selection.table_rows import (
    BENCHMARKS,
    TEN_POINT,
    BenchmarkRow,
    CandidateRow,
    ModelRow,
    ScoreRow,
    StageRow,
)

DATA = Path(__file__).resolve().parent / "data"


@dataclass(frozen=True)
class Published:
    """Every shipped table, checked."""

    models: pd.DataFrame
    scores: pd.DataFrame
    stages: pd.DataFrame
    benchmarks: pd.DataFrame
    pool: pd.DataFrame


@cache
def published() -> Published:
    """The shipped figures.

    Raises:
        TableError: a shipped file breaks its schema, names an unknown model, holds a score above its scale, or a score
            is not its categories' mean.
    """
    tables = Published(
        models=read_table(DATA / "models.csv", ModelRow, ("model",)),
        scores=read_table(DATA / "rewardbench.csv", ScoreRow, ("model", "objective")),
        stages=read_table(DATA / "stages.csv", StageRow, ("model",)),
        benchmarks=read_table(DATA / "benchmarks.csv", BenchmarkRow, ("model", "benchmark")),
        pool=read_table(DATA / "candidates.csv", CandidateRow, ("model",)),
    )
    models = set(tables.models["model"])
    _check_known(DATA / "rewardbench.csv", tables.scores, models, "models.csv")
    _check_known(
        DATA / "benchmarks.csv", tables.benchmarks, models | set(tables.stages["model"]), "models or stages.csv"
    )
    _check_scale(DATA / "benchmarks.csv", tables.benchmarks)
    for name, frame in (("rewardbench.csv", tables.scores), ("stages.csv", tables.stages)):
        _check_mean(DATA / name, frame)
    return tables


def joined(objective: str) -> pd.DataFrame:
    """The study's models with everything known of each: one row a model, ordered as shipped.

    Columns: model, family, params_b, log_params_b, pretraining_tokens_t, log_tokens_t, licence, every benchmark
    (missing left missing), the four categories and `score` of the reward model trained with `objective`.
    """
    tables = published()
    scores = tables.scores[tables.scores["objective"] == objective].set_index("model")
    wide = tables.benchmarks.pivot(index="model", columns="benchmark", values="score").reindex(columns=list(BENCHMARKS))
    frame = tables.models.drop(columns="source").join(wide, on="model")
    frame = frame.join(scores[[*CATEGORIES, "score"]], on="model")
    frame["log_tokens_t"] = np.log(frame["pretraining_tokens_t"])
    return with_log_size(frame)


def candidates(path: Path | None) -> pd.DataFrame:
    """The models to choose from: those of a CSV file, or the shipped pool and the study's models.

    A model that the shipped tables know, however its name is capitalised, keeps what is known of it where the file says
    nothing. A model without a family is a family of its own.

    Raises:
        TableError: the file breaks the schema of `CandidateRow`.
    """
    known = everyone()
    if path is None:
        return with_log_size(known)
    given = read_table(path, CandidateRow, ("model",)).reindex(columns=list(known.columns))
    names = dict(zip(known["model"].str.lower(), known["model"], strict=True))
    given["model"] = [names.get(name.lower(), name) for name in given["model"]]
    if (twice := given["model"].duplicated()).any():
        raise TableError(f"{path}, column model: {given['model'][twice].iloc[0]} is there twice; keep one")
    facts = known.set_index("model").reindex(given["model"]).reset_index()
    for name in ("family", "licence"):
        given[name] = given[name].astype(object).str.lower().fillna(facts[name])
    for name in BENCHMARKS:
        given[name] = given[name].astype(float).fillna(facts[name])
    given["family"] = given["family"].fillna(given["model"])
    return with_log_size(given)


def everyone() -> pd.DataFrame:
    """The study's models and the shipped pool: model, params_b, family, licence and every benchmark."""
    studied = joined("regression")
    columns = ["model", "params_b", "family", "licence", *BENCHMARKS]
    pool = published().pool.reindex(columns=columns)
    pool = pool[~pool["model"].isin(studied["model"])]
    both = [studied[columns].astype(object), pool.astype(object)]
    frame = pd.concat(both, ignore_index=True)
    return frame.astype(dict.fromkeys(["params_b", *BENCHMARKS], float))


def with_log_size(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with the column log_params_b, the natural logarithm of the size in billions of parameters."""
    return frame.assign(log_params_b=np.log(frame["params_b"].astype(float)))


def _check_known(path: Path, frame: pd.DataFrame, models: set[str], where: str) -> None:
    if unknown := sorted(set(frame["model"]) - models):
        raise TableError(f"{path}, column model: {unknown[0]} is not in {where}")


def _check_scale(path: Path, frame: pd.DataFrame) -> None:
    off = frame["benchmark"].isin(TEN_POINT) & (frame["score"] > 10)
    if off.any():
        row = frame[off].iloc[0]
        raise TableError(f"{path}, column score: {row['score']} of {row['model']} on {row['benchmark']} is above 10")


def _check_mean(path: Path, frame: pd.DataFrame) -> None:
    off = (frame["score"] - frame[list(CATEGORIES)].mean(axis=1)).abs() > 0.06  # all are rounded to one decimal
    if off.any():
        row = frame[off].iloc[0]
        raise TableError(f"{path}, column score: {row['score']} of {row['model']} is not the mean of its categories")
