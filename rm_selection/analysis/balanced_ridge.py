"""The predictor behind `recommend`: ridge regression in which every family counts the same.

What is asked is the error on a family nobody has trained yet, so families, not models, are the unit everywhere: a row
weighs 1 / (size of its family), and features and penalty are chosen by leaving one family out at a time, scored by the
mean over families of the mean absolute error within one. Qwen with eleven models then has no more say than StableLM
with one.

numpy only: the whole nested validation takes 0.1 s, where scikit-learn takes a second to import. The test suite
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
    """A fitted predictor. `slopes` are per unit of each feature; `low` and `high` are the range it was fitted on."""

    features: tuple[str, ...]
    feature_set: str
    penalty: float
    intercept: float
    slopes: Array
    low: Array
    high: Array
    normal: ConditionalNormal

    @classmethod
    def fit(cls, frame: pd.DataFrame, target: str = "score", feature_sets: FeatureSets = FEATURE_SETS) -> BalancedRidge:
        """Choose feature set and penalty by leave-one-family-out, then fit on all rows.

        Args:
            frame: one row a model, with columns `family`, `target` and every feature of the sets, gaps allowed.
            target: the column to predict, in points.
            feature_sets: what to choose from.

        Raises:
            FitError: fewer than two families, or a target that is missing or not finite.
        """
        features = tuple(dict.fromkeys(name for names in feature_sets.values() for name in names))
        values = _matrix(frame, features)
        y = frame[target].to_numpy(float)
        names, families = np.unique(frame["family"].to_numpy(str), return_inverse=True)
        if len(names) < 2:
            raise FitError("1 family is too few to leave one out and choose a predictor; 2 are needed")
        if not np.isfinite(y).all():
            raise FitError(f"{target} is missing for {frame['model'][~np.isfinite(y)].iloc[0]}; every model needs one")
        normal = ConditionalNormal.fit(values)
        filled, _ = normal.fill(values)
        weights = 1 / np.bincount(families)[families]
        places = {name: [features.index(column) for column in names] for name, names in feature_sets.items()}
        feature_set, index = _choose(filled, places, y, weights, families)
        columns = places[feature_set]
        intercepts, slopes = ridge_path(filled[:, columns], y, weights)
        full = np.zeros(len(features))
        full[columns] = slopes[:, index]
        low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        return cls(features, feature_set, float(PENALTIES[index]), float(intercepts[index]), full, low, high, normal)

    @property
    def used(self) -> tuple[str, ...]:
        """The features of the chosen set."""
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
    frame: pd.DataFrame, target: str = "score", feature_sets: FeatureSets = FEATURE_SETS
) -> pd.DataFrame:
    """`BalancedRidge.predict` for every row by a predictor chosen and fitted without that row's family (nested).

    Returns the columns of `predict` and `feature_set`, `penalty` of the fold, in the order of `frame`.
    """
    parts = []
    for family in frame["family"].unique():
        held = frame["family"] == family
        fold = BalancedRidge.fit(frame[~held], target, feature_sets)
        parts.append(fold.predict(frame[held]).assign(feature_set=fold.feature_set, penalty=fold.penalty))
    return pd.concat(parts).loc[frame.index]


def _choose(
    filled: Array, places: Mapping[str, list[int]], y: Array, weights: Array, families: NDArray[np.intp]
) -> tuple[str, int]:
    """The feature set and the index of the penalty with the least error on left-out families; the first if tied."""
    best = (np.inf, "", 0)
    for name, columns in places.items():
        X = filled[:, columns]
        errors = np.zeros(len(PENALTIES))
        for family in range(families.max() + 1):
            held = families == family
            intercepts, slopes = ridge_path(X[~held], y[~held], weights[~held])
            errors += np.abs(X[held] @ slopes + intercepts - y[held, None]).mean(axis=0)
        index = int(errors.argmin())
        if errors[index] < best[0]:
            best = (float(errors[index]), name, index)
    return best[1], best[2]


def ridge_path(X: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    """Weighted ridge for every penalty at once: intercepts (p,) and slopes (d, p) in units of X.

    Minimises sum_i w_i (y_i - b_0 - z_i b)^2 + penalty |b|^2 with weights summing to 1 and z the features at weighted
    mean 0 and standard deviation 1, by the singular value decomposition of sqrt(w) z (Hastie et al. 2009, eq. 3.47).
    """
    w = weights / weights.sum()
    mean, y_mean = w @ X, float(w @ y)
    scale = np.sqrt(w @ (X - mean) ** 2)
    scale[scale == 0] = 1
    root = np.sqrt(w)[:, None]
    U, d, Vt = np.linalg.svd(root * (X - mean) / scale, full_matrices=False)
    shrunk = (d[:, None] / (d[:, None] ** 2 + PENALTIES)) * (U.T @ (root[:, 0] * (y - y_mean)))[:, None]
    slopes = (Vt.T @ shrunk) / scale[:, None]
    return y_mean - mean @ slopes, slopes


def _matrix(frame: pd.DataFrame, features: Sequence[str]) -> Array:
    return np.asarray(frame[list(features)].to_numpy(float))


def _named(features: Sequence[str], mask: NDArray[np.bool_]) -> list[str]:
    return [" ".join(np.asarray(features)[row]) for row in mask]
