"""What a report needs beyond the tables of regress and recommend, and the files that lie beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from rm_selection import plots, studies
from rm_selection.analysis.frontier import frontier, spent
from rm_selection.curve_charts import Chart, charts
from rm_selection.page_tables import SHEETS
from rm_selection.published_sheets import shipped
from rm_selection.sheet_tables import own
from rm_selection.sheets import models, slugs
from rm_selection.training_curves import curves

Tables = Mapping[str, pd.DataFrame]
Charts = Mapping[str, Sequence[Chart]]
ADDED = (*SHEETS, "frontier", "spent")
RANKING_FIGURES = ("recommendation", "cost")  # regress draws all others; it comes before the ranking


def completed(folder: Path, read: Tables) -> tuple[Tables, Charts]:
    """The tables of a study with those about its checkpoints and costs, and the training curves of each checkpoint.

    Raises:
        RunError, StudyError: a record or a training log is damaged.
    """
    tables = {name: frame for name, frame in read.items() if name not in ADDED}  # not those of an earlier report
    if "runs" in tables:
        tables |= own(folder, tables) | {"curves": curves(folder)}
        tables["spent"] = spent(tables["checkpoint_runs"], tables["checkpoint_features"])
    else:
        tables |= shipped(models(tables))
    if len(tables.get("recommendation", ())):
        tables["frontier"] = frontier(tables["recommendation"])
    drawn = charts(tables["curves"], slugs(models(tables))) if "curves" in tables else {}
    return tables, drawn


def write(folder: Path, tables: Tables, drawn: Charts) -> None:
    """Write the tables that `completed` added, the figures of the ranking, and the charts of the checkpoints.

    Raises:
        OSError: the folder cannot be written.
    """
    for name in ADDED:
        if name in tables:
            studies.write_table(folder / "tables", name, tables[name])
    made = plots.figures({name: frame for name, frame in tables.items() if name == "recommendation"})
    plots.save({name: made[name] for name in RANKING_FIGURES if name in made}, folder / "figures")
    place = folder / "figures" / "checkpoints"
    if drawn:
        place.mkdir(exist_ok=True)
    for chart in (chart for found in drawn.values() for chart in found):
        studies.write_text(place / f"{chart.name}.svg", chart.svg)


def beside(folder: Path) -> set[str]:
    """The files that a page may link to, by their paths from its folder."""
    found = [path for part in ("tables", "figures") for path in (folder / part).rglob("[!.]*") if path.is_file()]
    return {path.relative_to(folder).as_posix() for path in found}
