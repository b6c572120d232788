"""The cross-validated margins of a ridge Bradley-Terry probe on views of pairs: hidden states, likelihoods.

View and penalty are chosen for each outer fold by the mean log loss of its inner folds, the prompts of which
are all others than those judged; of equals the stronger penalty. The differences are divided by their root mean square
in each dimension, over all pairs: no label enters, since signs do not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rm_selection.features.folds import Folds
from rm_selection.features.ridge import Axes, along_axes, bradley_terry

# Penalty over width. Its inverse is the prior variance of a typical pair's margin: from sd 0.06 to 5.8.
PENALTIES = (300.0, 30.0, 3.0, 0.3, 0.03)
ROUGH = 1e-3  # tolerance of the fits that only choose

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Probed:
    """margins: (n,) of each pair by the probe that did not see its prompt. views: the margins of each view alone, with
    its penalty chosen likewise. choices: view and penalty over width of each outer fold."""

    margins: Array
    views: dict[str, Array]
    choices: list[tuple[str, float]]


def scaled(differences: Array) -> Array:
    """Differences (n, d) with a root mean square of 1 in each dimension; those without any stay 0."""
    size = np.sqrt((differences.astype(np.float64) ** 2).mean(axis=0))
    return differences / np.where(size > 0, size, 1)


def probe(views: Mapping[str, Array], folds: Folds) -> Probed:
    """Probe pairs.

    Args:
        views: by name, what is known of each pair as a difference of chosen and rejected, (n, width of the view).
        folds: of the n pairs.

    Raises:
        FitError: a fit does not converge.
    """
    names = list(views)
    losses, margins = [], []
    for differences in views.values():
        width = differences.shape[1]
        axes = along_axes(scaled(differences))
        loss = _inner_losses(axes, width, folds)
        losses.append(loss)
        margins.append(_outer_margins(axes, width * np.array(PENALTIES)[loss.argmin(axis=1)], folds))
    table = np.stack(losses, axis=1)  # (outer, v, penalties)
    best = [np.unravel_index(one.argmin(), one.shape) for one in table]
    chosen = np.array([view for view, _ in best])
    fold_of = folds.held.argmax(axis=1)
    picked = np.stack(margins)[chosen[fold_of], np.arange(len(fold_of))]
    choices = [(names[view], PENALTIES[penalty]) for view, penalty in best]
    return Probed(picked, dict(zip(names, margins, strict=True)), choices)


def _inner_losses(axes: Axes, width: int, folds: Folds) -> Array:
    """Mean log loss of pairs held out by the inner folds, (outer, penalties)."""
    n, outer, inner = folds.inner_held.shape
    taken = np.repeat(folds.inner_train.reshape(n, -1), len(PENALTIES), axis=1)
    weights = bradley_terry(axes.brief(), taken, np.tile(width * np.array(PENALTIES), outer * inner), ROUGH)
    loss = np.logaddexp(0, -(axes.rows @ weights)).reshape(n, outer, inner, len(PENALTIES))
    total = np.einsum("noip,noi->op", loss, folds.inner_held)
    means: Array = total / folds.train.sum(axis=0)[:, None]
    return means


def _outer_margins(axes: Axes, penalties: Array, folds: Folds) -> Array:
    """Margins of all pairs, each by the fit of its outer fold; penalties (outer,)."""
    weights = bradley_terry(axes, folds.train, penalties)
    margins: Array = ((axes.rows @ weights) * folds.held).sum(axis=1)
    return margins
