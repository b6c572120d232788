"""A W&B workspace and a W&B report of a study, every panel on a name that its runs logged.

Runs are those of the study's group. Bars and curves are grouped by objective, base and stage, as far as a study has
several; where a bar is a mean over more than seeds, its title or the words above it say so.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rm_selection.logged import Logged, Pair, Points

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # the library is written in an older way of pydantic's
    ws: Any = importlib.import_module("wandb_workspaces.workspaces")
    wr: Any = importlib.import_module("wandb_workspaces.reports.v2")
    expr: Any = importlib.import_module("wandb_workspaces.expr")

POINTS = "points"  # the run that carries the table of scores beside figures, and that table
SHOWN = 4  # figures drawn against each score
PAPER = "https://arxiv.org/abs/2505.10775"
MOST = 100  # runs or groups of them in a panel
LONGEST = 128  # characters of a report's title
AXES = {"objective": "objective.name", "base": "base", "stage": "stage"}  # of a cell, and where W&B's config has them


@dataclass(frozen=True)
class Place:
    """Where boards go. entity: user or team; empty: nobody is logged in. workspace: its address, once it has one."""

    project: str
    entity: str = ""
    workspace: str | None = None


def workspace(logged: Logged, place: Place) -> Any:
    """The saved view of a study: curves, validation, scores, stages, cost."""
    sections = [
        ("Scores by base and objective", [*_scores(logged), *_sizes(logged)]),
        ("Score by stage", [*_by_stage(logged), *_made(logged)]),
        ("Training curves by rate", _curves(logged, logged.curves)),
        ("Validation by rate", _curves(logged, logged.validation)),
        ("Cost", _costs(logged)),
    ]
    return ws.Workspace(
        entity=place.entity,
        project=place.project,
        name=f"Study {logged.study}",
        sections=[ws.Section(name=name, panels=panels, is_open=True) for name, panels in sections if panels],
        settings=ws.WorkspaceSettings(max_runs=min(max(10, logged.runs), MOST)),
        runset_settings=ws.RunsetSettings(
            filters=_in_group(logged), groupby=[expr.Config(AXES[name]) for name in _axes(logged)]
        ),
    )


def report(logged: Logged, points: Points, place: Place) -> Any:
    """The report of a study: what it holds, its sweep compared, scores against figures, stages."""
    title = f"Reward models of study {logged.study}"
    return wr.Report(
        entity=place.entity,
        project=place.project,
        title=title[:LONGEST],
        description="Which base a reward model is best trained from.",
        width="fluid",
        blocks=[
            *_headline(logged, place),
            *_sweep(logged, place),
            *_against(logged, points, place),
            *_stages(logged, place),
            *_training(logged, place),
        ],
    )


def score_key(evaluation: str, category: str | None = None) -> str:
    """W&B's name of a score in a run's summary."""
    return f"scores.{evaluation}.score" if category is None else f"scores.{evaluation}.categories.{category}"


def curve_key(rate: float, name: str) -> str:
    """W&B's name of a line of the training log at a learning rate."""
    return f"rate {rate:g}/{name}"


def _axes(logged: Logged) -> list[str]:
    several = {"objective": logged.objectives, "base": (), "stage": logged.stages}
    return [name for name in AXES if name == "base" or len(several[name]) > 1]


def _in_group(logged: Logged) -> str:
    return f'Metric("Group") == "{logged.study}"'  # the name of a study holds no quotes


def _runs(logged: Logged, place: Place, name: str, by: Sequence[str] = (), only: str = "") -> Any:
    filters = _in_group(logged) + (f' and Metric("Name") == "{only}"' if only else "")
    where = {"entity": place.entity, "project": place.project} if place.entity else {}  # else the report's own
    return wr.Runset(name=name, filters=filters, groupby=[f"config.{AXES[one]}" for one in by], **where)


def _grid(runs: Any, panels: Sequence[Any]) -> list[Any]:
    """The panels, three in a row; nothing without one."""
    for place, panel in enumerate(panels):
        panel.layout = wr.Layout(x=8 * (place % 3), y=6 * (place // 3), w=8, h=6)
    return [wr.PanelGrid(runsets=[runs], panels=list(panels))] if panels else []


def _scores(logged: Logged) -> list[Any]:
    """Bars: the overall score of each evaluation, then its categories."""
    wholes = [wr.BarPlot(title=f"{name}: score, 0-100", metrics=[score_key(name)]) for name in logged.scores]
    parts = [
        wr.BarPlot(title=f"{name}: {category}, 0-100", metrics=[score_key(name, category)])
        for name, categories in logged.scores.items()
        for category in categories
    ]
    return wholes + parts


def _sizes(logged: Logged) -> list[Any]:
    return [
        wr.ScatterPlot(
            title=f"{name}: score against size, billions", x=wr.Config("params_b"), y=score_key(name), log_x=True
        )
        for name in logged.scores
    ]


def _by_stage(logged: Logged) -> list[Any]:
    if len(logged.stages) < 2:
        return []
    return [
        wr.BarPlot(
            title=f"{name}: score by stage, mean over all else",
            metrics=[score_key(name)],
            groupby=wr.Config(AXES["stage"]),
            groupby_aggfunc="mean",
            groupby_rangefunc="stderr",
        )
        for name in logged.scores
    ]


def _made(logged: Logged) -> list[Any]:
    """What the stages made here changed, and how they were trained."""
    if not logged.made:
        return []
    change = wr.BarPlot(title="Stages made: change of what each trains on", metrics=["improvement.change"])
    return [change, wr.LinePlot(title="Stages made: loss", x="step", y=["loss"])]


def _curves(logged: Logged, names: Sequence[str]) -> list[Any]:
    return [
        wr.LinePlot(title=name, x="step", y=[curve_key(rate, name) for rate in logged.rates], title_x="step")
        for name in names
        if logged.rates
    ]


def _costs(logged: Logged) -> list[Any]:
    return [wr.BarPlot(title=f"Cost: {name}", metrics=[f"cost.{name}"]) for name in logged.costs]


def _headline(logged: Logged, place: Place) -> list[Any]:
    what = (
        f"{logged.runs} finished reward models from {len(logged.bases)} bases ({', '.join(logged.bases)}); "
        f"stages: {', '.join(logged.stages)}; objectives: {', '.join(logged.objectives)}."
    )
    best = [f"Highest single run on {name}: {found}, 90% interval of its pairs." for name, found in logged.best.items()]
    luck = "The highest of many is partly luck; intervals over families and seeds are in report.html of the study."
    link = [] if place.workspace is None else ["All panels: ", wr.Link(text="the workspace", url=place.workspace), ". "]
    method = ["Method: ", wr.Link(text="arXiv 2505.10775", url=PAPER), "."]
    lines = [wr.P(text) for text in (what, *best, luck)]
    return [wr.TableOfContents(), wr.H1("What was trained"), *lines, wr.P([*link, *method])]


def _sweep(logged: Logged, place: Place) -> list[Any]:
    cells = [wr.ParallelCoordinatesPlotColumn(wr.Config(AXES[name])) for name in AXES]
    size = wr.ParallelCoordinatesPlotColumn(wr.Config("params_b"))
    scores = [wr.ParallelCoordinatesPlotColumn(wr.SummaryMetric(score_key(name))) for name in logged.scores]
    across = wr.ParallelCoordinatesPlot(title="Every run", columns=[*cells, size, *scores])
    return [
        wr.H1("The sweep compared"),
        wr.P("A bar is the mean over seeds."),
        *_grid(_runs(logged, place, "cells", _axes(logged)), _scores(logged)),
        *_grid(_runs(logged, place, "runs"), [across, *_sizes(logged)]),
    ]


def _against(logged: Logged, points: Points, place: Place) -> list[Any]:
    title = wr.H1("Score against what was measured of the base")
    pairs = _first(points.pairs)
    if not pairs:
        way = f"python -m rm_selection.measure study={logged.study}"
        return [title, wr.P(["Nothing was measured of these bases; ", wr.InlineCode(way), " does."])]
    told = f"A point is a run. Of every score, the {SHOWN} figures that go most closely with it here, by rank."
    charts = [
        wr.CustomChart(
            query={"summaryTable": {"tableKey": POINTS}},
            chart_name="wandb/scatter/v0",
            chart_fields={"x": pair.figure, "y": pair.score},
            chart_strings={"title": pair.title},
        )
        for pair in pairs
    ]
    return [title, wr.P(told), *_grid(_runs(logged, place, POINTS, only=POINTS), charts)]


def _first(pairs: Sequence[Pair]) -> list[Pair]:
    """SHOWN pairs of each score."""
    kept: list[Pair] = []
    for pair in pairs:
        if sum(one.score == pair.score for one in kept) < SHOWN:
            kept.append(pair)
    return kept


def _stages(logged: Logged, place: Place) -> list[Any]:
    axes = [name for name in _axes(logged) if name != "base"]
    scores = _grid(_runs(logged, place, "stages", axes), _scores(logged)) if len(logged.stages) > 1 else []
    made = _grid(_runs(logged, place, "stages made", ["base", "stage"]), _made(logged))
    if not scores and not made:
        return []
    told = "A bar is the mean over bases and seeds; it compares stages only where every base has each of them."
    return [wr.H1("Stages"), wr.P(told), *scores, *made]


def _training(logged: Logged, place: Place) -> list[Any]:
    panels = [*_curves(logged, (*logged.curves, *logged.validation)), *_costs(logged)]
    return [wr.H1("Training and cost"), *_grid(_runs(logged, place, "runs", _axes(logged)), panels)]
