"""From scored pairs to accuracies: RewardBench 1 and 2, RM-Bench, JudgeBench, RMB and files of one's own.

Accuracies are 0-100, a tie counts half. No figure travels without its interval: 90%, by drawing units anew within each
subset, so that every resample has the benchmark's make-up. Where no unit is wrong, or none right, nothing can be drawn
otherwise; the open end is then the exact one of so many units (Clopper and Pearson 1934, doi 10.1093/biomet/26.4.404).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from rm_selection.analysis.resampling import LEVEL, percentile_interval
from rm_selection.errors import ConfigError, TableError
from rm_selection.rewardbench_rules import RULES
from rm_selection.scored_pairs import LENGTHS, checked
from rm_selection.tally import Counts, Floats, Tally

ROUNDING = 1e-9  # of a weighted sum, points


@dataclass(frozen=True)
class Evaluation:
    """How a reward model does on a benchmark; accuracies 0-100.

    Attributes:
        benchmark: its name in conf/evaluation.
        score: the overall figure; None where a category has no pairs at all.
        categories, subsets: accuracy of each, only of those that have pairs.
        details: further figures: `leaderboard` (RewardBench with prior sets), RM-Bench's easy, normal, hard and its
            matrix, as `concise>markdown` for the concise chosen against the markdown rejected response.
        intervals: low and high of each figure: `score`, `categories.chat`, `subsets.hep-go`, `details.hard`; none where
            too few resamples have a value.
        n: pairs.
        units: what is right or wrong as a whole: pairs, or prompts in RewardBench 2 (couples of them in Ties) and
            RM-Bench.
        ties: pairs whose sides got the same reward.
        complete: whether every unit of the published benchmark is there; if not, figures are no benchmark results.
            Always true of judgebench, rmb and jsonl, whose size is not checked.
        lacking: how many units are not, by subset or category.
        length_baseline: the score of "the longer side wins"; None where lengths are not known.
    """

    benchmark: str
    score: float | None
    categories: dict[str, float]
    subsets: dict[str, float]
    details: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    n: int
    units: int
    ties: int
    complete: bool
    lacking: dict[str, int]
    length_baseline: float | None

    def record(self) -> dict[str, object]:
        """The fields as a run's record holds them: what is not known is absent."""
        fields = {name: value for name, value in asdict(self).items() if value is not None and name != "benchmark"}
        return fields | {"intervals": {name: list(ends) for name, ends in self.intervals.items()}}


@dataclass(frozen=True)
class Difference:
    """The first model's accuracies minus the second's on the same pairs, in points, each with its interval."""

    score: float | None
    categories: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    n: int


def evaluate(benchmark: str, pairs: pd.DataFrame, resamples: int = 2_000, seed: int = 0) -> Evaluation:
    """The accuracies of one model.

    Args:
        benchmark: rewardbench, rewardbench2, rm_bench, judgebench, rmb or jsonl.
        pairs: id, subset, reward_chosen, reward_rejected; length_chosen and length_rejected for the length baseline;
            group, where pairs that share it are to be resampled together. Ids of RewardBench 2 and RM-Bench say which
            responses met, see `scored_pairs.pair_id`.
        resamples: bootstrap samples behind the intervals.
        seed: seed of the bootstrap.

    Raises:
        ConfigError: the benchmark is unknown.
        TableError: pairs that are none, not whole or not of the benchmark.
    """
    rule = _rule(benchmark)
    scored = checked(pairs)
    tally = rule(scored)
    _check_counts(benchmark, tally)
    point, drawn = _ratios([tally], resamples, seed)[0]
    figures = _figures(tally)
    values = {name: 100 * float(point @ weights) for name, weights in figures.items()}
    return Evaluation(
        benchmark=benchmark,
        score=values.get("score"),
        categories=_named(values, "categories."),
        subsets=_named(values, "subsets."),
        details=_named(values, "details."),
        intervals=_intervals(drawn, figures) | _one_sided(tally, figures, values),
        n=len(scored),
        units=sum(len(count.won) for count in tally.counts.values()),
        ties=int((scored["score_chosen"] == scored["score_rejected"]).sum()),
        complete=not tally.lacking,
        lacking=tally.lacking,
        length_baseline=_length_baseline(benchmark, pairs),
    )


def paired_difference(
    benchmark: str, first: pd.DataFrame, second: pd.DataFrame, resamples: int = 2_000, seed: int = 0
) -> Difference:
    """What the first of two models gains on the second, both scored on the same pairs, which are drawn together.

    The pairs that both get right or wrong drop out, so that the interval is narrower than one from two evaluations.

    Args:
        benchmark, resamples, seed: as for `evaluate`.
        first, second: the scored pairs of each model, in any order.

    Raises:
        ConfigError, TableError: as `evaluate`; also where ids or subsets differ.
    """
    rule = _rule(benchmark)
    one, two = checked(first), checked(second)
    only = sorted(set(one["id"]) ^ set(two["id"]))
    if only:
        raise TableError(f"pair {only[0]} is scored by one model only, {len(only)} such in all; score both on the same")
    moved = one["id"][one["subset"] != two["subset"]]
    if len(moved):
        raise TableError(f"pair {moved.iloc[0]} is in another subset for the second model; score both on the same file")
    tallies = [rule(one), rule(two)]
    _check_counts(benchmark, tallies[0])
    (point, drawn), (point_two, drawn_two) = _ratios(tallies, resamples, seed)
    figures = {name: weights for name, weights in _figures(tallies[0]).items() if not name.startswith("subsets.")}
    values = {name: 100 * float((point - point_two) @ weights) for name, weights in figures.items()}
    intervals = _intervals(drawn - drawn_two, figures)
    return Difference(values.get("score"), _named(values, "categories."), intervals, len(one))


def _rule(benchmark: str) -> Callable[[pd.DataFrame], Tally]:
    if benchmark not in RULES:
        raise ConfigError(f"there is no evaluation named {benchmark}; choose one of {', '.join(RULES)}")
    return RULES[benchmark]


def _check_counts(benchmark: str, tally: Tally) -> None:
    if not tally.counts:
        raise TableError(f"no prompt of {benchmark} has all its responses scored; raise the evaluation's limit")


def _length_baseline(benchmark: str, pairs: pd.DataFrame) -> float | None:
    if any(name not in pairs for name in LENGTHS):
        return None
    tally = RULES[benchmark](checked(pairs, LENGTHS))
    if tally.score is None:
        return None
    return 100 * float(np.concatenate([_ratio(count) for count in tally.counts.values()]) @ tally.score)


def _figures(tally: Tally) -> dict[str, Floats]:
    """The weights of every figure by its name in `Evaluation.intervals`."""
    figures = {} if tally.score is None else {"score": tally.score}
    groups = {"categories": tally.categories, "subsets": tally.subsets, "details": tally.details}
    return figures | {f"{kind}.{name}": form for kind, forms in groups.items() for name, form in forms.items()}


def _intervals(drawn: Floats, figures: Mapping[str, Floats]) -> dict[str, tuple[float, float]]:
    ends = {name: percentile_interval(100 * drawn @ weights) for name, weights in figures.items()}
    return {name: interval for name, interval in ends.items() if np.isfinite(interval).all()}


def _one_sided(
    tally: Tally, figures: Mapping[str, Floats], values: Mapping[str, float]
) -> dict[str, tuple[float, float]]:
    """The intervals of figures of which every unit is right, or wrong."""
    found = {}
    for name in (name for name, value in values.items() if min(value, 100 - value) < ROUNDING):
        open_end = 100 * ((1 - LEVEL) / 2) ** (1 / _units(tally, figures[name]))
        found[name] = (open_end, 100.0) if values[name] > ROUNDING else (0.0, 100 - open_end)
    return found


def _units(tally: Tally, weights: Floats) -> int:
    """How many units a figure of those weights is about."""
    parts = np.split(weights, np.cumsum([count.of.shape[1] for count in tally.counts.values()])[:-1])
    pairs = zip(tally.counts.values(), parts, strict=True)
    return sum(int((count.of[:, part > 0] > 0).any(axis=1).sum()) for count, part in pairs)


def _named(values: Mapping[str, float], prefix: str) -> dict[str, float]:
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}


def _ratio(count: Counts) -> Floats:
    return np.asarray(count.won.sum(axis=0) / count.of.sum(axis=0))


def _ratios(tallies: list[Tally], resamples: int, seed: int) -> list[tuple[Floats, Floats]]:
    """For each tally over the same units the ratio of every cell, (C,), and the same in each resample, (resamples, C).

    Units alike in every tally are drawn as one: their number in a resample is multinomial.
    """
    rng = np.random.default_rng(seed)
    drawn: list[list[Floats]] = [[] for _ in tallies]
    for counts in zip(*(tally.counts.values() for tally in tallies), strict=True):
        units = np.hstack([part for count in counts for part in (count.won, count.of)])
        kinds, numbers = np.unique(units, axis=0, return_counts=True)
        draws = rng.multinomial(len(units), numbers / len(units), size=resamples)
        totals = np.split(draws @ kinds, 2 * len(counts), axis=1)
        with np.errstate(invalid="ignore"):  # a resample may hold no unit with this cell: it has no value there
            for place, parts in enumerate(drawn):
                parts.append(totals[2 * place] / totals[2 * place + 1])
    points = [np.concatenate([_ratio(count) for count in tally.counts.values()]) for tally in tallies]
    return [(point, np.hstack(parts)) for point, parts in zip(points, drawn, strict=True)]
