"""The predictor behind `recommend`: ridge regression in which every family counts the same.

What is asked is the error on a family nobody has trained yet, so families, not models, are the unit everywhere: a row
weighs 1 / (size of its family), and features and penalty are chosen by leaving one family out at a time, scored by the
mean over families of the mean absolute error within one. Qwen with eleven models then has no more say than StableLM
with one.

A score that is the mean of several (of a benchmark's categories) is predicted as the mean of their predictions, each
with features and a penalty of its own; so what is said of the parts adds up to what is said of the whole.

numpy only: the whole nested validation takes half a second, where scikit-learn takes a second to import. The test suite
holds the fit against scikit-learn's Ridge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rm_selection.analysis.imputation import ConditionalNormal
from rm_selection.errors import FitError
from rm_selection.table_rows import OPEN_LLM_V2

Array = NDArray[np.float64]

NAME = "balanced_ridge"  # in tables and figures
SCORE = ("score",)
PENALTIES = np.logspace(-3, 1, 17)
FEATURE_SETS: dict[str, tuple[str, ...]] = {
    "size": ("params_b",),
    "log_size": ("log_params_b",),
    "sizes": ("params_b", "log_params_b"),
    "size_olv2": ("params_b", *OPEN_LLM_V2),
    "log_size_olv2": ("log_params_b", *OPEN_LLM_V2),
    "sizes_olv2": ("params_b", "log_params_b", *OPEN_LLM_V2),
}
FeatureSets = Mapping[str, Sequence[str]]  # columns by the name of the set


@dataclass(frozen=True)
class BalancedRidge:
    """A fitted predictor. `slopes` are per unit of each feature; `low` and `high` are the range it was fitted on.

    chosen: of every target, its feature set and its penalty.
    """

    features: tuple[str, ...]
    chosen: tuple[tuple[str, float], ...]
    intercept: float
    slopes: Array
    low: Array
    high: Array
    normal: ConditionalNormal

    @classmethod
    def fit(
        cls, frame: pd.DataFrame, targets: Sequence[str] = SCORE, feature_sets: FeatureSets = FEATURE_SETS
    ) -> BalancedRidge:
        """Choose feature set and penalty of every target by leave-one-family-out, then fit on all rows.

        Args:
            frame: one row a model, with columns `family`, the targets and every feature of the sets, gaps allowed.
            targets: the columns whose mean is predicted, in points.
            feature_sets: what to choose from.

        Raises:
            FitError: fewer than two families, or a target that is missing or not finite.
        """
        features = tuple(dict.fromkeys(name for names in feature_sets.values() for name in names))
        values = _matrix(frame, features)
        Y = frame[list(targets)].to_numpy(float)
        names, families = np.unique(frame["family"].to_numpy(str), return_inverse=True)
        if len(names) < 2:
            raise FitError("1 family is too few to leave one out and choose a predictor; 2 are needed")
        for target, y in zip(targets, Y.T, strict=True):
            if not (there := np.isfinite(y)).all():
                raise FitError(f"{target} is missing for {frame['model'][~there].iloc[0]}; every model needs one")
        normal = ConditionalNormal.fit(values)
        filled, _ = normal.fill(values)
        weights = 1 / np.bincount(families)[families]
        places = {name: [features.index(column) for column in names] for name, names in feature_sets.items()}
        chosen = _choose(filled, places, Y, weights, families)
        intercept, full = 0.0, np.zeros(len(features))
        for y, (feature_set, index) in zip(Y.T, chosen, strict=True):
            intercepts, slopes = ridge_path(filled[:, places[feature_set]], y[:, None], weights)
            intercept += intercepts[index, 0] / len(chosen)
            full[places[feature_set]] += slopes[:, index, 0] / len(chosen)
        low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        told = tuple((name, float(PENALTIES[index])) for name, index in chosen)
        return cls(features, told, float(intercept), full, low, high, normal)

    @property
    def used(self) -> tuple[str, ...]:
        """The features of the chosen sets."""
        return tuple(name for name, slope in zip(self.features, self.slopes, strict=True) if slope != 0)

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Predictions for the rows of `frame`, with what makes them less sure.

        Returns:
            Columns: predicted (points, within 0-100); imputation_sd (points, from filled features); reach (points by
            which the prediction moves outside the fitted range); imputed and outside (feature names, joined by blanks).
        """
        values = _matrix(frame, self.features)
        filled, spread = self.normal.fill(values)
        raw = self.intercept + filled @ self.slopes
        used = self.slopes != 0
        inside = np.clip(filled, self.low, self.high)
        outside = (filled != inside) & used & ~np.isnan(values)
        return pd.DataFrame(
            {
                "predicted": np.clip(raw, 0, 100),
                "imputation_sd": np.sqrt(np.einsum("i,nij,j->n", self.slopes, spread, self.slopes).clip(min=0)),
                "reach": np.abs((filled - inside) @ self.slopes),
                "imputed": _named(self.features, np.isnan(values) & used),
                "outside": _named(self.features, outside),
            },
            index=frame.index,
        )


def leave_family_out(
    frame: pd.DataFrame, targets: Sequence[str] = SCORE, feature_sets: FeatureSets = FEATURE_SETS
) -> pd.DataFrame:
    """`BalancedRidge.predict` for every row, in its order, by one chosen and fitted without that row's family."""
    parts = []
    for family in frame["family"].unique():
        held = frame["family"] == family
        parts.append(BalancedRidge.fit(frame[~held], targets, feature_sets).predict(frame[held]))
    return pd.concat(parts).loc[frame.index]


def _choose(
    filled: Array, places: Mapping[str, list[int]], Y: Array, weights: Array, families: NDArray[np.intp]
) -> list[tuple[str, int]]:
    """Of every target the feature set and the penalty's index with least error on left-out families; first if tied."""
    errors = np.zeros((len(places), len(PENALTIES), Y.shape[1]))
    for k, columns in enumerate(places.values()):
        X = filled[:, columns]
        for family in range(families.max() + 1):
            held = families == family
            intercepts, slopes = ridge_path(X[~held], Y[~held], weights[~held])
            guesses = (X[held] @ slopes.reshape(len(slopes), -1)).reshape(-1, *intercepts.shape) + intercepts
            errors[k] += np.abs(guesses - Y[held, None]).mean(axis=0)
    names = list(places)
    best = [np.unravel_index(of_target.argmin(), of_target.shape) for of_target in np.moveaxis(errors, 2, 0)]
    return [(names[which], int(index)) for which, index in best]


def ridge_path(X: Array, Y: Array, weights: Array) -> tuple[Array, Array]:
    """Weighted ridge for every penalty and target at once: intercepts (p, t) and slopes (d, p, t) in units of X.

    Minimises sum_i w_i (y_i - b_0 - z_i b)^2 + penalty |b|^2 with weights summing to 1 and z the features at weighted
    mean 0 and standard deviation 1, by the singular value decomposition of sqrt(w) z (Hastie et al. 2009, eq. 3.47).
    """
    w = weights / weights.sum()
    mean, level = w @ X, w @ Y
    scale = np.sqrt(w @ (X - mean) ** 2)
    scale[scale == 0] = 1
    root = np.sqrt(w)[:, None]
    U, d, Vt = np.linalg.svd(root * (X - mean) / scale, full_matrices=False)
    shrunk = (d[:, None] / (d[:, None] ** 2 + PENALTIES))[:, :, None] * (U.T @ (root * (Y - level)))[:, None]
    slopes = Vt.T @ shrunk.reshape(len(d), -1) / scale[:, None]  # penalties and targets in one, as a matrix is faster
    shape = (len(PENALTIES), Y.shape[1])
    return level - (mean @ slopes).reshape(shape), slopes.reshape(-1, *shape)


def _matrix(frame: pd.DataFrame, features: Sequence[str]) -> Array:
    return np.asarray(frame[list(features)].to_numpy(float))


def _named(features: Sequence[str], mask: NDArray[np.bool_]) -> list[str]:
    return [" ".join(np.asarray(features)[row]) for row in mask]
