"""What each post-training stage changes in the reward models of a study of one's own: over bases, seeds and pairs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t as student

from rm_selection.analysis.resampling import LEVEL
from rm_selection.analysis.stages import with_adjusted
from rm_selection.checkpoints import CHAIN, EVERY_STAGE, MADE
from rm_selection.errors import FitError

START = "pretrained"
BEFORE = {**dict(zip(CHAIN, (START, *CHAIN), strict=False)), **dict(zip(MADE, (START, *MADE), strict=False))}
MIXED, BOOTSTRAP = "mixed model", "bootstrap over bases"
MIN_BASES = 4  # fewer say nothing of how much bases differ
DRAWS = 4000
COLUMNS = (
    *("objective", "base", "stage", "against", "model", "category", "score", "change_points", "change_percent"),
    *("low", "high", "p_value", "p_adjusted", "bases", "method"),
)
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Mean:
    """A mean change over bases, points, its standard error, and the method that found the error."""

    points: float
    error: float
    method: str


def changes(
    runs: Mapping[str, pd.DataFrame], answers: Mapping[str, pd.DataFrame], parts: Sequence[str], seed: int = 0
) -> pd.DataFrame:
    """The change of every stage against the pretrained base and against the stage before it, as in `published_stages`.

    Runs are compared within a base and a seed, and share their pairs. The mean change over bases is that of a linear
    mixed model, change ~ 1 + (1 | base), by REML; where it cannot be estimated (few bases, one seed each, no variance
    between bases), bases are drawn anew and the mean of their means is taken. The error of the pairs is added, from
    what each pair changes on average over bases and seeds. Intervals are Student's with one less than the bases.

    Args:
        runs: by objective, one row a run: base, stage, seed, score and the parts.
        answers: by objective, one row a run and pair: base, stage, seed, id, subset, right (0 to 1); may be empty.
        parts: the categories.
        seed: of the bootstrap.

    Returns:
        COLUMNS; base says how many there are, model names the comparison. method: how the error was found, and whether
        pairs are counted in it. Pretrained rows change by 0 and have neither interval nor p-value; p_adjusted is
        Holm's, over all other rows. One base alone has no interval.

    Raises:
        FitError: no base has runs of two stages from one seed.
    """
    rows = [
        row
        for objective, table in runs.items()
        for row in _of(table, answers.get(objective, pd.DataFrame()), parts, seed, objective)
    ]
    if not any(row["stage"] != START for row in rows):
        raise FitError("stages are compared within a base and a seed, and no base has runs of two stages")
    return with_adjusted(pd.DataFrame(rows).reindex(columns=list(COLUMNS)))


def references(stage: str, there: Sequence[str]) -> list[str]:
    """What a stage is compared with: the pretrained base, and the stage before it where that is another one."""
    return [one for one in dict.fromkeys((START, BEFORE.get(stage, START))) if one in there and stage != START]


def pairing(runs: pd.DataFrame, stage: str, against: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs of both stages that share base and seed, in the same order."""
    after, before = (runs[runs["stage"] == one].set_index(["base", "seed"]).sort_index() for one in (stage, against))
    shared = after.index.intersection(before.index)
    return after.loc[shared], before.loc[shared]


def mean_change(change: Array, bases: Sequence[str], seed: int = 0) -> Mean:
    """The mean of changes (n,), each of a base (n,) and a seed; error NaN for one base alone."""
    frame = pd.Series(change).groupby(list(bases)).mean()
    if len(frame) >= MIN_BASES and len(change) > len(frame) and (found := _mixed(change, bases)):
        return found
    if len(frame) < 2:
        return Mean(float(frame.mean()), float("nan"), "one base: no error between bases")
    drawn = np.random.default_rng(seed).choice(frame.to_numpy(), (DRAWS, len(frame))).mean(axis=1)
    widened = float(drawn.std()) * float(np.sqrt(len(frame) / (len(frame) - 1)))  # of few bases it comes out too small
    return Mean(float(frame.mean()), widened, BOOTSTRAP)


def pair_error(answers: pd.DataFrame, shared: pd.Index, stage: str, against: str, part: str) -> float:
    """Standard error, points, that the choice of pairs adds to a mean change; NaN where they are not known.

    Of each pair, the change averaged over bases and seeds; strata are the subsets.
    """
    if answers.empty:
        return float("nan")
    mine = answers if part == "score" else answers[answers["subset"] == part]
    mine = mine[pd.MultiIndex.from_frame(mine[["base", "seed"]]).isin(shared)]
    sides = [mine[mine["stage"] == one].groupby(["subset", "id"])["right"].mean() for one in (stage, against)]
    groups = (sides[0] - sides[1]).dropna().groupby("subset")
    count = groups.size()
    if count.empty or (count < 2).any():
        return float("nan")
    return float(100 * np.sqrt((groups.var() * count).sum()) / count.sum())


def _of(
    runs: pd.DataFrame, answers: pd.DataFrame, parts: Sequence[str], seed: int, objective: str
) -> Iterator[dict[str, object]]:
    there = [stage for stage in EVERY_STAGE if stage in set(runs["stage"])]
    for stage in there:
        for against in references(stage, there):
            after, before = pairing(runs, stage, against)
            for part in (*parts, "score") if len(after) else ():
                yield {"objective": objective} | _row(after, before, answers, part, seed)
        if stage == START:
            start = runs[runs["stage"] == START]
            known = {"objective": objective, "base": _bases(start["base"]), "stage": START, "model": START}
            for part in (*parts, "score"):
                yield known | {"category": part, "score": start[part].mean(), "change_points": 0.0}


def _row(after: pd.DataFrame, before: pd.DataFrame, answers: pd.DataFrame, part: str, seed: int) -> dict[str, object]:
    stage, against = after["stage"].iloc[0], before["stage"].iloc[0]
    bases = after.index.get_level_values("base")
    found = mean_change(after[part].to_numpy(float) - before[part].to_numpy(float), list(bases), seed)
    of_pairs, count = pair_error(answers, after.index, stage, against, part), bases.nunique()
    error = float(np.hypot(found.error, 0.0 if np.isnan(of_pairs) else of_pairs))
    reach = student.ppf((1 + LEVEL) / 2, count - 1) * error if count > 1 else float("nan")
    return {
        "base": _bases(pd.Series(bases)),
        "stage": stage,
        "against": against,
        "model": f"{stage} against {against}",
        "category": part,
        "score": after[part].mean(),
        "change_points": found.points,
        "change_percent": 100 * found.points / before[part].mean(),
        "low": found.points - reach,
        "high": found.points + reach,
        "p_value": _p_value(found.points, error, count),
        "bases": count,
        "method": f"{found.method}; {'pairs fixed' if np.isnan(of_pairs) else 'pairs counted'}",
    }


def _bases(names: pd.Series) -> str:
    count = names.nunique()
    return str(names.iloc[0]) if count == 1 else f"{count} bases"


def _p_value(points: float, error: float, count: int) -> float:
    if count < 2 or np.isnan(error):
        return float("nan")
    if error == 0:
        return float(points == 0)
    return float(2 * student.sf(abs(points) / error, count - 1))


def _mixed(change: Array, bases: Sequence[str]) -> Mean | None:
    """Of the mixed model; None where it has no solution, or no variance between bases."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a variance at its boundary, which is looked at below
        try:
            fit = MixedLM(change, np.ones((len(change), 1)), groups=np.asarray(bases)).fit(reml=True)
        except (np.linalg.LinAlgError, ValueError):
            return None
        between, error = float(np.asarray(fit.cov_re)[0, 0]), float(np.asarray(fit.bse_fe)[0])
    usable = fit.converged and np.isfinite(error) and error > 0 and between > 1e-6 * fit.scale
    return Mean(float(np.asarray(fit.fe_params)[0]), error, MIXED) if usable else None
