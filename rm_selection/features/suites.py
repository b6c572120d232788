"""Which public benchmarks a suite holds, and how each is scored: the rows of data/suites.csv.

    suite("quick")     # its rows, in order

A row names a benchmark as the study's tables do, the tasks of lm-evaluation-harness or EvalPlus that make it, the
examples in its prompt (shots) and its metric. `a|b` in a metric is the first there is, `a+b` the mean of both.
"""

from __future__ import annotations

import functools
from typing import Any

import pandas as pd
from pydantic import Field

from rm_selection.errors import ConfigError
from rm_selection.schema import Row, read_table
from rm_selection.tables import DATA

SUITES = ("quick", "paper33", "open_llm_v1", "open_llm_v2")

_text: Any = Field(pattern=r"^\P{Cc}+$", description="a name, on one line")


class Benchmark(Row):
    """How one benchmark is scored.

    choices: answers to choose from, where the Open LLM Leaderboard v2 takes chance out of an accuracy; `subtasks` where
    they differ between subtasks. scale: what a perfect score is in the harness.
    """

    benchmark: str = _text
    suites: str = _text
    runner: str = Field(pattern="^(lm_eval|evalplus|mean)$", description="lm_eval, evalplus or mean")
    task: str = _text
    shots: int | None = Field(None, ge=0, description="examples in the prompt")
    metric: str | None = Field(None, description="metric of the harness")
    scale: float = Field(gt=0, description="a perfect score")
    choices: str | None = Field(None, pattern=r"^(\d+|subtasks)$", description="a number, or subtasks")
    source: str = _text

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks, or for a mean the benchmarks, that it is the mean of."""
        return tuple(self.task.split("+"))


@functools.cache
def benchmarks() -> tuple[Benchmark, ...]:
    """Every row of data/suites.csv."""
    frame = read_table(DATA / "suites.csv", Benchmark, ("benchmark",)).astype(object)
    records = frame.where(pd.notna(frame), None).to_dict("records")
    return tuple(Benchmark.model_validate(record) for record in records)


def suite(name: str) -> tuple[Benchmark, ...]:
    """The benchmarks of a suite.

    Raises:
        ConfigError: there is no such suite.
    """
    if name not in SUITES:
        known = ", ".join(SUITES)
        raise ConfigError(f"feature.suite={name} is no suite and no folder; give {known} or a folder of task files")
    return tuple(row for row in benchmarks() if name in row.suites.split())
