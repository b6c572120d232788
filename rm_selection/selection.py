"""From evidence to a ranking: measured scores where the study trained the model, predictions elsewhere.

Nothing here needs more than numpy and pandas, so that `recommend` answers at once.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rm_selection.analysis.intervals import widened
from rm_selection.analysis.measurement import normal_interval
from rm_selection.columns import shortened
from rm_selection.errors import SelectionError
from rm_selection.evidence import Evidence
from rm_selection.tables import everyone

DRAWS = 4000  # simulated worlds behind the probabilities of being best; their own error is below one percent


@dataclass(frozen=True)
class Constraints:
    """What a candidate must satisfy; None and () allow everything. Sizes in billions of parameters."""

    max_params_b: float | None = None
    min_params_b: float | None = None
    licences: tuple[str, ...] = ()
    excluded_families: tuple[str, ...] = ()


def allowed(candidates: pd.DataFrame, constraints: Constraints) -> pd.DataFrame:
    """The candidates that satisfy every constraint.

    Raises:
        SelectionError: a licence or family is unknown, most likely misspelt; or none is left, and the constraint that
            removed the last one is named.
    """
    licence, family = candidates["licence"].fillna("unknown").str.lower(), candidates["family"].str.lower()
    _check_known("licence", constraints.licences, licence)
    _check_known("exclude_family", constraints.excluded_families, family)
    size = candidates["params_b"].astype(float)
    bounded = constraints.max_params_b is not None or constraints.min_params_b is not None
    known = size.notna() | (not bounded)  # a base of unknown size may be above any bound
    tests = {
        f"max_params_b={constraints.max_params_b}": ~(size > (constraints.max_params_b or np.inf)) & known,
        f"min_params_b={constraints.min_params_b}": ~(size < (constraints.min_params_b or 0)) & known,
        f"licence={_listed(constraints.licences)}": licence.isin(constraints.licences or licence),
        f"exclude_family={_listed(constraints.excluded_families)}": ~family.isin(constraints.excluded_families),
    }
    left = pd.Series(True, index=candidates.index)
    for name, passes in tests.items():
        if not (left & passes).any():
            raise SelectionError(f"no candidate is left: {name} removes the last {left.sum()}; loosen it")
        left &= passes
    return candidates[left].reset_index(drop=True)


def _check_known(setting: str, names: tuple[str, ...], there: pd.Series) -> None:
    """Refuse a name that neither the candidates nor the shipped models have: a misspelt one would exclude nothing."""
    shipped = everyone()[{"licence": "licence", "exclude_family": "family"}[setting]]
    known = sorted({*there, *shipped.str.lower()})
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise SelectionError(f"{setting}={name} is not known; {hint}there are {', '.join(known)}")


def rank(candidates: pd.DataFrame, known: Evidence, seed: int) -> pd.DataFrame:
    """Every candidate with its expected score, best first: the table `recommendation` of the study, and `family`.

    `basis` says measured or predicted, which features were filled and which lie outside the fitted range. The
    probabilities count simulated worlds: measurement error for measured models; for the others a family effect and a
    deviation drawn from what leave-one-family-out prediction got wrong.
    """
    estimate = estimates(candidates, known)
    first, five = _chances(estimate, candidates["family"], known, seed)
    table = candidates[["model", "family", "params_b", "licence"]].assign(
        predicted=estimate["predicted"],
        low=estimate["low"],
        high=estimate["high"],
        probability_top_1=first,
        probability_top_5=five,
        train_gpu_hours=known.hours(candidates),
        basis=estimate["basis"],
    )
    table = table.sort_values(["predicted", "model"], ascending=[False, True]).reset_index(drop=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def header(table: pd.DataFrame, known: Evidence) -> list[str]:
    """How the ranking was made and what a choice by size alone would have been, a sentence each."""
    measured = int(table["basis"].str.startswith("measured").sum())
    unseen = len(table) - measured
    predicted = f", {unseen} predicted from {known.known}" if unseen else ""
    first = f"{len(table)} candidates for objective {known.objective}: {measured} {known.measured_by}{predicted}."
    return [first, *(_on_predictor(known) if unseen else []), *_on_size(table), *known.said]


def _on_predictor(known: Evidence) -> list[str]:
    if known.predictor is None:
        return []
    figures, fit = known.figures, known.predictor
    return [
        f"Predictor: family-balanced ridge on {shortened(fit.used)}, features and penalty chosen by leaving one "
        "family out.",
        f"On {figures['n']:.0f} models of families it had not seen: mean absolute error {_range(figures, 'mae', 1)} "
        f"points, Spearman {_range(figures, 'spearman')}, coverage at 5-10 {_range(figures, 'coverage_5_10')}; "
        f"its 90% intervals held {figures['interval_coverage']:.0%}.",
    ]


def _on_size(table: pd.DataFrame) -> list[str]:
    if table["params_b"].isna().all():
        return []
    largest = table.sort_values(["params_b", "rank"], ascending=[False, True]).iloc[0]
    behind = table["predicted"].iloc[0] - largest["predicted"]
    return [
        f"Size alone would have said {largest['model']} ({largest['params_b']:g}B): {largest['predicted']:.1f} "
        f"[{largest['low']:.1f}, {largest['high']:.1f}], {_difference(behind)}."
    ]


def warnings(table: pd.DataFrame, known: Evidence) -> list[str]:
    """What a reader must know before trusting the ranking, a sentence each; nothing where all is well."""
    messages = []
    if known.predictor and not known.predicts and (table["basis"] != "measured").any():
        doubt = f"r2 {known.figures['r2']:.2f}, Spearman {known.figures['spearman']:.2f}"
        messages.append(
            f"Nothing known of a base predicts {known.objective} scores of an unseen family ({doubt}): rows marked "
            "predicted are ordered no better than by chance; trust measured rows, or choose objective=regression."
        )
    if outside := table["basis"].str.contains("outside").sum():
        messages.append(
            f"{outside} candidates lie outside the range the predictor was fitted on; their intervals are widened."
        )
    if imputed := table["basis"].str.contains("imputed").sum():
        messages.append(f"{imputed} candidates lack figures, which were filled; their intervals are widened.")
    return messages


def estimates(candidates: pd.DataFrame, known: Evidence) -> pd.DataFrame:
    """predicted, low, high, basis and measurement_sd (missing where predicted) of every candidate, in their order."""
    table = _predicted(candidates, known)
    studied = known.measured.set_index("model")
    own = candidates["model"].isin(studied.index)
    scores = studied.loc[candidates.loc[own, "model"]]
    error = scores["error"].to_numpy(float)
    low, high = normal_interval(scores["score"].to_numpy(float), error)
    table.loc[own, ["predicted", "low", "high"]] = np.column_stack([scores["score"], low, high])
    table.loc[own, "basis"] = "measured"
    table["measurement_sd"] = np.nan
    table.loc[own, "measurement_sd"] = error
    return table


def _predicted(candidates: pd.DataFrame, known: Evidence) -> pd.DataFrame:
    """predicted, low, high and basis of every candidate; missing where nothing predicts."""
    if known.predictor is None:
        empty = pd.DataFrame(np.nan, index=candidates.index, columns=["predicted", "low", "high"])
        return empty.assign(basis="")
    guess = known.predictor.predict(candidates)
    basis = [
        "; ".join(["predicted", *_remark(imputed, "imputed"), *_remark(outside, "outside the fitted range")])
        for imputed, outside in zip(guess["imputed"], guess["outside"], strict=True)
    ]
    return guess[["predicted"]].join(widened(guess, known.width)).assign(basis=basis)


def _chances(
    estimate: pd.DataFrame, families: pd.Series, known: Evidence, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares of simulated worlds in which each candidate is the best, and among the best five."""
    rng = np.random.default_rng(seed)
    sd = estimate["measurement_sd"].to_numpy(float)
    measured = ~np.isnan(sd)
    errors = np.zeros((DRAWS, len(sd))) if measured.all() else _prediction_errors(estimate, families, known, rng)
    errors[:, measured] = rng.normal(0, sd[measured], (DRAWS, measured.sum()))
    worlds = estimate["predicted"].to_numpy(float) + errors
    places = (-worlds).argsort(axis=1).argsort(axis=1)
    return (places == 0).mean(axis=0), (places < 5).mean(axis=0)


def _prediction_errors(
    estimate: pd.DataFrame, families: pd.Series, known: Evidence, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(DRAWS, n) errors of predictions, points: an effect a family and a deviation a model, as wide as the interval."""
    residual = known.held_out["actual"] - known.held_out["predicted"]
    effect = residual.groupby(known.held_out["family"]).mean()
    deviation = (residual - known.held_out["family"].map(effect)).to_numpy()
    names, index = np.unique(families.to_numpy(str), return_inverse=True)
    errors = rng.choice(effect.to_numpy(), (DRAWS, len(names)))[:, index]
    errors = errors + rng.choice(deviation, (DRAWS, len(families)))
    half = ((estimate["high"] - estimate["low"]) / 2).to_numpy()
    return np.asarray(errors * half / known.width)


def _remark(names: str, text: str) -> list[str]:
    return [f"{names} {text}"] if names else []


def _difference(points: float) -> str:
    if points <= 0:
        return "which is the first of this ranking too"
    return f"{points:.1f} points below the first of this ranking"


def _range(figures: dict[str, float], name: str, digits: int = 2) -> str:
    low, high = figures[f"{name}_low"], figures[f"{name}_high"]
    return f"{figures[name]:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _listed(names: tuple[str, ...]) -> str:
    return "null" if not names else names[0] if len(names) == 1 else f"[{','.join(names)}]"
