"""Fit and validate what predicts reward-model quality; write a study's tables, figures and summaries.

python -m rm_selection.regress
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rm_selection.config import entry_point
from rm_selection.settings import PUBLISHED, RegressConfig

if TYPE_CHECKING:
    from rm_selection.analysis.results import Results


@entry_point("regress", RegressConfig)
def main(settings: RegressConfig) -> None:
    """Fit and validate what predicts reward-model quality, and write the tables and figures of a study."""
    from functools import partial

    from rm_selection import console, plots, studies
    from rm_selection.analysis.results import Results

    results = Results()
    count, steps = _own(settings, results) if settings.study != PUBLISHED else _published(settings, results)
    studies.check_writable(settings.folder)
    console.progress(steps, count)
    tables = results.tables
    draw = partial(plots.save, plots.figures(tables))
    studies.write_study(settings.folder, tables, results.summaries, draw)
    for objective in tables["intervals"]["objective"] if "intervals" in tables else ():
        console.predictors(tables["predictor"], objective)
    console.claims(tables["claims"])
    console.notes(tables)
    console.line(f"tables, figures and summaries: {settings.folder}")


def _published(settings: RegressConfig, results: Results) -> tuple[int, Iterator[str]]:
    """How many steps, and the steps."""
    from rm_selection.analysis.published import STEPS, analyse

    return STEPS, analyse(results, settings.resamples, settings.jobs, settings.seed)


def _own(settings: RegressConfig, results: Results) -> tuple[int, Iterator[str]]:
    """How many steps, and the steps; what was run and measured is read here."""
    from rm_selection import console, gathered, study_tables
    from rm_selection.analysis.measured import STEPS, analyse
    from rm_selection.analysis.measured_frame import sharing_presence

    known = gathered.gathered(settings.folder, settings.results, settings.mix_protocols)
    study = sharing_presence(study_tables.study(known, settings.evaluation), settings.family_rule)
    console.sources(study.told, study.beware)
    how = (study_tables.documents(known), settings.resamples, settings.jobs, settings.seed)
    return STEPS, analyse(results, study, *how)


if __name__ == "__main__":
    main()
