"""What the pages of the shipped models are made of: published figures with their sources, in the tables of a sheet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from rm_selection.analysis.measurement import category_errors, normal_interval, total_error
from rm_selection.columns import is_missing
from rm_selection.settings import CATEGORIES
from rm_selection.sheet_tables import OVERALL, parameters, tokens
from rm_selection.table_rows import BENCHMARKS
from rm_selection.tables import published

Rows = Iterator[dict[str, Any]]
TEST = "RewardBench"
FACTS = {  # columns of models.csv and candidates.csv -> what they are called on a page
    "publisher": "Publisher",
    "family": "Family",
    "generation": "Generation",
    "params_b": "Size",
    "pretraining_tokens_t": "Pre-training tokens",
    "released": "Released",
    "licence": "Licence",
    "licence_source": "Licence read in",
    "source": "Figures from",
    "note": "Note",
}
IN_WORDS = {"params_b": parameters, "pretraining_tokens_t": tokens}


def shipped(models: Sequence[str]) -> dict[str, pd.DataFrame]:
    """checkpoint_facts, checkpoint_scores and checkpoint_features of those of `models` that the shipped tables know.

    Raises:
        TableError: a shipped file is damaged.
    """
    known, chosen = published(), set(models)
    scores = known.scores[known.scores["model"].isin(chosen)]
    pool = known.pool[known.pool["model"].isin(chosen - set(known.models["model"]))]
    both = [known.models[known.models["model"].isin(chosen)], pool]
    rows = {
        "checkpoint_facts": [row for frame in both for row in _facts(frame)],
        "checkpoint_scores": list(_scores(scores)),
        "checkpoint_features": [*_features(known.benchmarks[known.benchmarks["model"].isin(chosen)]), *_pool(pool)],
    }
    return {name: pd.DataFrame(each) for name, each in rows.items() if each}


def _facts(frame: pd.DataFrame) -> Rows:
    for row in frame.to_dict("records"):
        for column, fact in FACTS.items():
            if not is_missing(value := row.get(column)):
                yield {"model": row["model"], "fact": fact, "value": str(IN_WORDS.get(column, str)(value))}


def _scores(scores: pd.DataFrame) -> Rows:
    """Each with its interval: from the number of pairs, and for the overall score from a repeated training too."""
    if scores.empty:
        return
    errors = np.column_stack([total_error(scores), category_errors(scores)])
    for row, error in zip(scores.to_dict("records"), errors, strict=True):
        for part, reach in zip(("score", *CATEGORIES), error, strict=True):
            low, high = normal_interval(float(row[part]), float(reach))
            yield {
                "model": row["model"],
                "objective": row["objective"],
                "evaluation": TEST,
                "part": OVERALL if part == "score" else part,
                "score": row[part],
                "low": max(low, 0.0),
                "high": min(high, 100.0),
                "source": row["source"],
            }


def _features(benchmarks: pd.DataFrame) -> Rows:
    for row in benchmarks.to_dict("records"):
        how = f"{row['harness']}, {_shots(row['shots'])}" + ("" if is_missing(row["note"]) else f"; {row['note']}")
        yield {
            "model": row["model"],
            "feature": row["benchmark"],
            "value": row["score"],
            "how": how,
            "source": row["source"],
        }


def _shots(shots: object) -> str:
    return "shots not told" if is_missing(shots) else f"{shots}-shot"


def _pool(pool: pd.DataFrame) -> Rows:
    for row in pool.to_dict("records"):
        for name in BENCHMARKS:
            if not is_missing(row.get(name)):
                about = {"feature": name, "value": row[name], "how": "Open LLM Leaderboard", "source": row["source"]}
                yield {"model": row["model"]} | about
