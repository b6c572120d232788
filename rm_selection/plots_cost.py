"""Score against what training costs: every candidate, and those that no cheaper one beats."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from rm_selection.analysis.frontier import frontier
from rm_selection.columns import under_budget
from rm_selection.plot_style import BLUE, GREEN, MUTED, VERMILLION, Entry, canvas, legend, points, short_names

SPREAD = 20  # a range of costs wider than this is drawn on a logarithmic axis
APART = 0.05  # of the height, between two names at least


def cost(tables: Mapping[str, pd.DataFrame]) -> Figure | None:
    """Score of every candidate by the hours that its training takes; the best of every budget are named."""
    frame = tables["recommendation"].dropna(subset=["train_gpu_hours", "predicted"])
    frame = frame[frame["train_gpu_hours"] > 0]
    if frame.empty:
        return None
    best = frontier(frame)
    figure, [panel] = canvas("Score against the cost of training", 4.4)
    panel.vlines(best["train_gpu_hours"], best["low"], best["high"], colors=MUTED, linewidth=1)
    panel.step(best["train_gpu_hours"], best["predicted"], where="post", color=GREEN, linestyle="--", linewidth=1.4)
    measured = frame["basis"].astype(str).str.startswith("measured").to_numpy()
    points(panel, frame["train_gpu_hours"][~measured], frame["predicted"][~measured], (VERMILLION, "D"), hollow=True)
    points(panel, frame["train_gpu_hours"][measured], frame["predicted"][measured], (BLUE, "o"))
    if frame["train_gpu_hours"].max() > SPREAD * frame["train_gpu_hours"].min():
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter(FuncFormatter(lambda hours, _: f"{hours:g}"))
        panel.xaxis.set_minor_formatter(NullFormatter())
    _name(panel, best)
    panel.set_xlabel("Training, hours")
    panel.set_ylabel("Reward-model score, points")
    known, open_ = kinds(frame)
    marks = [Entry(known, (BLUE, "o")), Entry(open_, (VERMILLION, "D"), hollow=True)]
    lines = [Entry("best of every budget", (GREEN, "None"), "--"), Entry("its 90% interval", (MUTED, "None"), "-")]
    legend(figure, [*marks, *lines], columns=4)
    return figure


def kinds(ranking: pd.DataFrame) -> tuple[str, str]:
    """What candidates are called that were trained to the end, and others; under a budget no score is one alone."""
    return ("trained to the end", "not trained to the end") if under_budget(ranking) else ("measured", "predicted")


def _name(panel: Axes, best: pd.DataFrame) -> None:
    """Names to the left of their marks, where nothing can score as high; the room for them is made by the axis.

    From the best down, and none where it would lie on one already there: the table holds them all.
    """
    low, high = panel.get_ylim()
    last = float("inf")
    rows = list(zip(short_names(list(best["model"])), best["train_gpu_hours"], best["predicted"], strict=True))
    for name, hours, score in sorted(rows, key=lambda row: -row[2]):
        if last - score < APART * (high - low):
            continue
        last = score
        panel.annotate(
            name,
            (hours, score),
            xytext=(-6, 0),
            textcoords="offset points",
            fontsize=8,
            ha="right",
            va="center",
        )
    left, right = panel.get_xlim()
    if panel.get_xscale() != "log":  # the room for names is left of 0, where there are no hours
        panel.set_xticks([tick for tick in panel.get_xticks() if 0 <= tick <= right])
    panel.set_xlim(left / (right / left) ** 0.45 if panel.get_xscale() == "log" else left - 0.6 * (right - left), right)
