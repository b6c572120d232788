"""From the states of pairs to the figures of the probe, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rm_selection.features.folds import Folds
from rm_selection.features.pair_probe import Probed, probe
from rm_selection.features.prompt_intervals import jackknife, shares
from rm_selection.features.ridge import along_axes
from rm_selection.features.transferability import doubled, h_score, logme

VIEW = "last_token"  # of LogME and the H-score: fixed, since a view chosen by labels would flatter them
LIKELIHOODS = "likelihoods"  # the view that holds the margins which need no fit
ROOM = 2  # pairs a dimension, below which the H-score is near its greatest whatever the labels

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class PairStates:
    """What the pass found of n pairs; axis 1 is chosen, rejected.

    views: (n, 2, v, d) of the v `names`. log_p: (n, 2) nats. tokens, characters: (n, 2) of the responses.
    reference: (n, 2) log p under the reference, None without one.
    """

    views: Array
    names: tuple[str, ...]
    log_p: Array
    tokens: NDArray[Any]
    characters: NDArray[Any]
    prompts: Sequence[str]
    reference: Array | None = None


def pair_scores(states: PairStates, folds: Folds, seed: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Values by name, and the details that the record keeps: intervals, every view alone, choices, baselines.

    Raises:
        FitError: a fit does not converge.
    """
    differences = states.views[:, 0] - states.views[:, 1]
    zero_shot = _zero_shot(states)
    hidden = {name: differences[:, view] for view, name in enumerate(states.names)}
    probed = probe(hidden | {LIKELIHOODS: np.column_stack(list(zero_shot.values()))}, folds)
    margins = {"accuracy": probed.margins, **zero_shot}
    baselines = {"longer_in_tokens": _less(states.tokens), "longer_in_characters": _less(states.characters)}
    views = {f"accuracy_{name}": margin for name, margin in probed.views.items()}
    columns = {name: right(margin) for name, margin in (margins | baselines | views).items()}
    found = shares(columns, states.prompts, seed, [*margins, *baselines][1:])
    scores, left_out = _transferability(differences[:, states.names.index(VIEW)], states.prompts, seed)
    details = {
        "n": len(probed.margins),
        "prompts": len(set(states.prompts)),
        "intervals": {name: found[name] for name in margins} | scores,
        "baselines": {name: found[name] for name in baselines},
        "views": {name.removeprefix("accuracy_"): found[name] for name in views},
        "choices": _choices(probed),
        "ties": {name: int((margin == 0).sum()) for name, margin in margins.items()},
        "left_out": left_out,
    }
    values = {name: found[name]["value"] for name in margins} | {name: one["value"] for name, one in scores.items()}
    return values, details


def right(margins: Array) -> Array:
    """1 where the margin is above 0, 1/2 where it is 0; (n,)."""
    result: Array = (margins > 0) + 0.5 * (margins == 0)
    return result


def _zero_shot(states: PairStates) -> dict[str, Array]:
    found = {"zero_shot": _less(states.log_p), "zero_shot_per_token": _less(states.log_p / states.tokens)}
    if states.reference is not None:
        found["implicit_reward"] = _less(states.log_p - states.reference)
    return found


def _less(sides: NDArray[Any]) -> Array:
    """Chosen less rejected, (n, 2) -> (n,)."""
    difference: Array = sides[:, 0] - sides[:, 1]
    return difference


def _transferability(
    differences: Array, prompts: Sequence[str], seed: int
) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    rows = along_axes(differences.astype(np.float64)).rows.astype(np.float64)
    found = {"logme": jackknife(lambda some: logme(*doubled(some)), rows, prompts, seed)}
    n, width = differences.shape
    if n < ROOM * width:
        return found, {"h_score": f"{n} pairs are fewer than {ROOM} times the width {width}"}
    return found | {"h_score": jackknife(lambda some: h_score(*doubled(some)), rows, prompts, seed)}, {}


def _choices(probed: Probed) -> list[dict[str, Any]]:
    return [{"view": view, "penalty_over_width": penalty} for view, penalty in probed.choices]
