"""Every table of the study of published figures, in the order in which one needs the other."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from rm_selection.analysis import accuracy, coverage, factors, fitting, gains, intervals, objectives, stages
from rm_selection.analysis.balanced_ridge import FEATURE_SETS, BalancedRidge
from rm_selection.analysis.balanced_ridge import NAME as RECOMMENDED
from rm_selection.analysis.claims import claims
from rm_selection.analysis.correlation import correlation, usable_features
from rm_selection.analysis.predictor import PREDICTORS, Predictor, single_benchmark
from rm_selection.analysis.results import Results
from rm_selection.settings import CATEGORIES, OBJECTIVES
from rm_selection.table_rows import BENCHMARKS
from rm_selection.tables import joined, published

MIN_MODELS = 20  # a benchmark known of fewer has no coverage curve
STEPS = 6
MODEL_COLUMNS = ("model", "family", "params_b", "pretraining_tokens_t", "released", "licence")


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
    predictors = {o: _predictors(frame) for o, frame in frames.items()}
    everything = fitting.predictions(frames, predictors, BENCHMARKS, jobs, seed)
    benchmark = everything["predictor"].isin(BENCHMARKS)
    tables["predictions"] = everything[~benchmark].reset_index(drop=True)
    yield "their accuracy and coverage"
    tables["predictor"] = accuracy.table(tables["predictions"], RECOMMENDED, resamples, seed)
    tables["predictor"].insert(3, "model", tables["predictor"]["predictor"].map({p.name: p.model for p in PREDICTORS}))
    tables["coverage"] = coverage.coverage_curves(everything, resamples, seed)
    yield "intervals"
    nested = {o: intervals.nested(frame, CATEGORIES) for o, frame in frames.items()}
    tables["intervals"] = pd.concat([intervals.summary(n, o) for o, n in nested.items()], ignore_index=True)
    yield "the regression"
    fitting.regress(results, frames, {o: _chosen(frame) for o, frame in frames.items()})
    tables["claims"] = claims(tables)


def _predictors(frame: pd.DataFrame) -> list[Predictor]:
    known = frame[list(BENCHMARKS)].notna().sum()
    return [*PREDICTORS, *(single_benchmark(name) for name in known.index[known >= MIN_MODELS])]


def _chosen(frame: pd.DataFrame) -> tuple[str, tuple[str, ...]]:
    ((name, _),) = BalancedRidge.fit(frame).chosen
    return name, FEATURE_SETS[name]
