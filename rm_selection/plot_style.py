"""The look of every figure: inks, palette, labels and the axes they share. Sizes in inches, fonts in points.

A figure is 6.2 inches (595 px) wide, so its smallest text, 8 points, is still 10 px high when shown at 560 px.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

TEXT, MUTED, GRID = "#1b1f24", "#68707a", "#d3d7dc"
INKS = {TEXT: "text", MUTED: "muted", GRID: "grid"}  # colour -> name; a page may replace them to suit a dark background

# Okabe and Ito's palette without black and yellow, which vanish on a dark and on a light page.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"
OBJECTIVE_MARKS = {"regression": (BLUE, "o"), "bradley_terry": (VERMILLION, "s")}
FAMILY_MARKS = {
    "qwen": (BLUE, "o"),
    "gemma": (VERMILLION, "s"),
    "llama": (GREEN, "^"),
    "mistral": (ORANGE, "D"),
    "phi": (PURPLE, "v"),
    "yi": (SKY, "P"),
    "falcon": (BLUE, "X"),
    "nemotron": (VERMILLION, "<"),
    "stablelm": (GREEN, ">"),
}
OTHER_FAMILY = (MUTED, "*")

WIDTH = 6.2
ROW = 0.175  # height of a labelled row
LONGEST = 42  # characters of a name that a figure shows
RC: dict[Any, Any] = {  # Any: matplotlib types the keys one by one
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": TEXT,
    "text.parse_math": False,  # a dollar sign in a model's name is a dollar sign
    "axes.labelcolor": TEXT,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": TEXT,
    "ytick.labelcolor": TEXT,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "savefig.transparent": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "rm-selection",
}


def short_names(models: Sequence[str]) -> list[str]:
    """Names without what tells none apart: the publisher, a stage that all share; long ones are cut."""
    if len({name.partition("@")[2] for name in models}) == 1:
        models = [name.partition("@")[0] for name in models]
    bare = [name.rsplit("/", 1)[-1] for name in models]
    chosen = [name if bare.count(part) > 1 else part for name, part in zip(models, bare, strict=True)]
    return [_cut(" ".join(name.split())) for name in chosen]


def canvas(title: str, height: float, rows: int = 1, columns: int = 1, **shape: Any) -> tuple[Figure, list[Axes]]:
    """An empty figure of the common width with `rows` x `columns` axes, in reading order.

    Args:
        title: what the figure is about, set at its left edge.
        height: in inches.
        rows: of axes.
        columns: of axes.
        shape: further arguments of `Figure.subplots`.
    """
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    axes = figure.subplots(rows, columns, squeeze=False, **shape)
    return figure, list(axes.flat)


def rows_axis(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows of `axes` from the top down, row i at height i."""
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def points(axes: Axes, x: Any, y: Any, mark: tuple[str, str], *, hollow: bool = False, size: float = 28) -> None:
    """Marks of one colour and shape, with an edge dark enough to be seen where the colour is pale."""
    colour, marker = mark
    face = "none" if hollow else colour
    edge = colour if hollow else TEXT
    axes.scatter(
        x, y, s=size, marker=marker, facecolors=face, edgecolors=edge, linewidths=1.3 if hollow else 0.5, zorder=3
    )


def cells(axes: Axes, values: Any, shade: tuple[str, float, float], written: str = "", factor: float = 1.0) -> None:
    """A matrix whose row i and column j stand at height i and place j; a missing cell is a dash.

    Paths, not an image: a page leaves images out of its figures.

    Args:
        axes: with the names of rows and columns still to be set.
        values: (rows, columns), masked or not finite where missing.
        shade: colour map, and the values at its ends.
        written: format of the number in each cell, nothing for none.
        factor: of the numbers written.
    """
    shown = np.ma.masked_invalid(values)
    edges = [np.arange(count + 1) - 0.5 for count in shown.shape]
    mesh = axes.pcolormesh(edges[1], edges[0], shown, cmap=shade[0], vmin=shade[1], vmax=shade[2], edgecolors="none")
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    for row, column in np.ndindex(shown.shape):
        missing = bool(np.ma.getmaskarray(shown)[row, column])
        text = "\u2013" if missing else written.format(factor * shown[row, column]) if written else ""
        if text:
            ink = MUTED if missing else _ink_on(mesh.to_rgba(shown[row, column]))
            axes.text(column, row, text.replace("-", "\u2212"), color=ink, ha="center", va="center", fontsize=8)


def _ink_on(colour: Any) -> str:
    """Black or white, whichever is the easier to read on a colour (W3C's relative luminance)."""
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour[:3])
    return "#000000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 else "#ffffff"


def interval(axes: Axes, y: Any, low: Any, high: Any, colour: str) -> None:
    """Horizontal intervals; those with a missing end are left out."""
    low, high, y = (np.asarray(values, dtype=float) for values in (low, high, y))
    kept = np.isfinite(low) & np.isfinite(high)
    axes.hlines(y[kept], low[kept], high[kept], colors=colour, linewidth=1.6, zorder=2)


class Entry(NamedTuple):
    """A line of a legend: text, (colour, marker), line style ("" for none)."""

    text: str
    mark: tuple[str, str]
    line: Any = ""
    hollow: bool = False


def legend(figure: Figure, entries: Iterable[Entry], columns: int = 3) -> None:
    """A legend below the axes."""
    handles = [_handle(entry) for entry in entries]
    figure.legend(handles=handles, loc="outside lower left", ncols=columns, handletextpad=0.5, columnspacing=1.4)


def families(frame: pd.DataFrame) -> list[str]:
    """Families in `frame`: those with a mark of their own in its order, then "other" if any is left."""
    present = set(frame["family"].astype(str))
    return [name for name in FAMILY_MARKS if name in present] + (["other"] if present - set(FAMILY_MARKS) else [])


def _handle(entry: Entry) -> Line2D:
    colour, marker = entry.mark
    handle = Line2D([], [], color=colour, marker=marker, linestyle=entry.line, label=entry.text)
    handle.set_markerfacecolor("none" if entry.hollow else colour)
    handle.set_markeredgecolor(colour if entry.hollow else TEXT)
    handle.set_markeredgewidth(1.3 if entry.hollow else 0.5)
    return handle


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
