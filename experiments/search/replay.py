"""Rules that give up early on learning rates, replayed from a study that trained each rate to its end.

python experiments/search/replay.py outputs/microcosm-search-1 [more folders, whose bases are others of the same name]

A rate that is stopped and gone on with ends as it would have alone (tests/test_learning.py), so what a rule would have
chosen, paid and scored is in the validations and the score of each rate.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rm_selection import console, runs
from rm_selection.analysis.resampling import percentile_interval
from rm_selection.learning import climb

SEED, RESAMPLES = 0, 10_000


@dataclass(frozen=True)
class Trial:
    """One rate of one base, trained to its end: its validations, more is better, and the final score (points)."""

    rate: float
    steps: tuple[int, ...]
    better: tuple[float, ...]
    score: float

    def upto(self, share: float) -> int:
        """How many validations there are at the first one from that share of the steps."""
        return next(i for i, step in enumerate(self.steps, 1) if step >= share * self.steps[-1])


class Played:
    """The rates of a base, trained as far as a rule asks for."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        self.trials = {trial.rate: trial for trial in trials}
        self.reached = dict.fromkeys(self.trials, 0.0)

    def ranked(self, rates: Sequence[float], share: float) -> list[float]:
        """As in rm_selection/learning.py: the best validation by then counts."""
        for rate in rates:
            trial = self.trials[rate]
            self.reached[rate] = max(self.reached[rate], trial.steps[trial.upto(share) - 1] / trial.steps[-1])
        return sorted(rates, key=lambda rate: -max(self.trials[rate].better[: self.trials[rate].upto(share)]))

    @property
    def cost(self) -> float:
        """Steps done over those of the grid."""
        return sum(self.reached.values()) / len(self.trials)


def halving(shares: Sequence[float], part: float, played: Played) -> float:
    """All rates to the first share, that part of them (rounded up) to the next, and so on."""
    left = list(played.trials)
    for share in (*shares, 1.0):
        ranked = played.ranked(left, share)
        left = ranked[: math.ceil(len(ranked) * part)]
    return ranked[0]


def climbing(shares: Sequence[float], played: Played) -> float:
    """What objective.search=climb does, its comparisons at those shares."""
    return climb(played.ranked, list(played.trials), (*shares, 1.0))


RULES: dict[str, Callable[[Played], float]] = {
    "climb at 3/8, 5/8": partial(climbing, (3 / 8, 5 / 8)),
    **{
        f"climb at {k}/8, {j}/8": partial(climbing, (k / 8, j / 8)) for k, j in ((2, 6), (3, 6), (4, 5), (4, 6), (5, 6))
    },
    "climb at the end": partial(climbing, ()),
    **{
        f"halves at {', '.join(f'{k}/8' for k in stops)}": partial(halving, [k / 8 for k in stops], 1 / 2)
        for stops in ((1, 3, 5), (1, 2, 4), (1, 2))
    },
    "a quarter at 2/8": partial(halving, (2 / 8,), 1 / 4),
    "the best at 2/8": partial(halving, (2 / 8,), 0.01),
    "the best at 4/8": partial(halving, (4 / 8,), 0.01),
}


def trials(records: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], list[Trial]]:
    """The rates of each base and objective, in their order; those of which a rate is missing are left out."""
    found: dict[tuple[str, str], list[Trial]] = {}
    for record in records:
        one = record["training"]
        sign = -1 if one["metric"] == "validation_loss" else 1
        columns = pd.DataFrame(one["evaluations"])
        key = (record["checkpoint"]["base"], record["settings"]["objective"]["name"])
        found.setdefault(key, []).append(
            Trial(
                one["rate"],
                tuple(columns["step"]),
                tuple(sign * columns[one["metric"]]),
                record["scores"]["microcosm"]["score"],
            )
        )
    most = max(map(len, found.values()), default=0)
    return {key: sorted(rates, key=lambda one: one.rate) for key, rates in sorted(found.items()) if len(rates) == most}


def replayed(known: Mapping[tuple[str, str], Sequence[Trial]], rule: Callable[[Played], float]) -> pd.DataFrame:
    """A row a base and objective: what the rule costs (share of the grid's steps), and the points it loses."""
    found = []
    for (base, objective), rates in known.items():
        full = max(rates, key=lambda one: max(one.better))
        played = Played(rates)
        mine = played.trials[rule(played)]
        row = {"base": base, "objective": objective, "cost": played.cost, "lost": full.score - mine.score}
        found.append(row | {"same": mine.rate == full.rate})
    return pd.DataFrame(found)


def summary(table: pd.DataFrame) -> dict[str, str]:
    """The mean over bases with a 90% interval over them."""
    lost = table["lost"].to_numpy()
    drawn = np.random.default_rng(SEED).choice(lost, (RESAMPLES, len(lost))).mean(axis=1)
    low, high = percentile_interval(drawn)
    told = {"cost": f"{table['cost'].mean():.1%}", "points lost": f"{lost.mean():.2f} [{low:.2f}, {high:.2f}]"}
    return told | {"same rate": f"{table['same'].mean():.0%}"}


def main() -> None:
    folders = [Path(name) for name in sys.argv[1:]]
    if not folders or not all(folder.is_dir() for folder in folders):
        sys.exit("name the folder of a study: python experiments/search/replay.py outputs/microcosm-search-1")
    known: dict[tuple[str, str], list[Trial]] = {}
    for folder in folders:
        found = trials([record for record in runs.records(folder) if record["status"] == "finished"])
        known |= {(f"{folder}/{base}", objective): rates for (base, objective), rates in found.items()}
    for objective in sorted({objective for _, objective in known}):
        own = {key: rates for key, rates in known.items() if key[1] == objective}
        rows = [{"rule": name} | summary(replayed(own, rule)) for name, rule in RULES.items()]
        console.table(f"{objective}, {len(own)} bases, intervals 90% over bases", pd.DataFrame(rows))


if __name__ == "__main__":
    main()
