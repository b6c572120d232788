"""One self-contained HTML page of a study: the answer first, then the evidence, then how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup
from pydantic import BaseModel

from rm_selection import __version__
from rm_selection.analysis.balanced_ridge import NAME as RECOMMENDED
from rm_selection.columns import is_missing, written
from rm_selection.inline_svg import inline
from rm_selection.page_tables import LONG, View, views

Tables = Mapping[str, pd.DataFrame]

# The inks of plot_style, named again so that a page needs no matplotlib; a test holds the two together.
INKS = {"#1b1f24": "var(--text)", "#68707a": "var(--muted)", "#d3d7dc": "var(--line)"}
TOP = 10  # candidates shown with the answer
RUNNERS_UP = 4  # candidates named in words


class Notes(BaseModel):
    """How the ranking was made, as recommend writes it to recommendation.json."""

    header: list[str] = []
    warnings: list[str] = []
    settings: dict[str, Any] = {}


@dataclass(frozen=True)
class Part:
    """A section: how to read it, its figures (those in `folded` behind a click) and its tables."""

    id: str
    title: str
    reading: str
    figures: tuple[str, ...] = ()
    folded: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    caution: str = ""


PARTS = (
    Part(
        "scores",
        "How much the base matters",
        "Each mark is the mean score of the reward models trained from a base, with the error of its pairs and seeds; "
        "the further the first row lies right of the last, the more the choice of a base is worth.",
        figures=("scores",),
        tables=("span", "scores"),
    ),
    Part(
        "gains",
        "Gains over the default base",
        "In each block of sizes, a mark right of the dashed line is a base that gives a better reward model than the "
        "Llama base one would take by default.",
        figures=("gains",),
        tables=("gains",),
    ),
    Part(
        "correlation",
        "What goes with a good reward model",
        "The further right a mark, the more closely bases that score high on that benchmark also give good reward "
        "models; a line that crosses 0 leaves open whether there is any relation.",
        figures=("correlation_spearman", "correlation_categories"),
        folded=("correlation_pearson",),
        tables=("correlation",),
    ),
    Part(
        "coverage",
        "Finding the best bases",
        "Train the k bases that a predictor ranks first: the line says which share of the truly best k is among them. "
        "Only the panel that leaves a family out speaks of bases of a lineage not seen before.",
        figures=("coverage",),
        folded=("coverage_bradley_terry",),
        tables=("coverage",),
    ),
    Part(
        "stages",
        "Post-training stages",
        "Each large mark is how many points the reward model gains when trained from that stage rather than from the "
        "pretrained base; stages compare directly only within one publisher's recipe (Tulu's sft, dpo, rlvr). Stages "
        "named made-... are no publisher's: they were post-trained here from one base under one recipe.",
        figures=("stages",),
        tables=("stages", "stage_choice", "made_stages", "stages_published"),
    ),
    Part(
        "objectives",
        "Regression against Bradley-Terry",
        "A positive difference means that the base makes the better reward model by regression on ratings.",
        tables=("objectives_summary", "objectives"),
    ),
    Part(
        "predictors",
        "Predictors compared",
        "Smaller error and higher coverage are better; compare rows of one objective and one validation, and trust "
        "those that leave one family out, which come first.",
        figures=("errors",),
        tables=("predictor", "costs"),
    ),
    Part(
        "predictions",
        "Predicted against measured",
        "A mark on the dashed line is a score predicted exactly by a predictor that never saw a model of that family; "
        "the five worst are named.",
        figures=("predicted_actual",),
        folded=("predicted_actual_bradley_terry",),
        tables=("intervals", "predictions"),
    ),
    Part(
        "coefficients",
        "Coefficients and diagnostics",
        "Each mark is how many points of score go with one standard deviation of a feature, the others held fixed; a "
        "line that crosses 0 leaves its sign open.",
        figures=("coefficients",),
        folded=("coefficients_bradley_terry",),
        tables=("coefficients", "diagnostics", "influence"),
        caution="The benchmarks vary in about two directions, so their coefficients trade off against each other: the "
        "size, sign and p-value of a single coefficient mean little. Read the prediction as a whole.",
    ),
    Part(
        "components",
        "How many things the benchmarks measure",
        "A bar is the share of all differences between models on the benchmarks that one component accounts for; where "
        "the line is high after a few bars, the benchmarks mostly repeat each other.",
        figures=("components",),
        tables=("factors",),
    ),
    Part(
        "distances",
        "How alike the bases see the same text",
        "Two bases with a small number give the documents of a domain much the same scores, so their training data is "
        "probably alike; numbers near what chance alone makes say nothing.",
        figures=("distances",),
        tables=("distances",),
    ),
)
FIGURES = {
    "scores": "Reward-model score of every base by objective, with 90% intervals",
    "errors": "Mean absolute error of each predictor by validation, with 90% intervals",
    "recommendation": "Predicted or measured score of the best candidates with 90% intervals",
    "gains": "Reward-model score of every base by size group and objective",
    "correlation_spearman": "Spearman correlation of each feature with the overall score",
    "correlation_pearson": "Pearson correlation of each feature with the overall score",
    "correlation_categories": "Spearman correlation of each feature with each category",
    "coverage": "Coverage at k by predictor and validation, regression",
    "coverage_bradley_terry": "Coverage at k by predictor and validation, Bradley-Terry",
    "stages": "Change of the score by post-training stage",
    "predicted_actual": "Predicted against measured score, leaving one family out, regression",
    "predicted_actual_bradley_terry": "Predicted against measured score, leaving one family out, Bradley-Terry",
    "coefficients": "Coefficients with 90% intervals, regression objective",
    "coefficients_bradley_terry": "Coefficients with 90% intervals, Bradley-Terry objective",
    "components": "Variance explained by each principal component",
    "distances": "Jensen-Shannon distance between the presence scores of every two bases",
}
LIMITS = ("max_params_b", "min_params_b", "licence", "exclude_family", "candidates")  # settings that leave bases out
MARKS = {"yes": "\u2713", "partly": "\u25d0", "no": "\u2717"}


def page(study: str, tables: Tables, figures: Mapping[str, str], notes: Mapping[str, Any]) -> str:
    """The report of a study as one HTML document that loads nothing.

    Args:
        study: its name.
        tables: by name; sections without a table or figure are left out.
        figures: SVG text by name.
        notes: of the ranking: header and warnings (lists of sentences) and settings (name -> value), or empty.

    Raises:
        StudyError: a figure is no SVG.
    """
    made = Notes(**notes)
    drawn = {name: Markup(inline(name, text, FIGURES.get(name, name), INKS)) for name, text in figures.items()}
    shown = {name: views(name, frame) for name, frame in tables.items()}
    known = {"recommendation", "claims", "models", "sources", *(name for part in PARTS for name in part.tables)}
    ranking = tables.get("recommendation")
    return _template().render(
        study=study,
        own="runs" in tables,
        test=tables["runs"]["evaluation"].iloc[0] if "runs" in tables else "RewardBench",
        version=__version__,
        answer=answer(ranking, made.settings) if ranking is not None and len(ranking) else [],
        top=_top(ranking) if ranking is not None else None,
        notes=made,
        parts=[part for part in PARTS if drawn.keys() & set(part.figures) or any(map(shown.get, part.tables))],
        findings=_findings(tables),
        figures=drawn,
        titles=FIGURES,
        views=shown,
        others=sorted(name for name in shown if name not in known and shown[name]),
        meanings=_meanings([view for made in shown.values() for view in made]),
        marks=MARKS,
    )


def answer(ranking: pd.DataFrame, settings: Mapping[str, Any]) -> list[str]:
    """The ranking in sentences: the first, those next to it, the likeliest of the other kind, the limits.

    Args:
        ranking: the table `recommendation`, one row or more.
        settings: those of the ranking; LIMITS among them are told.
    """
    rows = ranking.sort_values("rank").to_dict("records")
    first, *others = rows
    sentences = [
        f"{_lead(first)} It is the best of the {len(rows)} candidates with probability "
        f"{written(first['probability_top_1'], 2)}."
    ]
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


def _top(ranking: pd.DataFrame) -> View:
    count = TOP if len(ranking) > LONG else len(ranking)  # a short ranking is not shown a second time in full
    return views("recommendation", ranking.sort_values("rank").head(count), f"The first {count} candidates")[0]


def _findings(tables: Tables) -> dict[str, str]:
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


def _meanings(shown: Sequence[View]) -> list[tuple[str, str, str]]:
    """Heading, unit and meaning of every column described, once each, in alphabetical order."""
    columns = [column for made in shown for name, column, _ in made.columns if column.heading != name]
    return sorted({(column.heading, column.unit, column.meaning) for column in columns})


def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).resolve().parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html.j2")
