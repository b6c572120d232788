"""Training curves of a study -> charts, for each checkpoint one an objective and quantity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from rm_selection.columns import label
from rm_selection.line_chart import STYLES, Line, line_chart
from rm_selection.plot_style import GRID
from rm_selection.training_curves import LOSS


@dataclass(frozen=True)
class Chart:
    """A chart: its file's name without suffix, what it shows, and the SVG."""

    name: str
    title: str
    svg: str


def charts(curves: pd.DataFrame, slugs: Mapping[str, str]) -> dict[str, list[Chart]]:
    """By checkpoint, its charts: regression first, loss before validation.

    Args:
        curves: as `training_curves.curves` returns them.
        slugs: what a checkpoint is called in the name of a file.
    """
    made: dict[str, list[Chart]] = {}
    for (model, objective), frame in curves.groupby(["model", "objective"], sort=False):
        made.setdefault(str(model), []).extend(_of_objective(slugs[str(model)], str(objective), frame))
    return {model: sorted(found, key=lambda chart: "-bradley" in chart.name) for model, found in made.items()}


def _of_objective(slug: str, objective: str, frame: pd.DataFrame) -> Iterator[Chart]:
    for what, mine in frame.groupby("what", sort=False):
        quantity = "training loss" if what == LOSS else str(what).replace("_", " ")
        title = f"{label(objective)}: {quantity}"
        svg = line_chart(title[:1].upper() + title[1:], "optimiser step", _lines(mine))
        yield Chart(f"{slug}-{objective}-{what}", f"{title} by step, one line a seed", svg)


def _lines(frame: pd.DataFrame) -> Sequence[Line]:
    """The rates that lost as pale lines behind, then a line a seed for the rate that was chosen."""
    behind, before = [], []
    for place, (seed, mine) in enumerate(frame.groupby("seed", sort=True)):
        colour, dashes = STYLES[place % len(STYLES)]
        for (chosen, rate), line in mine.groupby(["chosen", "rate"], dropna=False, sort=False):
            ordered = line.sort_values("step")
            points = list(zip(ordered["step"].astype(float), ordered["value"].astype(float), strict=True))
            if chosen:
                named = f"seed {seed}" + ("" if pd.isna(rate) else f", rate {rate:g}")
                before.append(Line(points, named, colour, dashes))
            else:
                behind.append(Line(points, "" if behind else "other rates", GRID, width=1.2))
    return [*behind, *before]
