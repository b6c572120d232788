"""Small worlds as a choice sees them: what is known of each base before, what it can pay for, and the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rm_selection.analysis.balanced_ridge import BalancedRidge
from rm_selection.analysis.calibration import SCORE, Calibration, calibrate
from rm_selection.next_runs import PROBE, STOPS, Prices, seeds
from rm_selection.reference import PUBLIC, small_worlds

Array = NDArray[np.float64]
SKILLS = ("arxiv", "books", "github", "stack", "wiki")
FEATURES = {"all": (*SKILLS, "log_params_b", "log_tokens_t")}
# Of a whole training with its scoring, on two idle cores: the probe as measured (experiments/microcosm: 2.9 to 3.6%),
# scoring by tokens (43 thousand once, against three passes, forward and back, over 239 thousand).
PROBING, SCORING = 0.036, 0.06


@dataclass(frozen=True)
class World:
    """n bases. bases: a row each. scores: (n,) by figure, for each seed. truth: (n,) mean score over seeds, points.

    calibration: learnt from the other worlds. others: their bases, with the mean score.
    """

    name: str
    bases: pd.DataFrame
    scores: Mapping[int, Mapping[str, Array]]
    truth: Array
    calibration: Calibration
    others: pd.DataFrame

    @property
    def prices(self) -> Prices:
        """In trainings of one base, scoring included."""
        one = np.ones(len(self.bases))
        training = {name: one * share * (1 - SCORING) for name, share in STOPS.items()}
        return Prices(one * PROBING, training, one * SCORING)

    def regret(self, choice: int) -> float:
        """Points that the best base has over the one that was chosen."""
        return float(self.truth.max() - self.truth[choice])


def worlds() -> list[World]:
    """Every shipped world, each as the others foretell it."""
    table = small_worlds()
    return [_world(table, name) for name in sorted(table["study"].unique(), key=lambda name: int(name.split("-")[1]))]


def _world(table: pd.DataFrame, name: str) -> World:
    bases = _bases(table)
    bases[PUBLIC] = _foretold(bases, name)
    reference = table[table["study"] != name].merge(bases[["study", "model", PUBLIC]], on=["study", "model"])
    own = bases[bases["study"] == name].sort_values("model", ignore_index=True)
    runs = table[table["study"] == name].sort_values("model")
    scores = {
        seed: {stop: runs.loc[runs["seed"] == seed, stop].to_numpy(float) for stop in STOPS}
        for seed in sorted(runs["seed"].unique().tolist())
    }
    figures = [PUBLIC, PROBE, *(stop for stop in STOPS if stop != SCORE)]
    calibration = seeds(calibrate(reference, figures))
    others = bases[bases["study"] != name].reset_index(drop=True)
    return World(name, own, scores, own[SCORE].to_numpy(float), calibration, others)


def _bases(table: pd.DataFrame) -> pd.DataFrame:
    """A row a base of a world: its features, and its mean score over seeds."""
    mean = table.groupby(["study", "model"])[SCORE].transform("mean")
    found = table.assign(score=mean).drop_duplicates(["study", "model"]).reset_index(drop=True)
    return found.assign(log_params_b=np.log(found["params_b"]), log_tokens_t=np.log(found["tokens_t"]))


def _foretold(bases: pd.DataFrame, name: str) -> pd.Series:
    """What a predictor of the published kind expects, fitted on other worlds, and never on the one that is judged."""
    found = pd.Series(np.nan, index=bases.index)
    for study, rows in bases.groupby("study"):
        known = bases[~bases["study"].isin([study, name])]
        found[rows.index] = BalancedRidge.fit(known, feature_sets=FEATURES).predict(rows)["predicted"]
    return found
