"""Rules that give up early on learning rates, replayed from a study that trained each rate to its end.

python experiments/search/replay.py outputs/microcosm-search-1 [more folders, whose bases are others of the same name]

A rate that is stopped and gone on with ends as it would have alone (tests/test_learning.py), so what a rule would have
chosen, paid and scored is in the validations and the score of each rate.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rm_selection import console, runs
from rm_selection.analysis.resampling import percentile_interval
from rm_selection.protocol import SHARES

SEED, RESAMPLES = 0, 10_000
VALUES = ("best", "last", "loss")  # best validation so far, last validation, last validation loss


@dataclass(frozen=True)
class Trial:
    """One rate of one base, trained to its end: its validations by step, more is better, and the final score (points).

    loss: of the same validations, its sign turned; that of a regression is what `better` holds already.
    """

    rate: float
    steps: tuple[int, ...]
    better: tuple[float, ...]
    loss: tuple[float, ...]
    score: float

    def value(self, share: float, by: str) -> float:
        """What rates are compared by at the first validation from that share of the steps."""
        upto = self._upto(share)
        return {"best": max(self.better[:upto]), "last": self.better[upto - 1], "loss": self.loss[upto - 1]}[by]

    def cost(self, share: float) -> float:
        """Steps done by then over all."""
        return self.steps[self._upto(share) - 1] / self.steps[-1]

    def _upto(self, share: float) -> int:
        return next(i for i, step in enumerate(self.steps, 1) if step >= share * self.steps[-1])


@dataclass(frozen=True)
class Rule:
    """Train all rates to the first share, keep that part of them (rounded up), go on; the best at the end is chosen."""

    stops: tuple[tuple[float, float], ...]  # (share of the steps, part of the rates that goes on)
    by: str

    def __str__(self) -> str:
        return ", ".join(f"{share * 8:g}/8: {f'{part:.0%}' if part else 'one'}" for share, part in self.stops)

    def chosen(self, trials: Sequence[Trial]) -> tuple[Trial, float]:
        """The rate that is left, and the steps of all rates over those of the grid."""
        left, reached = list(trials), {trial.rate: 0.0 for trial in trials}
        for share, part in (*self.stops, (1.0, 0.0)):
            reached |= {trial.rate: trial.cost(share) for trial in left}
            by = self.by if share < 1 else "best"
            ranked = sorted(left, key=lambda one: -one.value(share, by))[: max(1, math.ceil(len(left) * part))]
            left = [trial for trial in left if trial in ranked]
        return left[0], sum(reached.values()) / len(trials)


OURS = tuple((share, 1 / 2) for share in SHARES["halving"][:-1])  # as in rm_selection/learning.py
STOPS: tuple[tuple[tuple[float, float], ...], ...] = (
    OURS,
    ((1 / 8, 1 / 2), (1 / 4, 1 / 2), (1 / 2, 1 / 2)),
    ((1 / 8, 1 / 2), (3 / 8, 1 / 2), (1 / 2, 1 / 2)),
    ((1 / 8, 1 / 2), (1 / 2, 1 / 2), (5 / 8, 1 / 2)),
    ((1 / 8, 1 / 2), (1 / 4, 1 / 2)),
    ((1 / 8, 1 / 2), (1 / 2, 0.0)),
    ((1 / 8, 5 / 8), (1 / 4, 3 / 5), (1 / 2, 0.0)),
    ((1 / 8, 5 / 8), (3 / 8, 0.0)),
    ((1 / 4, 1 / 4), (1 / 2, 1 / 2)),
    ((1 / 4, 0.0),),
    ((1 / 4, 1 / 4),),
    ((3 / 8, 0.0),),
    ((1 / 2, 0.0),),
)


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
                tuple(-columns["validation_loss"]),
                record["scores"]["microcosm"]["score"],
            )
        )
    most = max(map(len, found.values()), default=0)
    return {key: sorted(rates, key=lambda one: one.rate) for key, rates in sorted(found.items()) if len(rates) == most}


def replayed(known: Mapping[tuple[str, str], Sequence[Trial]], rule: Rule) -> pd.DataFrame:
    """A row a base and objective: what the rule costs (share of the grid's steps), and the points it loses."""
    grid, found = Rule((), "best"), []
    for (base, objective), rates in known.items():
        (full, _), (mine, cost) = grid.chosen(rates), rule.chosen(rates)
        row = {"base": base, "objective": objective, "cost": cost, "lost": full.score - mine.score}
        found.append(row | {"same": mine.rate == full.rate})
    return pd.DataFrame(found)


def summary(table: pd.DataFrame) -> dict[str, str]:
    """The mean over bases with a 90% interval over them."""
    lost = table.groupby("base")["lost"].mean().to_numpy()
    drawn = np.random.default_rng(SEED).choice(lost, (RESAMPLES, len(lost))).mean(axis=1)
    low, high = percentile_interval(drawn)
    told = {"cost": f"{table['cost'].mean():.0%}", "points lost": f"{lost.mean():.2f} [{low:.2f}, {high:.2f}]"}
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
        rows = [
            {"rule": str(rule), "by": rule.by} | summary(replayed(own, rule))
            for rule in (Rule(stops, by) for stops, by in product(STOPS, VALUES))
        ]
        console.table(f"{objective}, {len(own)} bases, intervals 90% over bases", pd.DataFrame(rows))


if __name__ == "__main__":
    main()
