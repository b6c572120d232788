"""From the states of rated answers to the figures of the probe, attribute by attribute, each with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rm_selection.errors import MeasurementError
from rm_selection.features.attribute_probe import probe, r2, same_prompt_pairs, spearman
from rm_selection.features.folds import FEWEST, nested
from rm_selection.features.pair_scores import right
from rm_selection.features.prompt_intervals import jackknife, shares

Array = NDArray[np.floating[Any]]


def rating_scores(
    views: Array,
    names: Sequence[str],
    ratings: Mapping[str, Array],
    prompts: Sequence[str],
    splits: tuple[int, int, int],
) -> tuple[dict[str, float], dict[str, Any]]:
    """Values r2_, spearman_ and, where prompts have several answers, accuracy_ of each attribute; and details.

    Args:
        views: (n, v, d) states of the responses.
        names: of the v views.
        ratings: (n,) by attribute, NaN where not rated.
        prompts: of the n rows.
        splits: outer folds, inner folds and seed.

    Raises:
        MeasurementError: no attribute has enough ratings that differ, and the reason for each.
    """
    values: dict[str, float] = {}
    details: dict[str, Any] = {"intervals": {}, "choices": {}, "n": {}, "left_out": {}}
    for attribute, column in ratings.items():
        rated = np.isfinite(column)
        own = [prompt for prompt, there in zip(prompts, rated, strict=True) if there]
        details["n"][attribute] = len(own)
        try:
            found, choices = _attribute(views[rated], names, column[rated], own, splits)
        except MeasurementError as error:
            details["left_out"][attribute] = str(error)
            continue
        values |= {f"{name}_{attribute}": one["value"] for name, one in found.items()}
        details["intervals"] |= {f"{name}_{attribute}": one for name, one in found.items()}
        details["choices"][attribute] = choices
    if not values:
        why = "; ".join(f"{name}: {reason}" for name, reason in details["left_out"].items())
        raise MeasurementError(f"no attribute can be probed ({why})")
    return values, details


def _attribute(
    views: Array, names: Sequence[str], ratings: Array, prompts: Sequence[str], splits: tuple[int, int, int]
) -> tuple[dict[str, dict[str, float]], list[dict[str, Any]]]:
    outer, inner, seed = splits
    splits_by_prompt = nested(prompts, outer, inner, seed)
    if np.ptp(ratings) == 0:
        raise MeasurementError(f"all of its {len(ratings)} ratings are {ratings[0]:g}; give ratings that differ")
    predicted = probe(views, names, ratings, splits_by_prompt)
    both = np.stack([ratings, predicted.values], axis=1)
    found = {
        "r2": jackknife(lambda some: r2(some[:, 0], some[:, 1]), both, prompts, seed),
        "spearman": jackknife(lambda some: spearman(some[:, 0], some[:, 1]), both, prompts, seed),
    }
    pairs = same_prompt_pairs(prompts, ratings)
    if len(pairs) >= FEWEST:
        margins = predicted.values[pairs[:, 0]] - predicted.values[pairs[:, 1]]
        found |= shares({"accuracy": right(margins)}, [prompts[row] for row in pairs[:, 0]], seed)
    return found, [{"view": view, "penalty_over_width": penalty} for view, penalty in predicted.choices]
