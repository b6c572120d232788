"""What figures cheaper than a training are worth: learnt from eleven small worlds, and from the published study.

The small worlds (data/small_worlds.csv, made by experiments/selection) tell of benchmarks, probes and trainings stopped
early, each seen beside trainings run to the end; the study's forty models tell of predictions from public figures. Both
leave out the family that they predict. Levels do not carry over from them to other data, only slopes and errors do.

Where nothing public predicts a family that was not seen (Bradley-Terry), only what the study measured counts, and no
further than the scores of its two objectives tell each other: nothing closer is known of how they move with the data.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd

from rm_selection import evidence, selection
from rm_selection.analysis.calibration import SCORE, WIDE, Calibration, calibrate
from rm_selection.next_runs import PROBE, STOPS, seeds
from rm_selection.schema import read_table
from rm_selection.standing import BENCHMARKS
from rm_selection.table_rows import SmallWorldRow
from rm_selection.tables import DATA, candidates, joined

PUBLIC = "public"  # what recommend expects of a base from published figures, or what the study measured of it
OTHER = {"regression": "bradley_terry", "bradley_terry": "regression"}
FIGURES = (PUBLIC, BENCHMARKS, PROBE, *(name for name in STOPS if name != SCORE), SCORE)


def small_worlds() -> pd.DataFrame:
    """A row a training: study, model, family, seed, SCORE and the cheaper figures, points.

    Raises:
        TableError: the shipped file breaks its schema.
    """
    return read_table(DATA / "small_worlds.csv", SmallWorldRow, ("study", "model", "seed"))


@cache
def expected(objective: str) -> tuple[Calibration, pd.Series]:
    """What each of FIGURES and further seeds tells, and PUBLIC by the repository of a base, points."""
    known = evidence.published(objective)
    pool = candidates(None)
    told = selection.estimates(pool, known).set_index(pool["model"])
    if known.predicts:
        public, seen = told["predicted"], known.held_out.rename(columns={"actual": SCORE, "predicted": PUBLIC})
    else:
        public, seen = told["predicted"].where(told["basis"] == "measured"), _of_both(objective)
    small = calibrate(small_worlds(), [name for name in FIGURES if name not in (PUBLIC, SCORE)])
    return seeds(_beside(calibrate(seen.assign(study="published"), [PUBLIC]), small)), public


def _of_both(objective: str) -> pd.DataFrame:
    """Of the study's models: SCORE with one objective, and as PUBLIC that with the other, on the scale of the first."""
    one, two = joined(objective), joined(OTHER[objective])
    both = one[["model", "family", SCORE]].merge(two[["model", SCORE]], on="model", suffixes=("", "_other"))
    other = both[f"{SCORE}_other"]
    scaled = (other - other.mean()) / other.std() * both[SCORE].std() + both[SCORE].mean()
    return both.assign(**{PUBLIC: scaled})


def _beside(public: Calibration, small: Calibration) -> Calibration:
    """Both in one, their errors independent; scores are spread as the study's are."""
    count = len(small.figures)
    errors = np.zeros((count + 1, count + 1))
    errors[0, 0], errors[1:, 1:] = public.errors[0, 0], small.errors
    return replace(
        small,
        figures=(PUBLIC, *small.figures),
        offset=np.append(public.offset[:1], small.offset),
        offset_sd=np.concatenate([[WIDE], np.full(count - 1, WIDE), [0.0]]),
        slope=np.append(public.slope[:1], small.slope),
        errors=errors,
        mean=public.mean,
        mean_sd=WIDE,
        spread=public.spread,
    )
