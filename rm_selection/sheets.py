"""The page of each checkpoint: what is known of it, in the order in which people ask."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from rm_selection.analysis.balanced_ridge import NAME as RECOMMENDED
from rm_selection.columns import is_missing, label, under_budget, written
from rm_selection.page_answer import estimate
from rm_selection.page_tables import View, view
from rm_selection.sheet_tables import OVERALL

Tables = Mapping[str, pd.DataFrame]
LONGEST = 100  # characters of a checkpoint's name in an address or the name of a file


@dataclass(frozen=True)
class Sheet:
    """said: the answer first, in sentences. facts: name and value. scores, runs, features: tables; none where empty."""

    model: str
    slug: str
    said: Sequence[str]
    facts: Sequence[tuple[str, str]]
    scores: Sequence[View] = ()
    runs: Sequence[View] = ()
    features: Sequence[View] = ()

    @property
    def address(self) -> str:
        """Where it is on the page, without the #."""
        return address(self.slug)


def address(slug: str) -> str:
    """The fragment of a checkpoint's page."""
    return f"checkpoint/{slug}"


def models(tables: Tables) -> list[str]:
    """Every checkpoint that any table of models, of a ranking or of checkpoints names, the ranked ones first."""
    names = ("recommendation", "scores", "models", "checkpoint_runs", "checkpoint_features", "checkpoint_facts")
    found = [tables[name]["model"] for name in names if name in tables and "model" in tables[name]]
    return [str(one) for one in dict.fromkeys(model for column in found for model in column)]


def slugs(models: Sequence[str]) -> dict[str, str]:
    """Each model in letters, digits, dot, dash, @ and underscore, no two alike even where case does not count."""
    made: dict[str, str] = {}
    taken: set[str] = set()
    for model in models:
        plain = re.sub(r"[^A-Za-z0-9._@-]+", "-", model).strip(".-")[:LONGEST] or "checkpoint"
        slug, number = plain, 2
        while slug.lower() in taken:
            slug, number = f"{plain}-{number}", number + 1
        taken.add(slug.lower())
        made[model] = slug
    return made


def sheets(tables: Tables, slugs: Mapping[str, str]) -> list[Sheet]:
    """The pages of all checkpoints of `slugs`, in its order.

    Args:
        tables: of the study, with those of `sheet_tables` or `published_sheets` as far as there are any.
        slugs: as `slugs` makes them.
    """
    known = _Known.of(tables)
    return [
        Sheet(
            model,
            slug,
            said=list(_said(known, model)),
            facts=_facts(known, model),
            scores=list(_scores(known, model)),
            runs=_rows(known, "checkpoint_runs", model, "Runs"),
            features=_rows(known, "checkpoint_features", model, "Features"),
        )
        for model, slug in slugs.items()
    ]


@dataclass(frozen=True)
class _Known:
    """Rows of each table by model."""

    rows: Mapping[str, Mapping[str, pd.DataFrame]]
    counts: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, tables: Tables) -> _Known:
        chosen = {name: frame for name, frame in tables.items() if "model" in frame}
        chosen["measured"] = _measured(tables)
        if "checkpoint_features" in chosen:
            chosen["checkpoint_features"] = _placed(chosen["checkpoint_features"])
        rows = {
            name: {str(model): one for model, one in frame.groupby("model", sort=False)}
            for name, frame in chosen.items()
        }
        counts = {str(name): len(one) for name, one in chosen["measured"].groupby("objective")}
        return cls(rows, counts | {"ranked": len(tables.get("recommendation", ()))})

    def __call__(self, name: str, model: str) -> pd.DataFrame:
        return self.rows.get(name, {}).get(model, pd.DataFrame())


def _measured(tables: Tables) -> pd.DataFrame:
    """Measured overall scores by objective with their places: of own runs the means over seeds, or as published."""
    columns = ["objective", "model", "score", "low", "high"]
    if "scores" in tables:
        found = tables["scores"][columns]
    else:
        every = tables.get("checkpoint_scores", pd.DataFrame(columns=[*columns, "part"]))
        found = every.loc[every["part"] == OVERALL, columns]
    return found.assign(place=found.groupby("objective")["score"].rank(ascending=False, method="min"))


def _placed(features: pd.DataFrame) -> pd.DataFrame:
    """The features of all checkpoints with the place of each figure among them, the highest first."""
    groups = features.groupby("feature")["value"]
    places, counts = groups.rank(ascending=False, method="min"), groups.transform("count")
    words = [
        "" if is_missing(place) else f"{place:.0f} of {count:.0f}" for place, count in zip(places, counts, strict=True)
    ]
    at = int(next((number for number, name in enumerate(features) if name == "how"), len(features.columns)))
    return pd.concat(
        [features.iloc[:, :at], pd.Series(words, features.index, name="place"), features.iloc[:, at:]], axis=1
    )


def _said(known: _Known, model: str) -> Iterator[str]:
    measured = known("measured", model).to_dict("records")
    for row in sorted(measured, key=lambda row: str(row["objective"]), reverse=True):
        count = known.counts[row["objective"]]
        how = label(row["objective"])
        yield f"Trained and measured, {how}: {_points(row, 'score')}, place {row['place']:.0f} of {count}."
    if not measured:
        yield "No reward model of it has been measured here."
    for row in known("recommendation", model).to_dict("records"):
        score = estimate(row) if under_budget(row) else f"{_points(row, 'predicted')} ({row['basis']})"
        yield (
            f"In the ranking: place {row['rank']:.0f} of {known.counts['ranked']} with {score}; "
            f"the best of all with probability {written(row['probability_top_1'], 2)}."
        )
    for row in _held_out(known("predictions", model)):
        off = row["predicted"] - row["actual"]
        side = "above" if off > 0 else "below"
        yield (
            f"Predicted from other families only, {label(row['objective'])}: {_points(row, 'predicted')}, "
            f"{written(abs(off), 1)} {side} what was measured."
        )


def _held_out(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    if frame.empty:
        return []
    chosen = (frame["predictor"] == RECOMMENDED) & (frame["validation"] == "leave_family_out")
    rows = frame[chosen].dropna(subset=["actual", "predicted"]).to_dict("records")
    return sorted(rows, key=lambda row: str(row["objective"]), reverse=True)


def _points(row: Mapping[Any, Any], name: str) -> str:
    ends = "" if is_missing(row["low"]) else f" [{written(row['low'], 1)}, {written(row['high'], 1)}]"
    return f"{written(row[name], 1)} points{ends}"


def _facts(known: _Known, model: str) -> list[tuple[str, str]]:
    told = known("checkpoint_facts", model)
    if len(told):
        return list(zip(told["fact"], told["value"], strict=True))
    row = next(iter(known("recommendation", model).to_dict("records")), {})  # a candidate of somebody's own file
    named = {"Family": "family", "Size, billions of parameters": "params_b", "Licence": "licence"}
    return [(fact, str(row[name])) for fact, name in named.items() if not is_missing(row.get(name))]


def _scores(known: _Known, model: str) -> Iterator[View]:
    """A table an evaluation and objective, regression first: a column a seed, or published scores as they are."""
    every = known("checkpoint_scores", model)
    if every.empty:
        return
    ordered = every.sort_values(["evaluation", "objective"], ascending=[True, False], kind="stable")
    for (evaluation, objective), frame in ordered.groupby(["evaluation", "objective"], sort=False):
        shown = _by_seed(frame) if "seed" in frame else frame.drop(columns=["model", "objective", "evaluation"])
        yield view("checkpoint_scores", f"{evaluation}, {label(objective)}", shown)


def _by_seed(frame: pd.DataFrame) -> pd.DataFrame:
    seeds = sorted(frame["seed"].unique())
    wide = pd.DataFrame({"part": frame["part"].drop_duplicates()}).set_index("part")
    if len(seeds) > 1:
        wide["mean_score"] = frame.groupby("part")["score"].mean()
    for seed in seeds:
        mine = frame[frame["seed"] == seed].drop_duplicates("part").set_index("part")
        for name, column in (("", "score"), ("_low", "low"), ("_high", "high")):
            wide[f"seed {seed}{name}"] = mine[column].astype(float)
    return wide.reset_index()


def _rows(known: _Known, name: str, model: str, caption: str) -> list[View]:
    """The rows of a model without the columns that say nothing of it."""
    frame = known(name, model).drop(columns="model", errors="ignore").dropna(axis=1, how="all")
    if "objective" in frame:  # regression first, as everywhere
        frame = frame.sort_values("objective", ascending=False, kind="stable")
    return [view(name, caption, frame)] if len(frame) else []
