"""Given a base, which of its stages should carry the reward model, and does the answer change with the objective?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import t as student

from rm_selection.analysis.measurement import RERUN_SD
from rm_selection.analysis.resampling import LEVEL
from rm_selection.analysis.stage_changes import pair_error, pairing
from rm_selection.errors import FitError


def choices(runs: Mapping[str, pd.DataFrame], answers: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One row a base and objective.

    The lead over the second best is a paired one: same seeds, same pairs. Its error joins that of seeds, pooled over
    all bases and stages (of published reruns where none has two), and that of pairs. The best of several is partly the
    luckiest, so that a lead whose interval lies above 0 is less certain than it looks; what crosses 0 is undecided.

    Args:
        runs: by objective, one row a run: base, stage, seed, score.
        answers: by objective, as `stage_changes.changes` takes them.

    Returns:
        base, objective, stage (the best), score (mean over seeds), runner_up, lead, low, high (90%), decided (yes
        where the interval lies above 0), same_for_all (yes where one stage is best under every objective).

    Raises:
        FitError: no base has several stages.
    """
    rows = []
    for objective, table in runs.items():
        spread, spare = _seeds(table)
        for base, mine in table.groupby("base"):
            means = mine.groupby("stage")["score"].mean().sort_values(ascending=False, kind="stable")
            if len(means) > 1:
                known = {"base": base, "objective": objective, "stage": means.index[0], "score": means.iloc[0]}
                right = answers.get(objective, pd.DataFrame())
                rows.append(known | _lead(mine, means, right, (spread, spare)))
    if not rows:
        raise FitError("a stage is chosen among those of one base, and no base has several")
    found = pd.DataFrame(rows)
    same = found.groupby("base")["stage"].transform("nunique") == 1
    found["same_for_all"] = same.map({True: "yes", False: "no"})
    return found.sort_values(["base", "objective"], ascending=[True, False], ignore_index=True)


def sentences(found: pd.DataFrame, objective: str) -> list[str]:
    """What to say with a ranking: the stage of each base that is decided, and what the objective changes."""
    mine = found[found["objective"] == objective]
    counts = mine["stage"].value_counts()
    told = ", ".join(f"{stage} for {count}" for stage, count in counts.items())
    first = f"Stage that carries the best reward model, of {len(mine)} bases: {told}"
    said = [f"{first}; {int((mine['decided'] == 'yes').sum())} of these leads are clear of 0 (90%)."]
    if found["objective"].nunique() > 1:
        bases = found.drop_duplicates("base")
        other = bases.loc[bases["same_for_all"] == "no", "base"]
        which = f": {', '.join(other)}" if len(other) else ""
        said.append(
            f"Under another objective the best stage is another one for {len(other)} of {len(bases)} bases{which}."
        )
    return said


def _seeds(runs: pd.DataFrame) -> tuple[float, int]:
    """Standard deviation of a score from seed to seed, pooled over base and stage, and its degrees of freedom."""
    groups = runs.groupby(["base", "stage"])["score"]
    spare = (groups.size() - 1).clip(lower=0)
    if not spare.sum():
        return float(RERUN_SD), 0
    return float(np.sqrt((groups.var().fillna(0) * spare).sum() / spare.sum())), int(spare.sum())


def _lead(runs: pd.DataFrame, means: pd.Series, answers: pd.DataFrame, seeds: tuple[float, int]) -> dict[str, object]:
    best, second = means.index[:2]
    counts = runs.groupby("stage").size()
    of_seeds = seeds[0] * float(np.sqrt(1 / counts[best] + 1 / counts[second]))
    after, _ = pairing(runs, best, second)
    of_pairs = pair_error(answers, after.index, best, second, "score")
    error = float(np.hypot(of_seeds, 0.0 if np.isnan(of_pairs) else of_pairs))
    lead = float(means.iloc[0] - means.iloc[1])
    reach = float(student.ppf((1 + LEVEL) / 2, seeds[1] or 1000)) * error
    low, high = lead - reach, lead + reach
    return {"runner_up": second, "lead": lead, "low": low, "high": high, "decided": "yes" if low > 0 else "no"}
