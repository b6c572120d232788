"""What a study comes to, in sentences: the ranking, and the finding of a section."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from rm_selection.analysis.balanced_ridge import NAME as RECOMMENDED
from rm_selection.columns import is_missing, under_budget, written
from rm_selection.settings import CATEGORIES, typed_word

Tables = Mapping[str, pd.DataFrame]
RUNNERS_UP = 4  # candidates named in words
LIMITS = ("max_params_b", "min_params_b", "licence", "exclude_family", "candidates")  # settings that leave bases out


def answer(ranking: pd.DataFrame, settings: Mapping[str, Any], header: Sequence[str] = ()) -> list[str]:
    """The ranking in sentences: the first, those next to it, the likeliest of the other kind, the limits.

    Args:
        ranking: the table `recommendation`, one row or more.
        settings: those of the ranking; LIMITS and categories among them are told.
        header: what was said when it was made; under a budget its first sentence leads.
    """
    rows = ranking.sort_values("rank").to_dict("records")
    first, *others = rows
    if under_budget(first) and header:
        sentences = [header[0], _on_trainings(first)]
    else:
        chance = written(first["probability_top_1"], 2)
        sentences = [f"{_lead(first)} It is the best of the {len(rows)} candidates with probability {chance}."]
    counted = settings.get("category") or CATEGORIES
    if len(counted) < len(CATEGORIES):
        sentences.append(f"What counts is {' and '.join(counted)} alone, not the whole of RewardBench.")
    if others:
        named = "; ".join(f"{row['model']}, {estimate(row)}" for row in others[:RUNNERS_UP])
        sentences.append(f"Next to it: {named}.")
    # A prediction and a measurement are not the same kind of advice: whichever leads, name the best of the other kind.
    # Under a budget expectations hold whatever was measured, so a measured one is no safer.
    other_kind = [row for row in others if _measured(row) != _measured(first)]
    if other_kind and (_measured(first) or not under_budget(first)):
        likely = max(other_kind, key=lambda row: float(row["probability_top_1"]))
        kind, advice = _kind(first)
        sentences.append(
            f"Of {kind} the likeliest to be the best is {likely['model']} (rank {likely['rank']:.0f}): "
            f"{estimate(likely)}, best with probability {written(likely['probability_top_1'], 2)}; {advice}."
        )
    if limits := [typed_word(name, settings[name]) for name in LIMITS if settings.get(name)]:
        sentences.append(f"Only what satisfies {', '.join(limits)} was ranked; another limit may give another answer.")
    return sentences


def _lead(row: Mapping[Any, Any]) -> str:
    if _measured(row) or under_budget(row):
        return f"Train the reward model from {row['model']}: {estimate(row)}."
    doubt = ", and it lies outside what the predictor was fitted on" if "outside" in str(row["basis"]) else ""
    return f"Expected to be the best is {row['model']}: {estimate(row)}. Nobody has measured it{doubt}."


def estimate(row: Mapping[Any, Any]) -> str:
    """The score of a candidate with its interval, and what kind of figure it is."""
    ends = f" [{written(row['low'], 1)}, {written(row['high'], 1)}]" if not is_missing(row["low"]) else ""
    score = f"{written(row['predicted'], 1)} points{ends}"
    if under_budget(row):
        return f"expected score {score}, {_trained(row)}"
    return f"{'measured' if _measured(row) else 'predicted'} {score}"


def _kind(first: Mapping[Any, Any]) -> tuple[str, str]:
    """The candidates of the other kind than the first, and what to think of them."""
    if not _measured(first):
        return "the measured ones", "the safer choice"
    ones = "those not trained to the end" if under_budget(first) else "the unmeasured ones"
    return ones, "only training it will tell"


def _on_trainings(row: Mapping[Any, Any]) -> str:
    kept = "; the expected score takes in all else that is known" if _measured(row) else ""
    return f"So far it was {_trained(row)}{kept}."


def _trained(row: Mapping[Any, Any]) -> str:
    """How far a candidate of a budget was trained, and what came out at the end."""
    basis = str(row["basis"])
    if not _measured(row):
        return f"{basis} of its steps" if basis.startswith("trained") else "not trained"
    if is_missing(row.get("measured")):
        return "trained to the end"
    count = re.search(r"\d+", basis)
    runs = f"on average over {count[0]} trainings" if count else "in one training"
    return f"measured {written(row['measured'], 1)} {runs}"


def _measured(row: Mapping[Any, Any]) -> bool:
    return str(row["basis"]).startswith("measured")


def findings(tables: Tables) -> dict[str, str]:
    """What some sections come to, in a sentence each, by section."""
    found = {}
    if len(both := tables.get("objectives", pd.DataFrame())):
        won, mean = int((both["difference"] > 0).sum()), both["difference"].mean()
        found["objectives"] = f"Regression wins on {won} of {len(both)} bases, by {written(mean, 1)} points on average."
    if len(rows := tables.get("predictor", pd.DataFrame())):
        rows = rows[(rows["objective"] == "regression") & (rows["validation"] == "leave_family_out")]
        errors = dict(zip(rows["predictor"], rows["mae"], strict=True))
        if RECOMMENDED in errors and "size" in errors:
            found["predictors"] = (
                f"On families not seen before, the recommended predictor misses the score by "
                f"{written(errors[RECOMMENDED], 1)} points on average, size alone by {written(errors['size'], 1)} "
                "(regression)."
            )
    return found
