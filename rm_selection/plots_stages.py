"""What each stage of post-training changes: the stages that publishers released, or those of a study of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rm_selection.columns import label
from rm_selection.plot_style import (
    GREEN,
    MUTED,
    ORANGE,
    PURPLE,
    SKY,
    TEXT,
    VERMILLION,
    Entry,
    canvas,
    interval,
    legend,
    points,
    rows_axis,
    short_names,
)
from rm_selection.plots_features import OVERALL

Tables = Mapping[str, pd.DataFrame]
ROW = 0.42  # inches of a row with five marks
_MARKS = {"chat": (SKY, "o"), "chat_hard": (ORANGE, "s"), "safety": (GREEN, "^"), "reasoning": (PURPLE, "D")}


def stages(tables: Tables) -> Figure | None:
    """Change of the score from stage to stage of post-training, overall with interval and by category."""
    frame = tables["stages"]
    frame = frame[(frame["stage"] != "pretrained") & frame["change_points"].notna()]
    if not (frame["category"] == OVERALL).any():
        return None
    return _own(frame) if "against" in frame else _published(frame)


def _published(frame: pd.DataFrame) -> Figure:
    """A row a released stage, all against the pretrained base."""
    overall = frame[frame["category"] == OVERALL]
    figure, [panel] = canvas("What each post-training stage changes", ROW * len(overall) + 1.5)
    names = short_names(list(overall["model"]))
    _panel(panel, frame, [f"{stage}: {name}" for stage, name in zip(overall["stage"], names, strict=True)])
    panel.set_xlabel("Change of the score against the pretrained base, points")
    _legend(figure)
    return figure


def _own(frame: pd.DataFrame) -> Figure:
    """A panel an objective, a row a comparison: against the pretrained base, and against the stage before."""
    objectives = list(dict.fromkeys(frame["objective"]))
    rows = int((frame["category"] == OVERALL).sum())
    height = ROW * rows + 0.7 * len(objectives) + 1.2
    figure, axes = canvas("What each post-training stage changes", height, rows=len(objectives), sharex=True)
    for panel, objective in zip(axes, objectives, strict=True):
        mine = frame[frame["objective"] == objective]
        panel.set_title(label(objective))
        _panel(panel, mine, list(mine.loc[mine["category"] == OVERALL, "model"]))
    axes[-1].set_xlabel("Change of the score, points, mean over bases")
    _legend(figure)
    return figure


def _panel(panel: Axes, frame: pd.DataFrame, names: Sequence[str]) -> None:
    overall = frame[frame["category"] == OVERALL].reset_index(drop=True)
    panel.axvline(0, color=MUTED, linewidth=1)
    for row, model in enumerate(overall["model"]):
        mine = frame[frame["model"] == model]
        for place, (category, mark) in enumerate(_MARKS.items()):
            change = mine.loc[mine["category"] == category, "change_points"]
            points(panel, change, np.full(len(change), row + 0.1 + 0.09 * place), mark, size=16)
    height = np.arange(len(overall)) - 0.18
    interval(panel, height, overall["low"], overall["high"], TEXT)
    points(panel, overall["change_points"], height, (VERMILLION, "o"), size=46)
    rows_axis(panel, names)


def _legend(figure: Figure) -> None:
    marks = [Entry(label(category), mark) for category, mark in _MARKS.items()]
    legend(figure, [Entry("overall, 90% interval", (VERMILLION, "o"), "-"), *marks], columns=5)
