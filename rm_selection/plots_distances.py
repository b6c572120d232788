"""Distances between models' presence scores -> a matrix figure."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from rm_selection.plot_style import canvas, cells, short_names

LONGEST_SHOWN = 24  # characters of a name: the matrix needs the room
MOST_WRITTEN = 26  # models up to which a cell has room for its number
Grid = NDArray[np.float64]


def distances(frame: pd.DataFrame, domain: str | None = None) -> Figure | None:
    """Matrix of Jensen-Shannon distances between models, like beside like; None where no pair has one.

    Args:
        frame: as `analysis.distance.table` returns it.
        domain: to show; None for the mean over domains.
    """
    rows = frame if domain is None else frame[frame["domain"] == domain]
    if rows.empty:
        return None
    models, grid = _matrix(rows)
    order = _order(grid)
    names = [_short(name) for name in short_names([models[index] for index in order])]
    where = "mean over domains" if domain is None else domain
    figure, [panel] = canvas(f"Distance between presence scores, in hundredths ({where})", 2.2 + 0.2 * len(models))
    values = np.ma.masked_invalid(grid[np.ix_(order, order)])
    np.fill_diagonal(values, 0.0)
    cells(panel, values, ("Purples", 0.0, 1.0), "{:.0f}" if len(models) <= MOST_WRITTEN else "", 100.0)
    panel.set_yticks(range(len(names)), names)
    panel.set_xticks(range(len(names)), names, rotation=90)
    scale = "Jensen-Shannon, base 2, log p a byte; 0: alike (pale), 100: nothing in common (dark)"
    panel.set_xlabel(f"{scale}\nchance alone makes about {100 * rows['by_chance'].mean():.0f}", fontsize=8, loc="right")
    return figure


def _matrix(rows: pd.DataFrame) -> tuple[list[str], Grid]:
    """Models in the order they come in, and the symmetric means over domains, 0 on the diagonal."""
    models = list(dict.fromkeys([*rows["first"], *rows["second"]]))
    place = {model: index for index, model in enumerate(models)}
    grid = np.full((len(models), len(models)), np.nan)
    np.fill_diagonal(grid, 0.0)
    means = rows.groupby(["first", "second"], sort=False)["distance"].mean().reset_index()
    for row in means.to_dict("records"):
        one, other = place[row["first"]], place[row["second"]]
        grid[one, other] = grid[other, one] = row["distance"]
    return models, grid


def _order(grid: Grid) -> list[int]:
    """Models so that like ones lie side by side: leaves of average linkage, a missing distance taken as the largest."""
    if len(grid) < 3:
        return list(range(len(grid)))
    return [int(leaf) for leaf in leaves_list(linkage(squareform(np.nan_to_num(grid, nan=1.0)), "average"))]


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_SHOWN else f"{name[: LONGEST_SHOWN - 1]}\u2026"
