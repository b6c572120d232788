"""One self-contained HTML page of a study: the answer first, then the evidence, how far to trust it, and each base."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup
from pydantic import BaseModel

from rm_selection import __version__
from rm_selection.columns import brief, under_budget
from rm_selection.inline_svg import inline
from rm_selection.page_answer import answer, findings
from rm_selection.page_parts import FIGURES, PARTS
from rm_selection.page_tables import LONG, View, views
from rm_selection.settings import typed_word
from rm_selection.sheets import address, models, sheets, slugs

if TYPE_CHECKING:
    from rm_selection.curve_charts import Chart

Tables = Mapping[str, pd.DataFrame]

# The inks of plot_style, named again so that a page needs no matplotlib; a test holds the two together.
INKS = {"#1b1f24": "var(--text)", "#68707a": "var(--muted)", "#d3d7dc": "var(--line)"}
TOP = 10  # candidates shown with the answer
_STARRED = "* with figures filled in or outside the fitted range; the table of all candidates names them."
MARKS = {"yes": "\u2713", "partly": "\u25d0", "no": "\u2717"}
ELSEWHERE = ("recommendation", "claims", "models", "sources")  # tables with a place of their own


class Notes(BaseModel):
    """How the ranking was made, as recommend writes it to recommendation.json."""

    header: list[str] = []
    warnings: list[str] = []
    settings: dict[str, Any] = {}


def page(
    study: str,
    tables: Tables,
    figures: Mapping[str, str],
    notes: Mapping[str, Any],
    charts: Mapping[str, Sequence[Chart]] | None = None,
    files: Collection[str] = (),
) -> str:
    """The report of a study as one HTML document that loads nothing.

    Args:
        study: its name.
        tables: by name; sections without a table or figure are left out.
        figures: SVG text by name.
        notes: of the ranking: header and warnings (lists of sentences) and settings (name -> value), or empty.
        charts: training curves by checkpoint.
        files: what lies beside the page, such as `tables/gains.csv`: it links to those of its tables and figures.

    Raises:
        StudyError: a figure is no SVG.
    """
    made = Notes(**notes)
    drawn = {name: Markup(inline(name, text, FIGURES.get(name, name), INKS)) for name, text in figures.items()}
    names = slugs(models(tables))
    links = {model: address(slug) for model, slug in names.items()}
    shown = {name: views(name, frame, links=links) for name, frame in tables.items()}
    pages = sheets(tables, names)
    known = {*ELSEWHERE, *(name for part in PARTS for name in part.tables)}
    ranking = tables.get("recommendation")
    budget = ranking is not None and under_budget(ranking)
    return _template().render(
        study=study,
        own="runs" in tables,
        test=tables["runs"]["evaluation"].iloc[0] if "runs" in tables else "RewardBench",
        version=__version__,
        answer=answer(ranking, made.settings, made.header) if ranking is not None and len(ranking) else [],
        top=_top(ranking, links) if ranking is not None and len(ranking) else None,
        notes=made,
        budget=budget,
        header=made.header[1:] if budget else made.header,  # under a budget its first sentence is the answer
        typed=_typed(made.settings),
        parts=[part for part in PARTS if drawn.keys() & set(part.figures) or any(map(shown.get, part.tables))],
        findings=findings(tables),
        figures=drawn,
        titles=FIGURES,
        views=shown,
        others=sorted(name for name in shown if name not in known and shown[name]),
        meanings=_meanings([*(view for made in shown.values() for view in made), *_of_sheets(pages)]),
        marks=MARKS,
        sheets=pages,
        charts={model: [(one, _chart(one)) for one in found] for model, found in (charts or {}).items()},
        files=files,
    )


def _typed(settings: Mapping[str, Any]) -> list[str]:
    """The settings of a ranking as one types them, but for those left open and where it lies."""
    return [
        typed_word(name, value)
        for name, value in settings.items()
        if value is not None and value != [] and name != "output" and not isinstance(value, dict)
    ]


def _chart(chart: Chart) -> Markup:
    return Markup(inline("chart", chart.svg, chart.title, INKS))


def _top(ranking: pd.DataFrame, links: Mapping[str, str]) -> View:
    ordered = ranking.sort_values("rank")
    if len(ranking) <= LONG:  # a short ranking is not shown a second time in full
        return views("recommendation", ordered, f"All {len(ranking)} candidates", links)[0]
    first = (
        ordered.assign(basis=ordered["basis"].astype(str).map(brief)).drop(columns="family", errors="ignore").head(TOP)
    )
    shown = views("recommendation", first, f"The first {TOP} candidates", links)[0]
    starred = first["basis"].str.endswith("*").any()
    return replace(shown, note=_STARRED) if starred else shown


def _of_sheets(pages: Sequence[Any]) -> list[View]:
    return [view for sheet in pages for view in (*sheet.scores, *sheet.runs, *sheet.features)]


def _meanings(shown: Sequence[View]) -> list[tuple[str, str, str]]:
    """Heading, unit and meaning of every column described, once each, in alphabetical order."""
    columns = [column for made in shown for name, column, _ in made.columns if column.heading != name]
    return sorted({(column.heading, column.unit, column.meaning) for column in columns})


def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).resolve().parent / "html")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html.j2")
