"""A study's tables as people read them: fewer rows where there are thousands, estimates with their intervals."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from rm_selection.analysis.balanced_ridge import NAME as RECOMMENDED
from rm_selection.columns import LABELLED, Column, described, is_missing, label, written

LONG = 16  # rows above which a table is folded
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
    "spent": "What this study has spent",
    "frontier": "The best base of every budget",
    "sources": "Where the records come from",
    "notes": "What could not be computed, and why",
}
SHEETS = ("checkpoint_facts", "checkpoint_scores", "checkpoint_runs", "checkpoint_features", "curves")
HIDDEN = ("runs", "features", *SHEETS)  # in the files, and row by row on the pages of the checkpoints
LINKED = ("model", "default_base", "best_base", "worst_base", "first", "second", "made_from")
Links = Mapping[str, str]
NO_LINKS: Links = {}
FEW = 5  # rows up to which a table needs no filter
VALIDATIONS = ("leave_family_out", "ten_fold", "in_sample")  # the most honest first

# Columns `low` and `high` are the interval of the first of these that a table has.
ESTIMATES = (
    "value",
    "gain_points",
    "span_points",
    "mean_difference",
    "coverage",
    "predicted",
    "estimate",
    "change_points",
    "change",
    "lead",
    "score",
    "seconds",
)


@dataclass(frozen=True)
class Cell:
    """What a cell shows: its text, its interval if it has one, the number to sort by (None: by its text), and `link`:

    the address on the page that its text leads to, nothing where it leads nowhere.
    """

    text: str
    interval: str = ""
    number: float | None = None
    link: str = ""


@dataclass(frozen=True)
class View:
    """A table of the page: `columns` and, row by row, `rows`; `note` says what was left out."""

    name: str
    caption: str
    columns: Sequence[tuple[str, Column, bool]]  # name, description, whether it holds numbers
    rows: Sequence[Sequence[Cell]]
    note: str = ""

    @property
    def example(self) -> str:
        """What one may type into the filter."""
        named = next((column.heading for _, column, numeric in self.columns if numeric), "")
        return "words" + (f", or {named.lower().replace(' ', '-')}>50" if re.fullmatch(r"[A-Za-z ]+", named) else "")

    @property
    def filtered(self) -> bool:
        """Whether the table has a filter."""
        return len(self.rows) > FEW

    @property
    def long(self) -> bool:
        """Whether the table is folded."""
        return len(self.rows) > LONG


def views(name: str, frame: pd.DataFrame, title: str = "", links: Links = NO_LINKS) -> list[View]:
    """The tables that the page shows for the table `name` of a study; none for an empty one.

    Args:
        name: of the table.
        frame: its rows.
        title: a caption in place of the usual one.
        links: address of each checkpoint's page.
    """
    if frame.empty or name in HIDDEN:
        return []
    arranged = _ARRANGED.get(name, _as_it_is)(frame)
    usual = title or CAPTIONS.get(name, name)
    return [view(name, caption or usual, part, note, links) for caption, part, note in arranged if len(part)]


def view(name: str, caption: str, frame: pd.DataFrame, note: str = "", links: Links = NO_LINKS) -> View:
    """`frame` with intervals merged into their estimates, at most MOST rows of it; checkpoints lead to their pages."""
    ends = _interval_ends(frame)
    hidden = {end for pair in ends.values() for end in pair}
    names = [str(column) for column in frame.columns if column not in hidden]
    columns = [(column, described(name, column), _is_numeric(frame[column])) for column in names]
    if len(frame) > MOST:
        note = f"The first {MOST} of {len(frame)} rows; {name}.csv holds all. {note}".strip()
        frame = frame.head(MOST)
    made = [
        _numbers(frame, column, description, ends.get(column)) if numeric else _texts(frame[column], links)
        for column, description, numeric in columns
    ]
    return View(name, caption, columns, list(zip(*made, strict=True)), note)


def _is_numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _texts(column: pd.Series, links: Links) -> list[Cell]:
    name, values = str(column.name), column.tolist()
    words = [("yes" if value else "no") if isinstance(value, bool) else value for value in values]
    texts = [written(label(word) if name in LABELLED else word, None) for word in words]
    addresses = [links.get(str(value), "") if name in LINKED else "" for value in values]
    return [Cell(text, link=link) for text, link in zip(texts, addresses, strict=True)]


def _numbers(frame: pd.DataFrame, name: str, column: Column, ends: tuple[str, str] | None) -> list[Cell]:
    whole = pd.api.types.is_integer_dtype(frame[name])
    usual = column.decimals if column.decimals is not None else 0 if whole else 2
    values = frame[name].tolist()
    lows, highs = (frame[end].tolist() for end in ends) if ends else (values, values)
    made = []
    for value, low, high in zip(values, lows, highs, strict=True):
        decimals = usual if column.digits is None or whole else column.places(value)
        interval = _interval(low, high, decimals or 0) if ends else ""
        made.append(Cell(written(value, decimals), interval, None if is_missing(value) else value))
    return made


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
    return [
        ("", leading(frame, "rank", "model", "predicted", "low", "high", "measured", "probability_top_1", "tied"), "")
    ]


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
