"""The same choice on another dataset: does the ranking of bases move with the data?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf

from rm_selection.budget_settings import BudgetConfig
from rm_selection.config import CONF, quoted, typed
from rm_selection.settings import refused
from rm_selection.train_settings import DatasetConfig
from rm_selection.training_data import CHOICES, content, for_objective

SAME = 1e-6  # points; what lies closer is one score, computed in another order


def halves(settings: BudgetConfig, words: Sequence[str]) -> list[tuple[BudgetConfig, list[str]]]:
    """The plan on each of the two datasets, half of the budget each, with the words of its commands.

    The second one's study is <study>-<dataset>. What was chosen for the first, as dataset.max_length, holds for both.

    Raises:
        ConfigError: second_dataset is neither a file nor a name of conf/dataset, or is the first dataset.
    """
    half = settings.budget_gpu_hours / 2
    dataset, named = _dataset(settings)
    chosen = {name: word for name in CHOICES for word in words if word.startswith(f"dataset.{name}=")}
    dataset = replace(dataset, **{name: getattr(settings.dataset, name) for name in chosen})
    first = replace(settings, budget_gpu_hours=half)
    second = replace(first, study=f"{settings.study}-{dataset.name}", dataset=dataset)
    left = [word for word in words if word.partition("=")[0].partition(".")[0] != "dataset"]
    return [(first, list(words)), (second, [*left, *named, *chosen.values()])]


def _dataset(settings: BudgetConfig) -> tuple[DatasetConfig, list[str]]:
    """The second dataset, and the words that name it."""
    given = str(settings.second_dataset)
    if Path(given).is_file():
        own = {"train": given, "name": _name(given)}
        dataset = typed(DatasetConfig, DictConfig(OmegaConf.merge(content("jsonl"), own)))
        words = ["dataset=jsonl", *(quoted(f"dataset.{name}", value) for name, value in own.items())]
    elif (CONF / "dataset" / f"{given}.yaml").is_file():
        dataset, words = typed(DatasetConfig, content(given, settings.context)), [f"dataset={given}"]
    else:
        raise refused("second_dataset", given, "a name of conf/dataset, or a file of JSON lines")
    one, two = (for_objective(each, settings.objective.name, settings.context) for each in (settings.dataset, dataset))
    _check_another(one, two, given)
    return dataset, words


def _name(file: str) -> str:
    """The name of a file without its ending, as far as a folder may be called so."""
    stem = re.sub(r"(\.jsonl)?(\.gz)?$", "", Path(file).name)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.") or "second"


def _check_another(first: DatasetConfig, second: DatasetConfig, given: str) -> None:
    """Refuse what half of the budget would train on a second time.

    Raises:
        ConfigError: both are the same file, or have the same name.
    """
    one, two = Path(str(first.train)), Path(str(second.train))
    if first.repo is None and second.repo is None and one.is_file() and two.is_file() and one.samefile(two):
        raise refused("second_dataset", given, f"another dataset than the first: {one} is the same file")
    if first.name == second.name:
        way = "one of another name" if first.repo is not None else "one of another name, or name that dataset.name=..."
        raise refused("second_dataset", given, f"{way}: the first dataset is called {first.name} too")


def moved(first: pd.DataFrame, second: pd.DataFrame, names: tuple[str, str]) -> str:
    """Whether the ranking moved from one dataset to the other, in a sentence; rankings are those of chosen.ranking."""
    both = first.merge(second, on="model", suffixes=("_1", "_2"))
    one, two = first["model"].iloc[0], second["model"].iloc[0]
    if len(both) < 3:
        return f"{len(both)} candidates are on both datasets, too few to compare rankings."
    flat = [
        name for name, values in zip(names, (both["predicted_1"], both["predicted_2"]), strict=True) if _same(values)
    ]
    if flat:
        return (
            f"Rankings cannot be compared: on {' and on '.join(flat)} nothing tells the {len(both)} candidates apart."
        )
    rho = float(np.corrcoef(both["predicted_1"].rank(), both["predicted_2"].rank())[0, 1])
    together = f"Spearman {rho:.2f} between the expected scores of {len(both)} candidates"
    if one == two:
        return f"The choice does not move from {names[0]} to {names[1]}: {one} is first on both; {together}."
    place = both.set_index("model")
    lost = place.loc[two, "predicted_2"] - place.loc[one, "predicted_2"] if {one, two} <= set(place.index) else np.nan
    tied = bool(place.loc[one, "tied_2"]) if one in place.index else False
    how = "tied with it there" if tied else f"{lost:.1f} points behind it there"
    return f"The choice moves: on {names[1]} {two} is first, and {one}, the first on {names[0]}, is {how}; {together}."


def _same(values: pd.Series) -> bool:
    """Whether scores are the same but for rounding."""
    return bool(np.ptp(values.to_numpy()) < SAME)
