"""Every table of the study of published figures, in the order in which one needs the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pandas as pd
from joblib import Parallel, delayed

from rm_selection.analysis import accuracy, coverage, factors, gains, intervals, objectives, ols, stages
from rm_selection.analysis.balanced_ridge import FEATURE_SETS, BalancedRidge
from rm_selection.analysis.balanced_ridge import NAME as RECOMMENDED
from rm_selection.analysis.claims import claims
from rm_selection.analysis.correlation import correlation, usable_features
from rm_selection.analysis.predictor import PREDICTORS, VALIDATIONS, Predictor, single_benchmark, validate
from rm_selection.settings import OBJECTIVES
from rm_selection.table_rows import BENCHMARKS, CATEGORIES
from rm_selection.tables import joined, published

MIN_MODELS = 20  # a benchmark known of fewer has no coverage curve
STEPS = 6
MODEL_COLUMNS = ("model", "family", "params_b", "pretraining_tokens_t", "released", "licence")


@dataclass
class Results:
    """Tables by name, and the text summaries of the statsmodels fits."""

    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    summaries: dict[str, str] = field(default_factory=dict)


def analyse(results: Results, resamples: int, jobs: int, seed: int) -> Iterator[str]:
    """Fill `results`; yields the name of each step before it is done.

    Args:
        results: filled in place.
        resamples: bootstrap samples of families.
        jobs: processes.
        seed: seed of folds and resamples.
    """
    shipped, frames = published(), {objective: joined(objective) for objective in OBJECTIVES}
    tables = results.tables
    yield "gains, stages and objectives"
    tables["models"] = frames["regression"][list(MODEL_COLUMNS)]
    tables["gains"] = gains.gains(shipped.models, shipped.scores, seed=seed)
    tables["stages"] = stages.published_stages(shipped.stages)
    tables["objectives"] = objectives.objectives(shipped.scores)
    families = dict(zip(shipped.models["model"], shipped.models["family"], strict=True))
    tables["objectives_summary"] = objectives.summary(tables["objectives"], families, resamples, seed)
    yield "correlations and components"
    targets = ["score", *CATEGORIES]
    parts = [correlation(f, o, usable_features(f), targets, resamples, seed) for o, f in frames.items()]
    tables["correlation"] = pd.concat(parts, ignore_index=True)
    tables["factors"] = factors.factors(frames["regression"], factors.usable_columns(frames["regression"]))
    yield "predictors, each validated three ways"
    everything = _predictions(frames, jobs, seed)
    benchmark = everything["predictor"].isin(BENCHMARKS)
    tables["predictions"] = everything[~benchmark].reset_index(drop=True)
    yield "their accuracy and coverage"
    tables["predictor"] = accuracy.table(tables["predictions"], RECOMMENDED, resamples, seed)
    tables["predictor"].insert(3, "model", tables["predictor"]["predictor"].map({p.name: p.model for p in PREDICTORS}))
    tables["coverage"] = coverage.coverage_curves(everything, resamples, seed)
    yield "intervals"
    nested = {o: intervals.nested(frame) for o, frame in frames.items()}
    tables["intervals"] = pd.concat([intervals.summary(n, o) for o, n in nested.items()], ignore_index=True)
    yield "the regression"
    _regress(results, frames)
    tables["claims"] = claims(tables)


def _predictions(frames: dict[str, pd.DataFrame], jobs: int, seed: int) -> pd.DataFrame:
    tasks = [(o, p, v) for o in frames for p in _predictors(frames[o]) for v in VALIDATIONS]
    run = Parallel(n_jobs=jobs)
    parts: list[pd.DataFrame] = run(delayed(_validated)(frames[o], o, p, v, seed) for o, p, v in tasks)
    return pd.concat(parts, ignore_index=True)


def _predictors(frame: pd.DataFrame) -> list[Predictor]:
    known = frame[list(BENCHMARKS)].notna().sum()
    return [*PREDICTORS, *(single_benchmark(name) for name in known.index[known >= MIN_MODELS])]


def _validated(frame: pd.DataFrame, objective: str, predictor: Predictor, validation: str, seed: int) -> pd.DataFrame:
    known = frame.dropna(subset=[predictor.name]) if predictor.name in BENCHMARKS else frame
    result = accuracy.with_intervals(validate(predictor, known, validation, seed))
    result.insert(1, "objective", objective)
    return result


def _regress(results: Results, frames: dict[str, pd.DataFrame]) -> None:
    coefficients, diagnostics, influence = [], [], []
    for objective, frame in frames.items():
        chosen = BalancedRidge.fit(frame).feature_set
        fitted = ols.fit(frame, FEATURE_SETS[chosen], "score")
        coefficients.append(ols.coefficients(fitted, objective, chosen))
        diagnostics.append(ols.diagnostics(fitted, objective))
        influence.append(ols.influence(fitted).assign(objective=objective))
        results.summaries[f"ols_{objective}"] = ols.summary_text(fitted)
    for name, parts in (("coefficients", coefficients), ("diagnostics", diagnostics), ("influence", influence)):
        results.tables[name] = pd.concat(parts, ignore_index=True)
