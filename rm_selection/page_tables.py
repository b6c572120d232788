"""A study's tables as people read them: fewer rows where there are thousands, estimates with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from rm_selection.analysis.balanced_ridge import NAME as RECOMMENDED
from rm_selection.columns import LABELLED, Column, described, is_missing, label, written

LONG = 16  # rows from which on a table is folded and gets a filter
MOST = 1000  # rows a page shows; the files hold all
KS = (5, 10, 15, 20, 25, 30)
FIRST_COMPONENTS = 5
CAPTIONS = {
    "recommendation": "All candidates",
    "gains": "Gains",
    "correlation": "All correlations",
    "coverage": "Coverage by predictor",
    "stages": "Changes by stage and category",
    "stage_choice": "Which stage of a base should carry the reward model",
    "made_stages": "Whether each stage made here improves what it trains on",
    "stages_published": "The study's table 1: stages that publishers released",
    "objectives_summary": "All bases together",
    "objectives": "Both scores of every base",
    "intervals": "How many measured scores the prediction intervals hold",
    "predictions": "Predictions of every base",
    "coefficients": "Coefficients",
    "diagnostics": "Diagnostics",
    "influence": "Influence of single models on the fit",
    "models": "Models",
    "span": "Best against worst base",
    "scores": "Score of every base, mean over seeds",
    "costs": "What one base costs",
    "sources": "Where the records come from",
    "notes": "What could not be computed, and why",
}
HIDDEN = ("runs", "features")  # in the files only
VALIDATIONS = ("leave_family_out", "ten_fold", "in_sample")  # the most honest first

# Columns `low` and `high` are the interval of the first of these that a table has.
ESTIMATES = (
    "gain_points",
    "span_points",
    "seconds",
    "mean_difference",
    "coverage",
    "predicted",
    "estimate",
    "change_points",
    "change",
    "lead",
    "score",
)


@dataclass(frozen=True)
class Cell:
    """What a cell shows: its text, its interval if it has one, and the number to sort by (None: by its text)."""

    text: str
    interval: str = ""
    number: float | None = None


@dataclass(frozen=True)
class View:
    """A table of the page: `columns` and, row by row, `rows`; `note` says what was left out."""

    name: str
    caption: str
    columns: Sequence[tuple[str, Column, bool]]  # name, description, whether it holds numbers
    rows: Sequence[Sequence[Cell]]
    note: str = ""

    @property
    def long(self) -> bool:
        """Whether the table is folded and filtered."""
        return len(self.rows) > LONG


def views(name: str, frame: pd.DataFrame, title: str = "") -> list[View]:
    """The tables that the page shows for the table `name` of a study; none for an empty one.

    Args:
        name: of the table.
        frame: its rows.
        title: a caption in place of the usual one.
    """
    if frame.empty or name in HIDDEN:
        return []
    arranged = _ARRANGED.get(name, _as_it_is)(frame)
    usual = title or CAPTIONS.get(name, name)
    return [view(name, caption or usual, part, note) for caption, part, note in arranged if len(part)]


def view(name: str, caption: str, frame: pd.DataFrame, note: str = "") -> View:
    """`frame` with intervals merged into their estimates, at most MOST rows of it."""
    ends = _interval_ends(frame)
    hidden = {end for pair in ends.values() for end in pair}
    names = [str(column) for column in frame.columns if column not in hidden]
    columns = [(column, described(name, column), pd.api.types.is_numeric_dtype(frame[column])) for column in names]
    if len(frame) > MOST:
        note = f"The first {MOST} of {len(frame)} rows; {name}.csv holds all. {note}".strip()
        frame = frame.head(MOST)
    made = [_cells(frame, column, description, ends.get(column)) for column, description, _ in columns]
    return View(name, caption, columns, list(zip(*made, strict=True)), note)


def _cells(frame: pd.DataFrame, name: str, column: Column, ends: tuple[str, str] | None) -> list[Cell]:
    values = frame[name].tolist()
    if not pd.api.types.is_numeric_dtype(frame[name]):
        return [Cell(written(label(value) if name in LABELLED else value, None)) for value in values]
    decimals = 0 if column.decimals is None and pd.api.types.is_integer_dtype(frame[name]) else column.decimals
    decimals = 2 if decimals is None else decimals
    lows, highs = (frame[end].tolist() for end in ends) if ends else (values, values)
    return [
        Cell(
            text=written(value, decimals),
            interval=_interval(low, high, decimals) if ends else "",
            number=None if is_missing(value) else value,
        )
        for value, low, high in zip(values, lows, highs, strict=True)
    ]


def _interval(low: object, high: object, decimals: int) -> str:
    return "" if is_missing(low) or is_missing(high) else f"[{written(low, decimals)}, {written(high, decimals)}]"


def _interval_ends(frame: pd.DataFrame) -> dict[str, tuple[str, str]]:
    columns = [str(column) for column in frame.columns]
    ends = {name: (f"{name}_low", f"{name}_high") for name in columns}
    if (estimate := next((name for name in ESTIMATES if name in columns), None)) and f"{estimate}_low" not in columns:
        ends[estimate] = ("low", "high")
    return {name: (low, high) for name, (low, high) in ends.items() if low in columns and high in columns}


Arranged = list[tuple[str, pd.DataFrame, str]]  # caption, rows, note


def _as_it_is(frame: pd.DataFrame) -> Arranged:
    return [("", frame, "")]


def _by_validation(frame: pd.DataFrame, then: Sequence[str]) -> pd.DataFrame:
    """Regression before Bradley-Terry, the most honest validation first."""
    place = frame["validation"].map({name: order for order, name in enumerate(VALIDATIONS)})
    ordered = frame.assign(_place=place).sort_values(
        ["objective", "_place", *then], ascending=[False, True, *[True] * len(then)]
    )
    return ordered.drop(columns="_place")


def _recommendation(frame: pd.DataFrame) -> Arranged:
    return [("", leading(frame, "rank", "model", "predicted", "low", "high", "probability_top_1"), "")]


def leading(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    """`frame` with the columns `names` first: what a phone shows without scrolling."""
    first = [name for name in names if name in frame]
    return frame[[*first, *(name for name in frame if name not in first)]]


def _predictor(frame: pd.DataFrame) -> Arranged:
    """First those on families not seen, the ones to trust, then all."""
    ordered = leading(_by_validation(frame, ["mae"]), "objective", "predictor", "validation", "mae", "spearman", "r2")
    unseen = ordered[ordered["validation"] == VALIDATIONS[0]].drop(columns="validation")
    return [("On families not seen before", unseen, ""), ("Under every validation", ordered, "")]


def _predictions(frame: pd.DataFrame) -> Arranged:
    shown = frame[frame["predictor"] == RECOMMENDED]
    note = f"Only the predictions of the recommended predictor; predictions.csv holds all {len(frame)} rows."
    columns = ["objective", "model", "family", "validation", "actual", "predicted", "low", "high"]
    ordered = _by_validation(shown, ["model"])
    return [("", ordered[[name for name in columns if name in ordered]], note)]


def _coverage(frame: pd.DataFrame) -> Arranged:
    """One row a predictor and validation, one column for every fifth k."""
    keys = ["objective", "predictor", "validation"]
    wide = frame[frame["k"].isin(KS)].pivot_table(
        index=keys, columns="k", values=["coverage", "low", "high"], sort=False
    )
    suffixes = {"coverage": "", "low": "_low", "high": "_high"}
    flat = {f"k = {k}{suffixes[part]}": wide[(part, k)] for k in KS for part in suffixes if (part, k) in wide}
    ordered = _by_validation(pd.DataFrame(flat).reset_index(), ["predictor"])
    return [("", ordered, f"Every fifth k; coverage.csv holds all from {min(frame['k'])} to {max(frame['k'])}.")]


def _factors(frame: pd.DataFrame) -> Arranged:
    facts = ["component", "explained_variance", "cumulative"]
    aside = [name for name in ("imputed_share", "method") if name in frame]
    note = "; ".join(f"{described('factors', name).heading.lower()}: {_shown(frame[name].iloc[0])}" for name in aside)
    loadings = frame.drop(columns=[*facts[1:], *aside]).head(FIRST_COMPONENTS).set_index("component").T
    loadings.columns = [f"component {number}" for number in loadings.columns]
    loadings = loadings.rename_axis("benchmark").reset_index()
    first = f"Correlation of each benchmark with the first {len(loadings.columns) - 1} components"
    return [("Variance explained", frame[facts], note[:1].upper() + note[1:]), (first, loadings, "")]


def _shown(value: object) -> str:
    return written(value, 2)


_ARRANGED: Mapping[str, Callable[[pd.DataFrame], Arranged]] = {
    "recommendation": _recommendation,
    "predictor": _predictor,
    "predictions": _predictions,
    "coverage": _coverage,
    "factors": _factors,
}
