"""From a harness's results to one figure a benchmark: percentage, protocol and 90% interval."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import Any

from rm_selection.errors import MeasurementError
from rm_selection.features import Measured
from rm_selection.features.harness_results import Result, Results, template_hash
from rm_selection.features.suites import Benchmark, benchmarks

Z = NormalDist().inv_cdf(0.95)  # of 90% intervals

# Answers to choose from in the subtasks whose accuracies the Open LLM Leaderboard v2 rescales one by one: those of
# doc_to_choice in the tasks of the harness, and of the stories of MuSR.
CHOICES = {
    **dict.fromkeys(["boolean_expressions", "causal_judgement", "formal_fallacies", "hyperbaton", "navigate"], 2),
    **dict.fromkeys(["snarks", "sports_understanding", "web_of_lies", "murder_mysteries"], 2),
    **dict.fromkeys(["disambiguation_qa", "logical_deduction_three_objects", "team_allocation"], 3),
    **dict.fromkeys(["tracking_shuffled_objects_three_objects"], 3),
    **dict.fromkeys(["temporal_sequences"], 4),
    **dict.fromkeys(["logical_deduction_five_objects", "penguins_in_a_table", "object_placements"], 5),
    **dict.fromkeys(["tracking_shuffled_objects_five_objects"], 5),
    **dict.fromkeys(["date_understanding", "movie_recommendation", "ruin_names"], 6),
    **dict.fromkeys(["salient_translation_error_detection"], 6),
    **dict.fromkeys(["logical_deduction_seven_objects", "tracking_shuffled_objects_seven_objects"], 7),
    **dict.fromkeys(["geometric_shapes"], 11),
    **dict.fromkeys(["reasoning_about_colored_objects"], 18),
    **dict.fromkeys(["object_counting"], 19),
}


@dataclass(frozen=True)
class Score:
    """One figure: a percentage, how it was measured, and what its record keeps beside it."""

    value: float
    protocol: str
    details: Mapping[str, Any]


def wilson(value: float, n: int) -> tuple[float, float]:
    """The 90% interval of a share of n documents, both in percent (Wilson 1927).

    Exact enough for 0-1 answers; for answers scored in between it is too wide rather than too narrow.
    """
    share = min(max(value / 100, 0.0), 1.0)
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return 100 * (centre - half), 100 * (centre + half)


def score(row: Benchmark, found: Results, files: str = "") -> Score | None:
    """The figure of a benchmark, or None where a task of it is missing.

    Args:
        row: the benchmark.
        found: what a harness found.
        files: hash of the task files, where they are not the harness's own.

    Raises:
        MeasurementError: a task lacks the metric, or it is no share of a perfect score.
    """
    results = [result for task in row.tasks if (result := found.get((task, row.shots))) is not None]
    if len(results) < len(row.tasks):
        return None
    value = round(100 * fmean(_share(row, result) for result in results), 9)  # 29, not 28.999999999999996
    return Score(value, protocol(row, results, files), _details(row, value, results))


def protocol(row: Benchmark, results: Iterable[Result], files: str = "") -> str:
    """How a figure was measured, in a line; figures whose lines differ are not compared."""
    first, *_ = results = list(results)
    template = {task: text for result in results for task, text in result.template.items()}
    parts = [
        *sorted({result.harness for result in results}),
        f"{row.task} v{'/'.join(sorted({result.version for result in results}))}",
        "shots unknown" if first.shots is None else f"{first.shots}-shot",
        f"{row.metric} less chance" if row.choices else str(row.metric),
        *first.how,
        f"prompts {template_hash(template)}",
        *([f"task files {files}"] if files else []),
    ]
    return ", ".join(parts)


def _share(row: Benchmark, result: Result) -> float:
    """The share of a perfect score, 0-1."""
    own = _metric(row, result)
    if own is None or row.choices == "subtasks":
        return fmean(_part(row, leaf) for leaf in result.parts or (result,))
    return _without_chance(own, row.choices)


def _part(row: Benchmark, leaf: Result) -> float:
    value = _metric(row, leaf)
    if value is None:
        there = ", ".join(leaf.metrics) or "none"
        raise MeasurementError(f"{leaf.task} has no metric {row.metric}; there are {there}")
    if row.choices != "subtasks":
        return _without_chance(value, row.choices)
    kind = next((name for name in CHOICES if leaf.task.endswith(f"_{name}")), None)
    if kind is None:
        raise MeasurementError(f"{leaf.task} is no known part of {row.task}; its chance level is unknown")
    return _without_chance(value, str(CHOICES[kind]))


def _without_chance(value: float, choices: str | None) -> float:
    """0 at chance, 1 at perfect, never below 0, as the Open LLM Leaderboard v2 has it."""
    return value if choices is None else max(0.0, (value - 1 / int(choices)) / (1 - 1 / int(choices)))


def _metric(row: Benchmark, result: Result) -> float | None:
    """The share for a row's metric: the first alternative that is there, the mean of those joined by +."""
    for alternative in str(row.metric).split("|"):
        values = [result.metric(name) for name in alternative.split("+")]
        known = [value / row.scale for value in values if value is not None]
        if len(known) == len(values):
            if all(0 <= value <= 1 for value in known):  # also refuses NaN
                return fmean(known)
            raise MeasurementError(f"{result.task}: {row.metric} is {known[0]:g}, which is no share of a perfect score")
    return None


def _details(row: Benchmark, value: float, results: Iterable[Result]) -> dict[str, Any]:
    results = list(results)
    leaves = [leaf for result in results for leaf in result.parts or (result,)]
    counts = [leaf.n for leaf in leaves if leaf.n]
    kept: dict[str, Any] = {"tasks": len(leaves), "metrics": {r.task: dict(r.metrics) for r in [*results, *leaves]}}
    kept["template"] = {task: text for result in results for task, text in result.template.items()}
    if len(counts) == len(leaves):
        kept["n"] = sum(counts)
        if row.choices is None:
            kept["interval"] = [round(bound, 3) for bound in wilson(value, sum(counts))]
    return kept


def measured(rows: Iterable[Benchmark], scores: Mapping[str, Score], suite: str) -> Measured:
    """Values, protocols and details of all figures, with the means that the rows ask for and that of the suite.

    A mean of which a part is missing is missing.
    """
    rows = list(rows)
    found = dict(scores)
    for row in rows:
        if row.runner == "mean" and all(name in found for name in row.tasks):
            found[row.benchmark] = _mean(row.task, [found[name] for name in row.tasks])
    own = [row.benchmark for row in rows if row.runner != "mean"]
    if own and all(name in found for name in own):
        found["average"] = _mean(suite, [found[name] for name in own])
    details = {
        "interval": "90%, Wilson, of all documents of a benchmark",
        "benchmarks": {name: dict(score.details) for name, score in found.items() if score.details},
    }
    values = {name: score.value for name, score in found.items()}
    return Measured(values, {name: score.protocol for name, score in found.items()}, details)


def _mean(of: str, scores: list[Score]) -> Score:
    how = template_hash({str(i): score.protocol for i, score in enumerate(scores)})
    return Score(fmean(score.value for score in scores), f"mean of {of}, protocols {how}", {})


def row_of(result: Result) -> Benchmark:
    """The row for a task that no suite holds: its first metric, under the name of the task.

    A task that a suite holds with other shots is named <benchmark>_<shots>shot.
    """
    same = next((row for row in benchmarks() if row.runner == "lm_eval" and row.task == result.task), None)
    shots = "" if result.shots is None else f"_{result.shots}shot"
    if same is not None:
        known = result.task if same.benchmark.startswith("olv") else same.benchmark.removesuffix(f"_{same.shots}shot")
        name = f"{known}{shots}"
        return same.model_copy(update={"benchmark": name, "shots": result.shots})
    metric = next(iter(result.metrics or (result.parts[0].metrics if result.parts else {})), "none")
    return Benchmark(
        benchmark=result.task, suites="other", runner="lm_eval", task=result.task, shots=result.shots,
        metric=metric.removesuffix(",none"), scale=1, choices=None, source="its own",
    )  # fmt: skip
