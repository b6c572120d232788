"""Tables of a study -> matplotlib figures, and figures -> files.

    save(figures(read_tables(folder)), folder / "figures")

The figures about models are drawn here, those about features and predictors in plots_features.py, about stages in
plots_stages.py, about costs in plots_cost.py, and those that only a study of one's own has in plots_measured.py,
plots_presence.py and plots_distances.py.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rm_selection import plots_cost, plots_distances, plots_presence, plots_stages
from rm_selection import plots_features as features
from rm_selection import plots_measured as measured
from rm_selection.analysis.balanced_ridge import NAME as RECOMMENDED
from rm_selection.analysis.gains import SIZE_GROUPS
from rm_selection.columns import label
from rm_selection.plot_style import (
    BLUE,
    FAMILY_MARKS,
    GREEN,
    GRID,
    MUTED,
    ORANGE,
    OTHER_FAMILY,
    RC,
    ROW,
    TEXT,
    VERMILLION,
    Entry,
    canvas,
    families,
    interval,
    legend,
    points,
    rows_axis,
    short_names,
)

Tables = Mapping[str, pd.DataFrame]
SCORE = "Reward-model score, points"
SHOWN_CANDIDATES = 20
NAMED_MISSES = 5

_GROUP_MARKS = ((GREEN, "^"), (ORANGE, "s"), (BLUE, "o"))


@dataclass(frozen=True)
class Plot:
    """How one figure is made: the tables it needs, and a function of all tables that may find nothing to draw."""

    needs: tuple[str, ...]
    draw: Callable[[Tables], Figure | None]


def figures(tables: Tables) -> dict[str, Figure]:
    """Every figure whose tables are there, by name, in the order of the report."""
    made = {}
    with rc_context(RC):
        for name, plot in PLOTS.items():
            if not all(need in tables and len(tables[need]) for need in plot.needs):
                continue
            if (figure := plot.draw(tables)) is not None:
                made[name] = figure
    return made


def save(made: Mapping[str, Figure], folder: Path) -> None:
    """Write each figure as <name>.svg and <name>.png (150 dpi); the same figure gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    with rc_context(RC), warnings.catch_warnings():
        # A model's name may hold a character that the PNG's font lacks; the SVG leaves fonts to the browser.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        for name, figure in made.items():
            _write(figure, folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
            _write(figure, folder / f"{name}.png", metadata={"Software": None}, dpi=150)


def _write(figure: Figure, path: Path, **settings: Any) -> None:
    part = path.with_name(f".{path.name}.part")
    figure.savefig(part, format=path.suffix[1:], **settings)
    part.replace(path)


def gains(tables: Tables) -> Figure:
    """Score of every model by objective, in blocks of size, against the Llama base one would take by default."""
    scores = tables["objectives"].merge(tables["models"][["model", "params_b"]], on="model")
    defaults = set(tables["gains"]["default_base"]) if "gains" in tables else set()
    rows = len(scores) + len(SIZE_GROUPS)
    figure, axes = canvas("Reward-model score of every base, by size and objective", 2 * rows * ROW + 1.4, rows=2)
    for panel, objective in zip(axes, ("regression", "bradley_terry"), strict=True):
        panel.set_title(label(objective).capitalize() if objective == "regression" else label(objective))
        _gains_panel(panel, scores.sort_values(objective, ascending=False, kind="stable"), objective, defaults)
    groups = [
        Entry(text.replace(">=", "\u2265"), mark) for (text, _, _), mark in zip(SIZE_GROUPS, _GROUP_MARKS, strict=True)
    ]
    legend(figure, [*reversed(groups), Entry("default Llama base", (TEXT, "o"), "--", hollow=True)], columns=4)
    return figure


def _gains_panel(panel: Axes, scores: pd.DataFrame, objective: str, defaults: set[str]) -> None:
    names: list[str] = []
    for (_, lower, upper), mark in zip(reversed(SIZE_GROUPS), reversed(_GROUP_MARKS), strict=True):
        block = scores[(scores["params_b"] >= lower) & (scores["params_b"] < upper)]
        height = np.arange(len(block)) + len(names)
        points(panel, block[objective], height, mark)
        is_default = block["model"].isin(defaults).to_numpy()
        points(panel, block[objective][is_default], height[is_default], (TEXT, "o"), hollow=True, size=95)
        for value in block[objective][is_default]:
            panel.vlines(
                value, len(names) - 0.5, len(names) + len(block) - 0.5, colors=MUTED, linestyles="--", linewidth=1
            )
        names += [*short_names(list(block["model"])), ""]
    rows_axis(panel, names[:-1])
    panel.set_xlabel(SCORE)


def predicted_actual(tables: Tables, objective: str = "regression") -> Figure | None:
    """Score predicted for each model from other families only, against the measured one."""
    every = tables["predictions"]
    chosen = (every["validation"] == "leave_family_out") & (every["predictor"] == RECOMMENDED)
    frame = every[chosen & (every["objective"] == objective)].dropna(subset=["actual", "predicted"])
    if frame.empty:
        return None
    frame = frame[frame["feature_set"] == frame["feature_set"].iloc[0]]
    title = f"Predicted without its family, against measured ({label(objective)} objective)"
    figure, [panel] = canvas(title, 5.6)
    span = [frame[["actual", "predicted"]].to_numpy().min() - 2, frame[["actual", "predicted"]].to_numpy().max() + 2]
    panel.plot(span, span, color=MUTED, linestyle="--", linewidth=1)
    panel.vlines(frame["actual"], frame["low"], frame["high"], colors=GRID, linewidth=1.6)
    for family in families(frame):
        mine = _family_rows(frame, family)
        points(panel, mine["actual"], mine["predicted"], FAMILY_MARKS.get(family, OTHER_FAMILY), size=34)
    _name_misses(panel, frame, span)
    panel.set_xlabel("Measured score, points")
    panel.set_ylabel("Predicted score, points")
    marks = [Entry(family, FAMILY_MARKS.get(family, OTHER_FAMILY)) for family in families(frame)]
    lines = [Entry("exact prediction", (MUTED, "None"), "--"), Entry("90% interval", (GRID, "None"), "-")]
    legend(figure, [*marks, *lines], columns=5)
    return figure


def _family_rows(frame: pd.DataFrame, family: str) -> pd.DataFrame:
    known = frame["family"].isin(list(FAMILY_MARKS))
    return frame[~known] if family == "other" else frame[frame["family"] == family]


def _name_misses(panel: Axes, frame: pd.DataFrame, span: list[float]) -> None:
    """Name the worst predictions on the side where few points lie, pushed apart where they would overlap."""
    off = (frame["predicted"] - frame["actual"]).abs()
    worst = frame.loc[off.nlargest(NAMED_MISSES).index].sort_values("predicted")
    width = span[1] - span[0]
    panel.set_xlim(span[0], span[1] + 0.2 * width)
    last = -np.inf
    for name, row in zip(short_names(list(worst["model"])), worst.to_dict("records"), strict=True):
        x, y = float(row["actual"]), float(row["predicted"])
        last = max(y, last + 0.03 * width)
        right = y < x or x < span[0] + width / 3
        shift = 0.018 * width * (1 if right else -1)
        panel.text(x + shift, last, name, fontsize=8, ha="left" if right else "right", va="center")


def recommendation(tables: Tables) -> Figure:
    """The best candidates: predicted score with interval, and whether it was measured or predicted."""
    frame = tables["recommendation"].sort_values("rank").head(SHOWN_CANDIDATES)
    measured = frame["basis"].astype(str).str.startswith("measured").to_numpy()
    height = np.arange(len(frame))
    figure, [panel] = canvas("Best bases for a reward model", len(frame) * ROW * 1.2 + 1.2)
    known, others = plots_cost.kinds(frame)
    kinds = ((known, measured, (BLUE, "o"), False), (others, ~measured, (VERMILLION, "D"), True))
    for _, rows, mark, hollow in kinds:
        chosen = frame[rows]
        interval(panel, height[rows], chosen["low"], chosen["high"], mark[0])
        points(panel, chosen["predicted"], height[rows], mark, hollow=hollow, size=36)
    names = short_names(list(frame["model"]))
    rows_axis(panel, [f"{rank:.0f}. {name}" for name, rank in zip(names, frame["rank"], strict=True)])
    panel.set_xlabel(f"{SCORE}, with 90% interval")
    entries = [Entry(kind, mark, "-", hollow) for kind, _, mark, hollow in kinds]
    legend(figure, entries)
    return figure


PLOTS: Mapping[str, Plot] = {
    "recommendation": Plot(("recommendation",), recommendation),
    "cost": Plot(("recommendation",), plots_cost.cost),
    "scores": Plot(("scores",), measured.scores),
    "errors": Plot(("predictor", "scores"), measured.errors),
    "gains": Plot(("objectives", "models", "gains"), gains),
    "correlation_pearson": Plot(("correlation",), partial(features.correlation, method="pearson")),
    "correlation_spearman": Plot(("correlation",), partial(features.correlation, method="spearman")),
    "correlation_categories": Plot(("correlation",), features.correlation_categories),
    "coverage": Plot(("coverage",), features.coverage),
    "coverage_bradley_terry": Plot(("coverage",), partial(features.coverage, objective="bradley_terry")),
    "stages": Plot(("stages",), plots_stages.stages),
    "predicted_actual": Plot(("predictions",), predicted_actual),
    "predicted_actual_bradley_terry": Plot(("predictions",), partial(predicted_actual, objective="bradley_terry")),
    "coefficients": Plot(("coefficients",), features.coefficients),
    "coefficients_bradley_terry": Plot(("coefficients",), partial(features.coefficients, objective="bradley_terry")),
    "components": Plot(("factors",), features.components),
    "presence": Plot(("features",), plots_presence.presence),
    "distances": Plot(("distances",), lambda tables: plots_distances.distances(tables["distances"])),
}
