"""Nested cross-validation by prompt, as masks: which rows each fit learns from and which it is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from rm_selection.errors import MeasurementError

FEWEST = 20  # rows; below it a cross-validated share means nothing

Mask = NDArray[np.float64]


@dataclass(frozen=True)
class Folds:
    """Splits of n rows into `outer` folds, and of the rest of each into `inner` folds; no prompt is ever on both sides.

    held: (n, outer) 1 where a row is judged. train: (n, outer) 1 where it is learnt from.
    inner_held, inner_train: (n, outer, inner), all within `train`.
    """

    held: Mask
    inner_held: Mask

    @property
    def train(self) -> Mask:
        """The other rows of each outer fold."""
        return 1 - self.held

    @property
    def inner_train(self) -> Mask:
        """The other rows of each inner fold, outside the outer one."""
        return self.train[:, :, None] - self.inner_held


def nested(prompts: Sequence[str], outer: int, inner: int, seed: int) -> Folds:
    """Folds of rows by their prompts, of about equal numbers of prompts.

    Raises:
        MeasurementError: there are too few rows or prompts.
    """
    groups = np.unique(np.asarray(prompts), return_inverse=True)[1]
    count = int(groups.max()) + 1 if len(groups) else 0
    if len(groups) < FEWEST:
        raise MeasurementError(f"{len(groups)} rows are left to probe on, and {FEWEST} are the fewest; give more")
    fewest = max(outer, -(-inner * outer // (outer - 1)))
    if count < fewest:
        raise MeasurementError(
            f"{len(groups)} rows have {count} different prompts, and {outer} folds by prompt need {fewest}; give rows "
            "of more prompts"
        )
    held = _masks(groups, np.arange(len(groups)), outer, seed)
    parts = [_masks(groups, np.flatnonzero(held[:, fold] == 0), inner, seed + 1) for fold in range(outer)]
    return Folds(held, np.stack(parts, axis=1))


def _masks(groups: NDArray[np.intp], rows: NDArray[np.intp], folds: int, seed: int) -> Mask:
    """(n, folds) of 0 and 1: where each of `rows` is held out."""
    masks = np.zeros((len(groups), folds))
    splits = GroupKFold(folds, shuffle=True, random_state=seed % 2**32).split(rows, groups=groups[rows])
    for fold, (_, held) in enumerate(splits):
        masks[rows[held], fold] = 1
    return masks
