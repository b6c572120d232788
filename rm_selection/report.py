"""Write the report of a study: one HTML file with the answer, the evidence, its limits and a page a checkpoint.

python -m rm_selection.report
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rm_selection.config import entry_point
from rm_selection.errors import StudyError
from rm_selection.settings import ReportConfig


@entry_point("report", ReportConfig)
def main(settings: ReportConfig) -> None:
    """Write the report of a study: one HTML file with the answer, the evidence, its limits and a page a checkpoint."""
    from rm_selection import console, report_files, studies
    from rm_selection.page import page

    folder, target = settings.folder, settings.folder / "report.html"
    tables, charts = report_files.completed(folder, studies.read_tables(folder))
    notes = _notes(folder)
    try:
        report_files.write(folder, tables, charts)
        files = report_files.beside(folder)
        text = page(settings.study, tables, _figures(folder), notes, charts, files)
        studies.write_text(target, text)
    except OSError as error:
        raise StudyError(f"{folder} cannot be written or read ({error.strerror}); check its permissions") from error
    console.line(f"report: {target.resolve()} ({len(text.encode()) / 1e6:.1f} MB)")


def _figures(folder: Path) -> Mapping[str, str]:
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted((folder / "figures").glob("[!.]*.svg"))}


def _notes(folder: Path) -> Mapping[str, Any]:
    """How the ranking was made; empty where there is none.

    Raises:
        StudyError: the file is not what recommend writes.
    """
    from rm_selection.page import Notes

    path = folder / "recommendation.json"
    if not path.exists():
        return {}
    try:
        return Notes.model_validate_json(path.read_bytes()).model_dump()
    except ValueError as error:
        raise StudyError(f"{path} is not what recommend writes; run recommend again") from error


if __name__ == "__main__":
    main()
