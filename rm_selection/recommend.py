"""Rank candidate base models by the quality of the reward model they would make; with a budget, find the best.

python -m rm_selection.recommend max_params_b=9
python -m rm_selection.recommend budget_gpu_hours=40 dataset=ultrafeedback candidates=llama3,qwen2,mistral
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rm_selection.config import entry_point
from rm_selection.settings import PUBLISHED, RecommendConfig

if TYPE_CHECKING:
    import pandas as pd

    from rm_selection.evidence import Evidence

USAGE = (
    "python -m rm_selection.recommend [setting=value ...]\n"
    "       with budget_gpu_hours=HOURS it trains until the best is found; budget_gpu_hours=1 --help lists how"
)


@entry_point("recommend", RecommendConfig, USAGE)
def main(settings: RecommendConfig) -> None:
    """Rank candidate base models by the quality of the reward model they would make, with 90% intervals."""
    from rm_selection import console, selection, studies

    candidates, known, beware = _published(settings) if settings.study == PUBLISHED else _own(settings)
    constraints = selection.Constraints(
        settings.max_params_b, settings.min_params_b, settings.licence, settings.exclude_family
    )
    table = selection.rank(selection.allowed(candidates, constraints), known, settings.seed)
    header, warnings = selection.header(table, known), beware + selection.warnings(table, known)
    written = studies.write_recommendation(settings.folder, table, header, warnings, _told(settings))
    console.recommendation(table.head(settings.top), header, warnings, known.hours_are)
    console.line(f"{len(table)} rows: {written}")


def _published(settings: RecommendConfig) -> tuple[pd.DataFrame, Evidence, list[str]]:
    """Candidates, what is known of them, and what to beware of, from the shipped figures."""
    from pathlib import Path

    from rm_selection import evidence, tables

    path = Path(settings.candidates) if settings.candidates else None
    return tables.candidates(path), evidence.published(settings.objective.name, settings.category), []


def _own(settings: RecommendConfig) -> tuple[pd.DataFrame, Evidence, list[str]]:
    """Candidates, what is known of them, and what to beware of, from what the study trained and measured."""
    from rm_selection import evidence, gathered, study_tables
    from rm_selection.analysis.measured_frame import sharing_presence
    from rm_selection.errors import StudyError

    known = gathered.gathered(settings.folder, settings.results, settings.mix_protocols)
    study = sharing_presence(study_tables.study(known, settings.evaluation), settings.family_rule)
    if settings.objective.name not in study.runs:
        there = " or ".join(f"objective={name}" for name in study.runs)
        raise StudyError(
            f"study={settings.study} has no finished run of objective={settings.objective.name}; give {there}"
        )
    return evidence.own(study, settings.objective.name)


def _told(settings: RecommendConfig) -> dict[str, object]:
    """The settings as one types them, for the record of the ranking."""
    return vars(settings) | {"objective": settings.objective.name}


if __name__ == "__main__":
    if any(word.startswith("budget_gpu_hours=") for word in sys.argv[1:]):
        from rm_selection.recommend_budget import main as with_budget

        with_budget()
    else:
        main()
