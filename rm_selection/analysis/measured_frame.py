"""A study of one's own as every statistic takes it: one row a checkpoint, its features and its mean score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from rm_selection.analysis import family_rule
from rm_selection.analysis.measurement import RERUN_SD, standard_errors
from rm_selection.errors import FitError
from rm_selection.study_tables import Study
from rm_selection.tables import with_log_size

FEATURES = ("benchmarks", "presence", "probe")
AVERAGE = "benchmarks.average"
FACTS = ("model", "base", "stage", "family", "params_b", "tokens_t", "licence")
SIZES = ("params_b", "log_params_b")
PER_BYTE = "_per_byte"
MIN_MODELS = 10  # below it an interval says nothing
MIN_FAMILIES = 4  # one is left out for the test, another for the choice, and two must be left to fit
MIN_SHARE = 0.8  # of the checkpoints must have a feature, or it is left out


def frame(runs: pd.DataFrame, features: pd.DataFrame) -> pd.DataFrame:
    """Runs of one objective and features of the same study, joined by checkpoint.

    Args:
        runs: one row a run: FACTS, seed, seconds, score, low, high, n and the categories after it.
        features: one row a checkpoint: FACTS and the figures `<feature>.<name>`.

    Returns:
        One row a checkpoint: FACTS, log_params_b, log_tokens_t, the figures, benchmarks.average (their mean, where all
        are known), score, error, seed_sd, seeds, seconds and the categories (see `over_seeds`). A checkpoint without
        runs has no score, one without features only a score.
    """
    facts = pd.concat([features[list(FACTS)], runs[list(FACTS)]]).drop_duplicates("model")
    figures = features.drop(columns=list(FACTS[1:]))
    table = facts.merge(figures, on="model", how="left").merge(over_seeds(runs), on="model", how="left")
    if benchmarks := columns_of(table, "benchmarks"):
        table[AVERAGE] = table[benchmarks].mean(axis=1, skipna=False)
    table["log_tokens_t"] = np.log(table["tokens_t"].astype(float))
    return with_log_size(table.sort_values("model", ignore_index=True))


def frames(study: Study) -> dict[str, pd.DataFrame]:
    """`frame` of every objective, of the checkpoints that a reward model was trained from."""
    made = {objective: frame(runs, study.features) for objective, runs in study.runs.items()}
    return {name: table.dropna(subset=["score"]).reset_index(drop=True) for name, table in made.items()}


def sharing_presence(study: Study, wanted: bool = True) -> Study:
    """`study` with presence scores by the family rule (see `family_rule`), where that is wanted."""
    if not wanted:
        return study
    return replace(study, features=family_rule.shared(study.features, columns_of(study.features, "presence")))


def over_seeds(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a checkpoint: model, means over seeds of score, seconds and categories, seeds, seed_sd and error.

    error is the standard error of the mean score, points: the pairs are the same for every seed, so their error does
    not shrink with seeds; that of seeds does. Its standard deviation is pooled over checkpoints, since two or three
    seeds tell little; where none has two, that of published reruns is taken.
    """
    groups = runs.groupby("model", sort=True)
    table = groups[["score", "seconds", *categories(runs)]].mean()
    table["seeds"], table["seed_sd"] = groups.size(), groups["score"].std()
    spare = table["seeds"] - 1
    pooled = np.sqrt((table["seed_sd"].fillna(0) ** 2 * spare).sum() / spare.sum()) if spare.any() else RERUN_SD
    pairs = standard_errors(runs["low"], runs["high"]).groupby(runs["model"]).mean()
    table["error"] = np.hypot(pairs, pooled / np.sqrt(table["seeds"]))
    return table.reset_index()


def categories(runs: pd.DataFrame) -> list[str]:
    """The columns that hold categories: those after n."""
    return list(runs.columns[list(runs.columns).index("n") + 1 :])


def shared_categories(runs: Mapping[str, pd.DataFrame]) -> list[str]:
    """The categories that the runs of every objective have."""
    first, *others = (categories(table) for table in runs.values())
    return [name for name in first if all(name in other for other in others)]


def mean_of(frames: Mapping[str, pd.DataFrame], runs: Mapping[str, pd.DataFrame], parts: Sequence[str]) -> pd.DataFrame:
    """The checkpoints that every frame has a score of, each with the mean of its figures over the frames.

    error is a mean too: the frames share their pairs, so their errors do not average out. seed_sd is that of the mean
    over objectives from seed to seed.
    """
    names = ["score", "error", "seconds", *parts]
    shared = set.intersection(*(set(one.dropna(subset=["score"])["model"]) for one in frames.values()))
    first = next(iter(frames.values()))
    table = first[first["model"].isin(shared)].reset_index(drop=True)
    figures = [one.set_index("model").loc[table["model"], names].to_numpy(float) for one in frames.values()]
    by_seed = [one.groupby(["model", "seed"])["score"].mean() for one in runs.values()]
    means = pd.concat(by_seed, axis=1, join="inner").mean(axis=1)
    table = table.assign(**dict(zip(names, np.mean(figures, axis=0).T, strict=True)))
    return table.assign(seed_sd=table["model"].map(means.groupby("model").std()))


def shortage(table: pd.DataFrame) -> str:
    """Why predictors cannot be judged on families they did not see; nothing where they can."""
    families = table["family"].nunique()
    if len(table) >= MIN_MODELS and families >= MIN_FAMILIES:
        return ""
    need = f"{MIN_MODELS} trained checkpoints of {MIN_FAMILIES} families"
    return f"predictors need {need}, and there are {len(table)} of {families}"


def columns_of(table: pd.DataFrame, feature: str) -> list[str]:
    """The figures of one feature, the average of the benchmarks left out."""
    return [name for name in table.columns if name.startswith(f"{feature}.") and name != AVERAGE]


def feature_sets(table: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """What a predictor may know, by name: size, each measured feature, benchmarks beside the others, and everything.

    A figure counts where it varies and MIN_SHARE of the checkpoints have it; a set that would be empty is absent.

    Raises:
        FitError: nothing is known of the checkpoints.
    """
    sets = {"size": _usable(table, SIZES)}
    sets |= {feature: _usable(table, _distinct(columns_of(table, feature))) for feature in FEATURES}
    sets |= {
        f"benchmarks_{other}": (*sets["benchmarks"], *sets[other])
        for other in ("presence", "probe")
        if sets["benchmarks"] and sets[other]
    }
    known = {name: columns for name, columns in sets.items() if columns}
    if not known:
        raise FitError("nothing is known of these checkpoints: neither size nor a measured feature; measure them first")
    if len(known) > 1:
        known["all"] = tuple(dict.fromkeys(column for columns in known.values() for column in columns))
    return known


def _distinct(columns: Sequence[str]) -> list[str]:
    """Without the figures per byte of what is there per token: within one vocabulary they say the same."""
    return [name for name in columns if not (name.endswith(PER_BYTE) and name.removesuffix(PER_BYTE) in columns)]


def _usable(table: pd.DataFrame, columns: Sequence[str]) -> tuple[str, ...]:
    known = table[list(columns)].astype(float)
    enough = (known.notna().mean() >= MIN_SHARE) & (known.std() > 0)
    return tuple(enough.index[enough])
