"""Figures about features and predictors: correlation, coverage, coefficients, principal components."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rm_selection.columns import label
from rm_selection.plot_style import (
    BLUE,
    GREEN,
    GRID,
    MUTED,
    OBJECTIVE_MARKS,
    ORANGE,
    PURPLE,
    ROW,
    TEXT,
    VERMILLION,
    WIDTH,
    Entry,
    canvas,
    cells,
    interval,
    legend,
    points,
    rows_axis,
)

Tables = Mapping[str, pd.DataFrame]
OVERALL = "score"  # what the overall score is called as a target
TARGETS = (OVERALL, "chat", "chat_hard", "safety", "reasoning")
VALIDATIONS = ("in_sample", "ten_fold", "leave_family_out")
INTERCEPTS = ("const", "intercept", "Intercept")
_LINES = {
    "balanced_ridge": (BLUE, "-", 2.2),
    "elastic_net": (VERMILLION, "-", 1.4),
    "size": (TEXT, ":", 1.6),
    "size_tokens": (PURPLE, "-.", 1.4),
    "best_benchmark": (GREEN, "--", 1.6),
    "probe": (ORANGE, "-", 1.4),
}
_BANDS = ("balanced_ridge", "best_benchmark")  # five bands over each other could not be told apart


def correlation(tables: Tables, method: str) -> Figure | None:
    """Correlation of each feature with the overall score by objective, with 90% intervals.

    Args:
        tables: of the study.
        method: pearson or spearman.
    """
    frame = tables["correlation"]
    frame = frame[frame["target"] == OVERALL].dropna(subset=[method])
    if frame.empty:
        return None
    order = frame[frame["objective"] == frame["objective"].iloc[0]].sort_values(method, ascending=False)
    place = {feature: row for row, feature in enumerate(order["feature"])}
    figure, [panel] = canvas(
        f"{method.capitalize()} correlation with the reward-model score", len(place) * ROW * 1.15 + 1.3
    )
    marks = {name: mark for name, mark in OBJECTIVE_MARKS.items() if name in set(frame["objective"])}
    for (objective, mark), shift in zip(marks.items(), (-0.19, 0.19), strict=False):
        mine = frame[(frame["objective"] == objective) & frame["feature"].isin(list(place))]
        height = mine["feature"].map(place).to_numpy(dtype=float) + shift
        interval(panel, height, mine[f"{method}_low"], mine[f"{method}_high"], mark[0])
        points(panel, mine[method], height, mark, size=20)
    panel.axvline(0, color=MUTED, linewidth=1)
    rows_axis(panel, [f"{feature}  n={n:.0f}" for feature, n in zip(order["feature"], order["n"], strict=True)])
    panel.set_xlabel(f"{method.capitalize()} correlation, with 90% interval")
    legend(figure, [Entry(label(name), mark, "-") for name, mark in marks.items()])
    return figure


def correlation_categories(tables: Tables) -> Figure:
    """Spearman correlation of each feature with each category, as a heat map, of the first objective.

    Each cell holds its number, so no colour bar is needed.
    """
    frame = tables["correlation"]
    frame = frame[frame["objective"] == frame["objective"].iloc[0]]
    grid = frame.pivot_table(index="feature", columns="target", values="spearman", dropna=False)
    targets = [*(name for name in TARGETS if name in grid), *(name for name in grid if name not in TARGETS)]
    grid = grid[targets].sort_values(targets[0], ascending=False)
    figure, [panel] = canvas(
        f"Spearman correlation by category ({label(frame['objective'].iloc[0])} objective)", len(grid) * ROW + 1.1
    )
    values = np.ma.masked_invalid(grid.to_numpy(dtype=float))
    cells(panel, values, ("PuOr_r", -1.0, 1.0), "{:.2f}")
    panel.set_yticks(range(len(grid)), list(grid.index))
    panel.set_xticks(range(len(targets)), [label(name) for name in targets])
    panel.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False)
    return figure


def coverage(tables: Tables, objective: str = "regression") -> Figure | None:
    """Share of the true top k that is in the predicted top k, by how the predictor was validated."""
    frame = tables["coverage"]
    frame = frame[(frame["objective"] == objective) & frame["predictor"].isin(list(_LINES))]
    if frame.empty:
        return None
    title = f"Share of the best k bases found among the k chosen ({label(objective)} objective)"
    figure, axes = canvas(title, 5.2, rows=2, columns=2, sharex=True, sharey=True)
    for panel, validation in zip(axes, VALIDATIONS, strict=False):
        panel.set_title(label(validation))
        _coverage_panel(panel, frame[frame["validation"] == validation], len(tables.get("models", ())))
        panel.tick_params(labelbottom=True)
    axes[0].set_ylim(0, 1.02)
    axes[0].set_ylabel("Coverage, share")
    axes[2].set_ylabel("Coverage, share")
    axes[1].set_xlabel("k, number of bases")
    axes[2].set_xlabel("k, number of bases")
    _coverage_legend(axes[3], [name for name in _LINES if (frame["predictor"] == name).any()])
    return figure


def _coverage_panel(panel: Axes, frame: pd.DataFrame, models: int) -> None:
    for name, (colour, style, width) in _LINES.items():
        mine = frame[frame["predictor"] == name].sort_values("k")
        panel.plot(mine["k"], mine["coverage"], color=colour, linestyle=style, linewidth=width)
        if name in _BANDS:
            panel.fill_between(mine["k"], mine["low"], mine["high"], color=colour, alpha=0.15, linewidth=0)
    if models:
        k = np.array([5, min(30, models)])
        panel.plot(k, k / models, color=GRID, linewidth=1.4)


def _coverage_legend(panel: Axes, names: list[str]) -> None:
    """The fourth panel says what the lines are."""
    panel.set_axis_off()
    for name in names:
        colour, style, width = _LINES[name]
        panel.plot([], [], color=colour, linestyle=style, linewidth=width, label=label(name))
    panel.plot([], [], color=GRID, linewidth=1.4, label="chosen by chance")
    for name in (name for name in names if name in _BANDS):
        band = f"{label(name)}, 90% interval"
        panel.fill_between([], [], [], color=_LINES[name][0], alpha=0.15, linewidth=0, label=band)
    panel.legend(loc="center left", handlelength=3, labelspacing=0.8)


def coefficients(tables: Tables, objective: str = "regression") -> Figure | None:
    """Coefficients of the regression with 90% intervals under two kinds of errors."""
    frame = tables["coefficients"]
    frame = frame[(frame["objective"] == objective) & ~frame["term"].isin(INTERCEPTS)]
    if frame.empty:
        return None
    frame = frame[frame["feature_set"] == frame["feature_set"].iloc[0]]
    terms = list(dict.fromkeys(frame["term"]))
    figure, [panel] = canvas(f"Least-squares coefficients ({label(objective)} objective)", len(terms) * 0.3 + 1.3)
    marks = {"hc3": (BLUE, "o"), "cluster": (ORANGE, "s")}
    for (errors, mark), shift in zip(marks.items(), (-0.15, 0.15), strict=True):
        mine = frame[frame["errors"] == errors]
        height = mine["term"].map({term: row for row, term in enumerate(terms)}).to_numpy(dtype=float) + shift
        interval(panel, height, mine["low"], mine["high"], mark[0])
        points(panel, mine["estimate"], height, mark, size=30)
    panel.axvline(0, color=MUTED, linewidth=1)
    rows_axis(panel, terms)
    panel.set_xlabel("Points of score per standard deviation of the feature")
    legend(figure, [Entry(label(errors), mark, "-") for errors, mark in marks.items()])
    return figure


def components(tables: Tables) -> Figure:
    """Variance that each principal component of the benchmarks explains, and what the first ones explain together."""
    frame = tables["factors"].sort_values("component")
    figure, [panel] = canvas("Variance of the benchmarks by principal component", WIDTH * 0.5)
    panel.bar(frame["component"], frame["explained_variance"], color=BLUE, width=0.6)
    panel.plot(frame["component"], frame["cumulative"], color=VERMILLION, marker="s", markersize=5, linewidth=1.4)
    panel.grid(visible=False, axis="x")
    panel.set_ylim(0, 1.04)
    panel.set_xticks(list(frame["component"]))
    panel.set_xlabel("Principal component")
    panel.set_ylabel("Variance explained, share")
    legend(figure, [Entry("this component", (BLUE, "s")), Entry("this and all before", (VERMILLION, "s"), "-")])
    return figure
