"""What knowing a base costs, and what each kind of knowledge is worth when all may cost the same.

Whoever measures the cheaper features can train more of the bases they point to. The budget is that of the dearest set,
measured on every base, and one training; each set spends on trainings what it does not spend on measuring.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from rm_selection.analysis.coverage import regret_at


def costs(spent: pd.DataFrame) -> pd.DataFrame:
    """What one base costs to measure and to train once.

    Args:
        spent: model, what (train or a feature), seconds; one row a record.

    Returns:
        what, n (records), seconds (median of one), low, high (5% and 95% of the records), percent_of_training.
    """
    groups = spent.groupby("what", sort=False)["seconds"]
    table = pd.DataFrame({"n": groups.size(), "seconds": groups.median()})
    table["low"], table["high"] = groups.quantile(0.05), groups.quantile(0.95)
    train = table["seconds"].get("train", np.nan)
    return table.assign(percent_of_training=100 * table["seconds"] / train).reset_index()


def at_equal_cost(
    predictions: pd.DataFrame, sets: Mapping[str, Sequence[str]], table: pd.DataFrame
) -> dict[str, dict[str, float]]:
    """What each feature set costs a base, and the regret when all may spend the same.

    Args:
        predictions: of one objective and validation: model, predictor (named as its feature set), actual, predicted.
        sets: the columns `<feature>.<name>` of each feature set.
        table: what `costs` returns.

    Returns:
        By feature set: feature_seconds (a base), trained (bases that the budget then pays for), regret_equal_cost
        (points that the best of these falls short of the best of all).
    """
    seconds = table.set_index("what")["seconds"]
    if "train" not in seconds:
        return {}
    dear = {name: float(sum(seconds.get(one, 0.0) for one in _features(columns))) for name, columns in sets.items()}
    found = {}
    for name, own in predictions[predictions["predictor"].isin(dear)].groupby("predictor", sort=False):
        spare = len(own) * (max(dear.values()) - dear[str(name)])
        trained = min(len(own), 1 + int(spare // seconds["train"]))
        regret = regret_at(own["predicted"].to_numpy(float), own["actual"].to_numpy(float), trained)
        found[str(name)] = {"feature_seconds": dear[str(name)], "trained": trained, "regret_equal_cost": regret}
    return found


def _features(columns: Sequence[str]) -> set[str]:
    return {column.split(".")[0] for column in columns if "." in column}
