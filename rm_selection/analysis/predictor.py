"""Predict reward-model quality from what is known of a base, and say how well that works on unseen families.

Each predictor is judged three ways: `in_sample` (the study's way), `ten_fold`, and `leave_family_out`. Both of the
latter are nested: whatever a predictor chooses (features, penalty, degree) it chooses inside the training part.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, Ridge, RidgeCV, enet_path
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from rm_selection.analysis.balanced_ridge import FEATURE_SETS, SCORE, BalancedRidge, FeatureSets
from rm_selection.analysis.balanced_ridge import NAME as RECOMMENDED
from rm_selection.settings import CATEGORIES
from rm_selection.table_rows import OPEN_LLM_V2

Array = NDArray[np.float64]
FitPredict = Callable[[pd.DataFrame, pd.DataFrame, int], Array]

VALIDATIONS = ("in_sample", "ten_fold", "leave_family_out")
SIZES = FEATURE_SETS["sizes"]
DEGREES = (1, 2, 3)
ALPHAS = (0.1, 0.01, 0.001, 0.0001)
L1_RATIOS = (0.0, 0.25, 0.5, 0.75, 1.0)
MAX_COMPONENTS = 4


@dataclass(frozen=True)
class Predictor:
    """`fit_predict(train, test, seed)` gives a score in points for every row of `test`."""

    name: str
    feature_set: str
    model: str
    fit_predict: FitPredict


def validate(predictor: Predictor, frame: pd.DataFrame, validation: str, seed: int) -> pd.DataFrame:
    """Predictions for every model of `frame` (model, family, score, features) under one of VALIDATIONS.

    Returns:
        Columns model, family, feature_set, predictor, validation, actual, predicted, in the order of `frame`.
    """
    predicted = np.full(len(frame), np.nan)
    for train, test in _splits(frame, validation, seed):
        predicted[test] = predictor.fit_predict(frame.iloc[train], frame.iloc[test], seed)
    return frame[["model", "family"]].assign(
        feature_set=predictor.feature_set,
        predictor=predictor.name,
        validation=validation,
        actual=frame["score"],
        predicted=predicted,
    )


def _splits(frame: pd.DataFrame, validation: str, seed: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    rows = np.arange(len(frame))
    if validation == "in_sample":
        yield rows, rows
    elif validation == "ten_fold":
        yield from KFold(min(10, len(rows)), shuffle=True, random_state=seed).split(rows)
    else:
        for family in frame["family"].unique():
            own = (frame["family"] == family).to_numpy()
            yield rows[~own], rows[own]


def _ridge(columns: Sequence[str]) -> FitPredict:
    """Ridge with its penalty chosen by leave-one-out inside the training part, every model counting the same."""

    def fit_predict(train: pd.DataFrame, test: pd.DataFrame, seed: int) -> Array:
        del seed  # nothing random here
        steps = (SimpleImputer(strategy="median"), StandardScaler(), RidgeCV(np.logspace(-2, 3, 21)))
        model = make_pipeline(*steps).fit(train[list(columns)].to_numpy(), train["score"].to_numpy())
        return np.asarray(model.predict(test[list(columns)].to_numpy()))

    return fit_predict


def best_benchmark(benchmarks: Sequence[str]) -> Predictor:
    """A line on the one benchmark that correlates best with the score, in absolute value, on the training part."""

    def fit_predict(train: pd.DataFrame, test: pd.DataFrame, seed: int) -> Array:
        strength = train[list(benchmarks)].corrwith(train["score"]).abs()
        return _ridge([str(strength.idxmax())])(train, test, seed)

    return Predictor("best_benchmark", f"one of {len(benchmarks)}", "line", fit_predict)


def _low_rank(train: pd.DataFrame, test: pd.DataFrame, seed: int) -> Array:
    """Size and the first k components of the benchmarks, k in 1-4 by ten-fold cross-validation."""
    y = train["score"].to_numpy(float)
    error = np.zeros(MAX_COMPONENTS)
    for fit, held in KFold(10, shuffle=True, random_state=seed).split(y):
        error += np.abs(_component_predictions(train.iloc[fit], train.iloc[held]) - y[held, None]).sum(axis=0)
    return _component_predictions(train, test)[:, error.argmin()]


def _component_predictions(train: pd.DataFrame, test: pd.DataFrame) -> Array:
    """Least squares on sizes and 1, 2, ... MAX_COMPONENTS components: predictions (m, MAX_COMPONENTS)."""
    skills = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), PCA(MAX_COMPONENTS))
    skills.fit(train[list(OPEN_LLM_V2)].to_numpy())

    def design(rows: pd.DataFrame) -> Array:
        return np.hstack([rows[list(SIZES)].to_numpy(), skills.transform(rows[list(OPEN_LLM_V2)].to_numpy())])

    X, X_new, y = design(train), design(test), train["score"].to_numpy(float)
    widths = [len(SIZES) + k for k in range(1, MAX_COMPONENTS + 1)]
    return np.column_stack([LinearRegression().fit(X[:, :w], y).predict(X_new[:, :w]) for w in widths])


def balanced_ridge(name: str, feature_sets: FeatureSets, targets: Sequence[str] = SCORE) -> Predictor:
    """The family-balanced ridge of the mean of `targets`, choosing among `feature_sets` on the training part."""

    def fit_predict(train: pd.DataFrame, test: pd.DataFrame, seed: int) -> Array:
        del seed  # nothing random here
        return BalancedRidge.fit(train, targets, feature_sets).predict(test)["predicted"].to_numpy()

    known = next(iter(feature_sets)) if len(feature_sets) == 1 else "chosen in fold"
    return Predictor(name, known, "family-balanced ridge", fit_predict)


def averaged(name: str, parts: Sequence[Predictor]) -> Predictor:
    """The mean of what several predictors say, all weighing the same (Bates and Granger 1969).

    Where models are few, one fit on all their columns pays for each of them; a mean has nothing to fit.
    """

    def fit_predict(train: pd.DataFrame, test: pd.DataFrame, seed: int) -> Array:
        return np.asarray(np.mean([part.fit_predict(train, test, seed) for part in parts], axis=0))

    return Predictor(name, " and ".join(part.name for part in parts), "mean of predictors", fit_predict)


def elastic_net(feature_set: str, columns: Sequence[str]) -> Predictor:
    """The study's predictor: its whole grid by ten-fold cross-validation on mean absolute error, then one fit."""

    def fit_predict(train: pd.DataFrame, test: pd.DataFrame, seed: int) -> Array:
        return _elastic_net(train, test, columns, seed)

    return Predictor("elastic_net", feature_set, "elastic net, degree 1-3", fit_predict)


def _elastic_net(train: pd.DataFrame, test: pd.DataFrame, features: Sequence[str], seed: int) -> Array:
    columns = list(features)
    y = train["score"].to_numpy(float)
    best = (np.inf, 1, 0)
    for degree in DEGREES:
        expand = make_pipeline(
            SimpleImputer(strategy="median"),
            StandardScaler(),
            PolynomialFeatures(degree, include_bias=False),
            StandardScaler(),
        )
        Z = expand.fit_transform(train[columns].to_numpy())
        error = np.zeros(len(ALPHAS) * len(L1_RATIOS))
        for fit, held in KFold(min(10, len(y)), shuffle=True, random_state=seed).split(Z):
            error += np.abs(_grid_predictions(Z[fit], y[fit], Z[held]) - y[held, None]).sum(axis=0)
        if error.min() < best[0]:
            best = (float(error.min()), degree, int(error.argmin()))
            chosen = _grid_predictions(Z, y, expand.transform(test[columns].to_numpy()))[:, best[2]]
    return np.asarray(chosen)


def _grid_predictions(Z: Array, y: Array, Z_new: Array) -> Array:
    """Predictions (m, 20) of the elastic net for every l1 ratio and alpha, alphas running fastest."""
    centre, level = Z.mean(axis=0), y.mean()
    Zc, yc = np.asfortranarray(Z - centre), y - level
    slopes = []
    for ratio in L1_RATIOS:
        if ratio == 0:  # coordinate descent is unreliable without an l1 term; here the solution is closed
            penalties = len(y) * np.asarray(ALPHAS)
            many = np.repeat(yc[:, None], len(ALPHAS), axis=1)
            slopes.append(Ridge(alpha=penalties, fit_intercept=False).fit(Zc, many).coef_.T)
            continue
        with warnings.catch_warnings():
            # A fit stopped at scikit-learn's 1,000 sweeps is one more entry of the grid: its held-out error decides.
            warnings.simplefilter("ignore", ConvergenceWarning)
            slopes.append(enet_path(Zc, yc, l1_ratio=ratio, alphas=np.asarray(ALPHAS))[1])
    return np.asarray((Z_new - centre) @ np.hstack(slopes) + level)


PREDICTORS = (
    Predictor("size", "sizes", "ridge", _ridge(SIZES)),
    Predictor("size_tokens", "sizes + log tokens", "ridge", _ridge((*SIZES, "log_tokens_t"))),
    best_benchmark(OPEN_LLM_V2),
    Predictor("ridge", "sizes_olv2", "ridge", _ridge(FEATURE_SETS["sizes_olv2"])),
    Predictor("low_rank", "sizes + components", "least squares", _low_rank),
    elastic_net("size_olv2", FEATURE_SETS["size_olv2"]),
    balanced_ridge(RECOMMENDED, FEATURE_SETS, CATEGORIES),
)


def single_benchmark(name: str) -> Predictor:
    """The predictor that knows one benchmark only, named like it."""
    return Predictor(name, name, "line", _ridge([name]))
