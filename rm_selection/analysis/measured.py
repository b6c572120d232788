"""Every table of a study of one's own: its finished runs and what was measured of their bases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from rm_selection.analysis import (
    accuracy,
    coverage,
    distance,
    equal_cost,
    factors,
    fitting,
    intervals,
    measured_frame,
    objectives,
    stage_changes,
    stage_choice,
)
from rm_selection.analysis.balanced_ridge import NAME as RECOMMENDED
from rm_selection.analysis.correlation import TRAINING_FACTS, correlation
from rm_selection.analysis.measured_claims import claims
from rm_selection.analysis.measured_frame import MIN_MODELS
from rm_selection.analysis.measurement import normal_interval
from rm_selection.analysis.predictor import (
    Predictor,
    averaged,
    balanced_ridge,
    best_benchmark,
    elastic_net,
    single_benchmark,
)
from rm_selection.analysis.results import Results
from rm_selection.analysis.span import span
from rm_selection.analysis.stages import published_stages
from rm_selection.study_tables import Study
from rm_selection.tables import published

AVERAGED = "benchmarks_probe_averaged"
BOTH = "both"  # the mean of both objectives
STEPS = 5

Frames = dict[str, pd.DataFrame]  # by objective
Tables = dict[str, pd.DataFrame]  # by name


def analyse(
    results: Results, study: Study, documents: Mapping[str, pd.DataFrame], resamples: int, jobs: int, seed: int
) -> Iterator[str]:
    """Fill `results`; yields the name of each step before it is done. What cannot be computed is noted in `notes`.

    Args:
        results: filled in place.
        study: what was run and measured.
        documents: by checkpoint, their presence scores as `distance.table` takes them; may be empty.
        resamples: bootstrap samples of families.
        jobs: processes.
        seed: seed of folds and resamples.
    """
    tables = results.tables
    yield "scores, spans and costs"
    parts, frames = measured_frame.shared_categories(study.runs), measured_frame.frames(study)
    wider = dict(frames) | ({BOTH: measured_frame.mean_of(frames, study.runs, parts)} if len(frames) > 1 else {})
    _facts(tables, study, frames, parts)
    tables["span"] = span(wider)
    results.attempt("objectives", lambda: _objectives(tables, frames, resamples, seed))
    if study.answers:
        results.attempt("stages", lambda: _stages(tables, study, parts, seed))
    if len(study.made):
        tables["made_stages"] = study.made
    if documents:
        results.attempt("distances", lambda: tables.update(distances=distance.table(documents)))
    yield "correlations and components"
    _correlations(tables, wider, parts, resamples, seed)
    benchmarks = measured_frame.columns_of(study.features, "benchmarks")
    results.attempt("factors", lambda: tables.update(factors=factors.factors(study.features, benchmarks)))
    yield "predictors, each validated three ways"
    enough = {name: frame for name, frame in frames.items() if _enough(results, name, frame)}
    sets = {name: measured_frame.feature_sets(frame) for name, frame in enough.items()}
    if enough:
        _predictors(tables, enough, sets, (resamples, jobs, seed))
    yield "intervals"
    if enough:
        nested = {o: intervals.nested(frame, feature_sets=sets[o]) for o, frame in enough.items()}
        rows = [intervals.summary(made, objective) for objective, made in nested.items()]
        tables["intervals"] = pd.concat(rows, ignore_index=True)
    yield "the regression"
    chosen = {name: ("size, average and probe", _terms(frame)) for name, frame in frames.items()}
    results.attempt("coefficients", lambda: fitting.regress(results, frames, chosen))
    tables["claims"] = claims(tables)
    tables["notes"] = pd.DataFrame(results.notes, columns=["table", "why"])


def _facts(tables: Tables, study: Study, frames: Frames, parts: Sequence[str]) -> None:
    facts = pd.concat([frame[list(measured_frame.FACTS)] for frame in frames.values()]).drop_duplicates("model")
    tables["models"] = facts.sort_values("model", ignore_index=True)
    tables["runs"] = pd.concat(study.runs.values(), ignore_index=True)
    tables["features"] = study.features
    tables["scores"] = pd.concat([_scores(frame, o, parts) for o, frame in frames.items()], ignore_index=True)
    tables["costs"] = equal_cost.costs(study.spent)
    if len(study.sources):
        tables["sources"] = study.sources


def _scores(frame: pd.DataFrame, objective: str, parts: Sequence[str]) -> pd.DataFrame:
    low, high = normal_interval(frame["score"].to_numpy(float), frame["error"].to_numpy(float))
    table = frame[["model", "family", "params_b", "score", "seeds", "seed_sd", "seconds", *parts]]
    table = table.assign(low=low, high=high).sort_values("score", ascending=False)
    table.insert(0, "objective", objective)
    return table


def _objectives(tables: Tables, frames: Frames, resamples: int, seed: int) -> None:
    scores = pd.concat([frame[["model", "score"]].assign(objective=o) for o, frame in frames.items()])
    tables["objectives"] = objectives.objectives(scores)
    families = dict(zip(tables["models"]["model"], tables["models"]["family"], strict=True))
    tables["objectives_summary"] = objectives.summary(tables["objectives"], families, resamples, seed)


def _stages(tables: Tables, study: Study, parts: Sequence[str], seed: int) -> None:
    """Ours, and the study's table 1 beside it in the same columns."""
    staged = {name: study.runs[name] for name in study.answers}
    tables["stages"] = stage_changes.changes(staged, study.answers, parts, seed)
    tables["stage_choice"] = stage_choice.choices(staged, study.answers)
    tables["stages_published"] = published_stages(published().stages)


def _correlations(tables: Tables, frames: Frames, parts: Sequence[str], resamples: int, seed: int) -> None:
    found = []
    for objective, frame in frames.items():
        measured = [
            name for feature in measured_frame.FEATURES for name in map(str, frame) if name.startswith(f"{feature}.")
        ]
        known = frame[[*measured, *TRAINING_FACTS]].notna().sum()
        features = list(known.index[known >= MIN_MODELS])
        if features:
            found.append(correlation(frame, objective, features, ["score", *parts], resamples, seed))
    if found:
        tables["correlation"] = pd.concat(found, ignore_index=True)


def _enough(results: Results, objective: str, frame: pd.DataFrame) -> bool:
    """Whether predictors can be judged; noted where not."""
    if why := measured_frame.shortage(frame):
        results.notes.append(("predictor", f"{objective}: {why}"))
    return not why


def predictors(frame: pd.DataFrame, sets: Mapping[str, Sequence[str]]) -> list[Predictor]:
    """One a feature set, the mean of two of them, the one that chooses among them, and those of single benchmarks."""
    alone = {name: balanced_ridge(name, {name: columns}) for name, columns in sets.items()}
    found = [*alone.values(), balanced_ridge(RECOMMENDED, sets)]
    if {"benchmarks", "probe"} <= set(alone):
        found.append(averaged(AVERAGED, [alone["benchmarks"], alone["probe"]]))
    benchmarks = [name for name in sets.get("benchmarks", ()) if frame[name].notna().all()]
    if benchmarks:
        sized = (*sets.get("size", ())[-1:], *benchmarks)
        found += [best_benchmark(benchmarks), elastic_net("log size and benchmarks", sized)]
        found += [single_benchmark(name) for name in benchmarks]
    return found


def _predictors(
    tables: Tables,
    frames: Frames,
    sets: Mapping[str, Mapping[str, Sequence[str]]],
    how: tuple[int, int, int],
) -> None:
    resamples, jobs, seed = how
    makers = {name: predictors(frame, sets[name]) for name, frame in frames.items()}
    benchmarks = sorted({name for one in sets.values() for name in one.get("benchmarks", ())})
    everything = fitting.predictions(frames, makers, benchmarks, jobs, seed)
    tables["predictions"] = everything[~everything["predictor"].isin(benchmarks)].reset_index(drop=True)
    table = accuracy.table(tables["predictions"], RECOMMENDED, resamples, seed)
    kinds = {predictor.name: predictor.model for made in makers.values() for predictor in made}
    table.insert(3, "model", table["predictor"].map(kinds))
    tables["predictor"] = _with_cost(table, tables, sets)
    tables["coverage"] = coverage.coverage_curves(everything, resamples, seed)


def _with_cost(
    table: pd.DataFrame, tables: Mapping[str, pd.DataFrame], sets: Mapping[str, Mapping[str, Sequence[str]]]
) -> pd.DataFrame:
    """`table` with feature_seconds, trained and regret_equal_cost, on families not seen."""
    rows = []
    for objective, own in sets.items():
        made = tables["predictions"].query("objective == @objective and validation == 'leave_family_out'")
        found = equal_cost.at_equal_cost(made, own, tables["costs"])
        key = {"objective": objective, "validation": "leave_family_out"}
        rows += [key | {"predictor": name} | figures for name, figures in found.items()]
    if not rows:
        return table
    return table.merge(pd.DataFrame(rows), on=["objective", "validation", "predictor"], how="left")


def _terms(frame: pd.DataFrame) -> list[str]:
    """What the ordinary regression is told: few terms, since bases are few."""
    wanted = ("log_params_b", measured_frame.AVERAGE, "probe.accuracy")
    return [name for name in wanted if name in frame and frame[name].notna().all() and frame[name].nunique() > 1]
