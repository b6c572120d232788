"""Training curves of a study -> charts, for each checkpoint one an objective and quantity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from rm_selection.columns import label
from rm_selection.line_chart import STYLES, Line, Points, line_chart
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
    lost = [_course(line) for _, line in frame[~frame["chosen"].astype(bool)].groupby(["seed", "rate"], dropna=False)]
    behind = [Line(lost, "other rates", GRID, width=1.2)] if lost else []
    before = []
    for place, (seed, line) in enumerate(frame[frame["chosen"].astype(bool)].groupby("seed")):
        colour, dashes = STYLES[place % len(STYLES)]
        rate = line["rate"].iloc[0]
        named = f"seed {seed}" + ("" if pd.isna(rate) else f", rate {rate:.3g}")
        before.append(Line([_course(line)], named, colour, dashes))
    return [*behind, *before]


def _course(line: pd.DataFrame) -> Points:
    ordered = line.sort_values("step")
    return list(zip(ordered["step"].astype(float), ordered["value"].astype(float), strict=True))
