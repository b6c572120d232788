"""What a study comes to, in sentences: the ranking, and the finding of a section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from rm_selection.analysis.balanced_ridge import NAME as RECOMMENDED
from rm_selection.columns import is_missing, written
from rm_selection.settings import CATEGORIES

Tables = Mapping[str, pd.DataFrame]
RUNNERS_UP = 4  # candidates named in words
LIMITS = ("max_params_b", "min_params_b", "licence", "exclude_family", "candidates")  # settings that leave bases out


def answer(ranking: pd.DataFrame, settings: Mapping[str, Any]) -> list[str]:
    """The ranking in sentences: the first, those next to it, the likeliest of the other kind, the limits.

    Args:
        ranking: the table `recommendation`, one row or more.
        settings: those of the ranking; LIMITS and categories among them are told.
    """
    rows = ranking.sort_values("rank").to_dict("records")
    first, *others = rows
    sentences = [
        f"{_lead(first)} It is the best of the {len(rows)} candidates with probability "
        f"{written(first['probability_top_1'], 2)}."
    ]
    counted = settings.get("category") or CATEGORIES
    if len(counted) < len(CATEGORIES):
        sentences.append(f"What counts is {' and '.join(counted)} alone, not the whole of RewardBench.")
    if others:
        named = "; ".join(f"{row['model']}, {_estimate(row)}" for row in others[:RUNNERS_UP])
        sentences.append(f"Next to it: {named}.")
    # A prediction and a measurement are not the same kind of advice: whichever leads, name the best of the other kind.
    other_kind = [row for row in others if _measured(row) != _measured(first)]
    if other_kind:
        likely = max(other_kind, key=lambda row: float(row["probability_top_1"]))
        kind, advice = (
            ("unmeasured", "only training it will tell") if _measured(first) else ("measured", "the safer choice")
        )
        sentences.append(
            f"Of the {kind} ones the likeliest to be the best is {likely['model']} (rank {likely['rank']:.0f}): "
            f"{_estimate(likely)}, best with probability {written(likely['probability_top_1'], 2)}; {advice}."
        )
    if limits := [f"{name}={settings[name]}" for name in LIMITS if settings.get(name)]:
        sentences.append(f"Only what satisfies {', '.join(limits)} was ranked; another limit may give another answer.")
    return sentences


def _lead(row: Mapping[Any, Any]) -> str:
    if _measured(row):
        return f"Train the reward model from {row['model']}: {_estimate(row)}."
    doubt = ", and it lies outside what the predictor was fitted on" if "outside" in str(row["basis"]) else ""
    return f"Expected to be the best is {row['model']}: {_estimate(row)}. Nobody has measured it{doubt}."


def _estimate(row: Mapping[Any, Any]) -> str:
    ends = f" [{written(row['low'], 1)}, {written(row['high'], 1)}]" if not is_missing(row["low"]) else ""
    return f"{'measured' if _measured(row) else 'predicted'} {written(row['predicted'], 1)} points{ends}"


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
