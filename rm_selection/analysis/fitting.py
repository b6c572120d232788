"""Predictors validated and the regression fitted, whatever study the frames come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from joblib import Parallel, delayed

from rm_selection.analysis import accuracy, ols
from rm_selection.analysis.predictor import VALIDATIONS, Predictor, validate
from rm_selection.analysis.results import Results

Frames = Mapping[str, pd.DataFrame]  # by objective


def predictions(
    frames: Frames, predictors: Mapping[str, Sequence[Predictor]], benchmarks: Sequence[str], jobs: int, seed: int
) -> pd.DataFrame:
    """Every predictor of an objective under every validation, one row a model each (see `predictor.validate`).

    A predictor that is named like one of `benchmarks` knows that one only, and is judged on the models that have it.
    """
    tasks = [(o, p, v) for o in frames for p in predictors[o] for v in VALIDATIONS]
    run = Parallel(n_jobs=jobs)
    parts: list[pd.DataFrame] = run(
        delayed(_validated)(_known(frames[o], p, benchmarks), o, p, v, seed) for o, p, v in tasks
    )
    return pd.concat(parts, ignore_index=True)


def regress(results: Results, frames: Frames, chosen: Mapping[str, tuple[str, Sequence[str]]]) -> None:
    """The ordinary least squares of every objective, into the tables coefficients, diagnostics and influence.

    Args:
        results: filled.
        frames: by objective.
        chosen: the name of the feature set, and its columns, by objective.

    Raises:
        FitError: see `ols.fit`.
    """
    coefficients, diagnostics, influence = [], [], []
    for objective, frame in frames.items():
        name, columns = chosen[objective]
        fitted = ols.fit(frame, columns, "score")
        coefficients.append(ols.coefficients(fitted, objective, name))
        diagnostics.append(ols.diagnostics(fitted, objective))
        influence.append(ols.influence(fitted).assign(objective=objective))
        results.summaries[f"ols_{objective}"] = ols.summary_text(fitted)
    for table, parts in (("coefficients", coefficients), ("diagnostics", diagnostics), ("influence", influence)):
        results.tables[table] = pd.concat(parts, ignore_index=True)


def _known(frame: pd.DataFrame, predictor: Predictor, benchmarks: Sequence[str]) -> pd.DataFrame:
    return frame.dropna(subset=[predictor.name]) if predictor.name in benchmarks else frame


def _validated(frame: pd.DataFrame, objective: str, predictor: Predictor, validation: str, seed: int) -> pd.DataFrame:
    result = accuracy.with_intervals(validate(predictor, frame, validation, seed))
    result.insert(1, "objective", objective)
    return result
