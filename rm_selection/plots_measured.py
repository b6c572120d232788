"""Figures of a study of one's own: how good each base is, and what each kind of knowledge says beforehand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rm_selection.columns import label
from rm_selection.plot_style import (
    BLUE,
    GREEN,
    OBJECTIVE_MARKS,
    ORANGE,
    ROW,
    Entry,
    canvas,
    interval,
    legend,
    points,
    rows_axis,
    short_names,
)

Tables = Mapping[str, pd.DataFrame]
_VALIDATIONS = {"in_sample": (GREEN, "^"), "ten_fold": (ORANGE, "s"), "leave_family_out": (BLUE, "o")}


def scores(tables: Tables) -> Figure:
    """Score of every base under each objective, the best mean first."""
    frame = tables["scores"]
    order = frame.groupby("model")["score"].mean().sort_values(ascending=False)
    place = pd.Series(np.arange(len(order)), index=order.index)
    figure, [panel] = canvas("Reward-model score of every base", len(order) * ROW * 1.25 + 1.2)
    objectives = [name for name in OBJECTIVE_MARKS if name in set(frame["objective"])]
    for number, objective in enumerate(objectives):
        mine, mark = frame[frame["objective"] == objective], OBJECTIVE_MARKS[objective]
        height = mine["model"].map(place).to_numpy(float) + 0.32 * (number - (len(objectives) - 1) / 2)
        interval(panel, height, mine["low"], mine["high"], mark[0])
        points(panel, mine["score"], height, mark, size=24)
    rows_axis(panel, short_names(list(order.index)))
    panel.set_xlabel("Reward-model score, points, with 90% interval")
    legend(figure, [Entry(label(name), OBJECTIVE_MARKS[name], "-") for name in objectives])
    return figure


def errors(tables: Tables) -> Figure:
    """How far off each predictor is, by what it knows of a base and by how it was validated."""
    frame = tables["predictor"]
    objectives = list(dict.fromkeys(frame["objective"]))
    order = frame[frame["validation"] == "leave_family_out"].groupby("predictor")["mae"].mean().sort_values()
    place = pd.Series(np.arange(len(order)), index=order.index)
    height = len(objectives) * (len(order) * ROW * 1.3 + 0.6) + 0.7
    figure, axes = canvas("Error of each predictor, by what it knows", height, rows=len(objectives), sharex=True)
    for panel, objective in zip(axes, objectives, strict=True):
        panel.set_title(label(objective))
        for number, (validation, mark) in enumerate(_VALIDATIONS.items()):
            mine = frame[(frame["objective"] == objective) & (frame["validation"] == validation)]
            rows = mine["predictor"].map(place).to_numpy(float) + 0.25 * (number - 1)
            interval(panel, rows, mine["mae_low"], mine["mae_high"], mark[0])
            points(panel, mine["mae"], rows, mark, size=20)
        rows_axis(panel, [label(name) for name in order.index])
    axes[-1].set_xlim(left=0)
    axes[-1].set_xlabel("Mean absolute error, points, with 90% interval")
    legend(figure, [Entry(label(name), mark, "-") for name, mark in _VALIDATIONS.items()])
    return figure
