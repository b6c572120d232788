"""What commands print: progress, tables that fit the terminal, and where things lie."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from rm_selection.columns import MISSING, amount, brief, is_missing, shortened

_OUT = Console(width=None if Console().is_terminal else 120, highlight=False, soft_wrap=False)
_ERR = Console(stderr=True, highlight=False)
_LEFT = (
    "model",
    "licence",
    "basis",
    "predictor",
    "claim",
    "claimed",
    "found",
    "reproduced",
    "command",
    "figure",
    "aim",
    "feature",
    "how",
    "of",
)
_WRAPPED = ("model", "licence", "claimed", "found", "how", "of")
_DISPENSABLE = ("licence", "top 5", "GPU-h", "B")  # of a ranking, the first to go where the terminal is narrow


def line(text: str) -> None:
    """Print one line that is never wrapped or marked up, so that a path in it can be copied."""
    _OUT.print(text, markup=False, soft_wrap=True)


def progress(steps: Iterable[str], total: int) -> None:
    """Run through `steps`, each the name of what is done next, with a bar and the time on the error stream."""
    columns = (SpinnerColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=_ERR, transient=_ERR.is_terminal) as bar:
        task = bar.add_task("starting", total=total)
        for done, name in enumerate(steps):
            bar.update(task, completed=done, description=name)
            if not _ERR.is_terminal:
                _ERR.print(f"{done + 1}/{total} {name}", markup=False)
        bar.update(task, completed=total, description="done")


def table(title: str, frame: pd.DataFrame) -> None:
    """Print `frame`, cells as they stand; numbers are right-aligned, long text wraps."""
    shown = Table(
        title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold"
    )
    for name in frame.columns:
        text = name in _LEFT
        shown.add_column(name, justify="left" if text else "right", overflow="fold", no_wrap=name not in _WRAPPED)
    for row in frame.itertuples(index=False):
        shown.add_row(*[Text(str(cell)) for cell in row])  # plain: a model may be called [bold]
    _OUT.print()
    _OUT.print(shown)


def predictors(accuracy: pd.DataFrame, objective: str) -> None:
    """Print how every predictor did on unseen families, best first."""
    kept = (accuracy["objective"] == objective) & (accuracy["validation"] == "leave_family_out")
    rows = accuracy[kept].sort_values("mae")
    table(
        f"{objective}: predicting the score of an unseen family (leave one family out; 90% intervals)",
        pd.DataFrame(
            {
                "predictor": rows["predictor"],
                "mean abs. error": interval(rows, "mae", "mae_low", "mae_high"),
                "Spearman": interval(rows, "spearman", "spearman_low", "spearman_high", 2),
                "r2": rows["r2"].map("{:.2f}".format),
                "coverage 5-10": interval(rows, "coverage_5_10", "coverage_5_10_low", "coverage_5_10_high", 2),
                "regret 1": rows["regret_1"].map("{:.1f}".format),
                "regret 3": rows["regret_3"].map("{:.1f}".format),
            }
        ),
    )


def recommendation(ranked: pd.DataFrame, header: list[str], warnings: list[str], hours_are: str) -> None:
    """Print the head of a ranking, how it was made, what to beware of, and which hours its costs are."""
    for sentence in header:
        _OUT.print(sentence, markup=False)
    for sentence in warnings:
        _OUT.print(f"warning: {sentence}", markup=False, style="bold")
    shown = pd.DataFrame(
        {
            "#": ranked["rank"],
            "model": ranked["model"],
            "B": ranked["params_b"].map(lambda size: MISSING if is_missing(size) else f"{size:.3g}"),
            "licence": ranked["licence"].fillna("unknown"),
            "score": interval(ranked, "predicted", "low", "high"),
            "top 1": ranked["probability_top_1"].map("{:.0%}".format),
            "top 5": ranked["probability_top_5"].map("{:.0%}".format),
            "GPU-h": ranked["train_gpu_hours"].map(_hours),
            "basis": ranked["basis"].map(brief),
        }
    )
    shown = _fitting(shown)
    table("Expected score, points, with 90% interval", shown)
    line("; ".join(text for name, text in _legend(hours_are).items() if name in shown))
    if shown["basis"].str.endswith("*").any():
        line("* with figures filled in or outside the fitted range; the column basis of the table names them")


def _fitting(ranked: pd.DataFrame) -> pd.DataFrame:
    """The ranking without the columns for which the terminal is too narrow; the table on disk holds all."""
    for name in _DISPENSABLE:
        widths = [max(len(str(column)), *ranked[column].astype(str).str.len()) + 1 for column in ranked]
        if sum(widths) > _OUT.width:
            ranked = ranked.drop(columns=name)
    return ranked


def _legend(hours_are: str) -> dict[str, str]:
    """What columns of a ranking mean, by name."""
    return {
        "top 1": "top 1: chance to be the best",
        "top 5": "top 5: to be among the best five",
        "GPU-h": f"GPU-h: {hours_are}",
    }


def plan(purchases: pd.DataFrame, said: Iterable[str]) -> None:
    """Print what a plan would buy, if every figure came out as expected, and what it would then say."""
    for sentence in said:
        _OUT.print(sentence, markup=False)
    hours = purchases["hours"]
    shown = pd.DataFrame(
        {
            "step": purchases["step"],
            "figure": purchases["figure"],
            "hours": hours.map(amount),
            "in all": hours.cumsum().map(amount),
            "saves": purchases["gain"].map("{:.2f}".format),
            "of": [shortened(names.split(), 2) for names in purchases["candidates"]],
        }
    )
    table("Plan", shown)
    line("as it goes if every figure comes out as expected; hours: of the device; saves: points of regret")
    if len(purchases):
        line(f"It would begin with: {purchases['command'].iloc[0]}")


def interval(frame: pd.DataFrame, value: str, low: str, high: str, digits: int = 1) -> list[str]:
    """`value [low, high]` a row."""
    columns = zip(frame[value], frame[low], frame[high], strict=True)
    return [f"{v:.{digits}f} [{a:.{digits}f}, {b:.{digits}f}]" for v, a, b in columns]


def _hours(hours: float) -> str:
    """Whole hours where there is one at least, two figures below."""
    return MISSING if is_missing(hours) else f"{hours:.0f}" if hours >= 1 else f"{hours:.2g}"


def sources(told: Iterable[str], beware: Iterable[str]) -> None:
    """Print where the records of a study come from, and what to know before trusting them together."""
    for sentence in told:
        line(sentence)
    for sentence in beware:
        _OUT.print(f"warning: {sentence}", markup=False, style="bold", soft_wrap=True)


def claims(found: pd.DataFrame) -> None:
    """Print each claim of the study beside what was found."""
    table("The study's claims", found[["claim", "claimed", "found", "reproduced"]])


def notes(tables: Mapping[str, pd.DataFrame]) -> None:
    """Print what a study has too little of to compute; nothing where all could be."""
    found = tables.get("notes", pd.DataFrame(columns=["table", "why"]))
    for name, why in zip(found["table"], found["why"], strict=True):
        line(f"note: no table {name}: {why}")


def outcome(run_id: str, status: str, new: bool, reason: str = "") -> None:
    """Print in a line what became of one piece of a sweep."""
    known = " before" if status == "finished" and not new else ""
    line(f"{run_id} {status}{known}{f': {reason}' if reason else ''}")


def measured(folder: Path) -> None:
    """Print what was measured, and where its record lies."""
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    rows = [(name, f"{value:.4g}", record["protocols"].get(name, "")) for name, value in record["values"].items()]
    table("Measured", pd.DataFrame(rows, columns=["feature", "value", "how"]))
    line(f"record: {folder}")


def scores(folder: Path) -> None:
    """Print what a finished run scored, and where its record lies."""
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    rows = []
    for name, found in record["scores"].items():
        low, high = found["intervals"].get("score", (float("nan"), float("nan")))
        figure = f"{found['score']:.1f} [{low:.1f}, {high:.1f}]" if "score" in found else "incomplete"
        baseline = f"{found['length_baseline']:.1f}" if "length_baseline" in found else "unknown"
        rows.append((name, figure, str(found["n"]), str(found["ties"]), baseline))
    table(
        "Accuracy, 0-100, with 90% interval",
        pd.DataFrame(rows, columns=["evaluation", "accuracy", "pairs", "ties", "longer wins"]),
    )
    line(f"record, scores, log and model: {folder}")


def improvement(folder: Path) -> None:
    """Print whether a made stage improves what it trains on, and where its record lies."""
    found = json.loads((folder / "run.json").read_text(encoding="utf-8"))["improvement"]
    told = f"{found['before']:.2f} to {found['after']:.2f}, change {found['change']:.2f}"
    span = f"[{found['low']:.2f}, {found['high']:.2f}] on {found['n']} held-out rows"
    line(f"{found['metric']} {told} {span}{'' if found['improved'] else ': not improved'}")
    line(f"record: {folder}")
