"""What an analysis fills, step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd

from rm_selection.errors import FitError


@dataclass
class Results:
    """Tables by name, the text summaries of the statsmodels fits, and which table is missing and why."""

    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    summaries: dict[str, str] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)

    def attempt(self, table: str, work: Callable[[], object]) -> None:
        """Do a part that may have too little to go on; then it is noted why `table` is missing."""
        try:
            work()
        except FitError as error:
            self.notes.append((table, str(error)))
