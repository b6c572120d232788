"""How many things the benchmarks measure: principal components of the benchmark-by-model matrix.

Only the columns of the two Open LLM Leaderboards are used, each from one harness. The others mix harnesses, shots and
prompt formats, so that differences between sources would pass for a dimension of ability.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  (scikit-learn asks for it)
from sklearn.impute import IterativeImputer
from sklearn.linear_model import BayesianRidge
from sklearn.preprocessing import StandardScaler

from rm_selection.analysis.correlation import is_constant
from rm_selection.errors import FitError
from rm_selection.table_rows import BENCHMARKS

HARNESSES = ("olv1_", "olv2_")
MIN_MODELS = 20
MAX_ROUNDS, TOLERANCE = 200, 1e-2
METHOD = "principal components of standardised scores, missing ones imputed by iterated Bayesian ridge"

Floats = NDArray[np.float64]


def usable_columns(frame: pd.DataFrame) -> list[str]:
    """The leaderboard columns that at least MIN_MODELS models of `frame` have."""
    columns = [name for name in BENCHMARKS if name.startswith(HARNESSES)]
    known = frame[columns].notna().sum()
    return list(known.index[known >= MIN_MODELS])


def factors(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The principal components, largest first.

    Imputed scores are conditional means without noise, so they make the matrix look simpler than it is: read the shares
    beside `imputed_share`, or pass complete columns only.

    Args:
        frame: one row a model.
        columns: benchmarks, two or more; missing scores are imputed, the same way every time.

    Returns:
        component (1, 2, ...), explained_variance (share, 0-1), cumulative, one column a benchmark (its correlation with
        the component), imputed_share (of the matrix's cells), method.

    Raises:
        FitError: fewer than two columns or three models, a constant or empty column, or the imputation does not settle.
    """
    matrix, pca = _components(frame, columns)
    share = pca.explained_variance_ratio_
    places = pca.transform(matrix)
    correlations = matrix.T @ places / len(matrix) / np.maximum(places.std(axis=0), 1e-12)
    table = pd.DataFrame({"component": np.arange(1, len(share) + 1), "explained_variance": share})
    table["cumulative"] = share.cumsum()
    loadings = pd.DataFrame(correlations.T, columns=list(columns))
    missing = float(frame[list(columns)].isna().to_numpy().mean())
    return pd.concat([table, loadings], axis=1).assign(imputed_share=missing, method=METHOD)


def coordinates(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Where each model lies on the components of `factors`: model, then component_1, component_2, ...

    Raises:
        FitError: as `factors`.
    """
    matrix, pca = _components(frame, columns)
    places = pca.transform(matrix)
    names = [f"component_{number}" for number in range(1, places.shape[1] + 1)]
    table = pd.DataFrame(places, columns=names)
    table.insert(0, "model", frame["model"].to_numpy())
    return table


def _components(frame: pd.DataFrame, columns: Sequence[str]) -> tuple[Floats, PCA]:
    matrix = frame[list(columns)].to_numpy(dtype=float)
    _check(matrix, columns)
    matrix = StandardScaler().fit_transform(_imputed(StandardScaler().fit_transform(matrix)))
    pca = PCA().fit(matrix)
    # A component's sign is arbitrary: most benchmarks shall point up.
    pca.components_ *= np.where(pca.components_.sum(axis=1) < 0, -1, 1)[:, None]
    return matrix, pca


def _check(matrix: Floats, columns: Sequence[str]) -> None:
    if matrix.shape[1] < 2 or matrix.shape[0] < 3:
        found = f"got {matrix.shape[0]} models and {matrix.shape[1]} benchmarks"
        raise FitError(f"principal components need three models and two benchmarks at least, {found}")
    for name, column in zip(columns, matrix.T, strict=True):
        known = column[np.isfinite(column)]
        if known.size < 2 or is_constant(known):
            raise FitError(
                f"benchmark {name} is constant or missing in all models and cannot be standardised; leave it out"
            )


def _imputed(matrix: Floats) -> Floats:
    if np.isfinite(matrix).all():
        return matrix
    imputer = IterativeImputer(BayesianRidge(), max_iter=MAX_ROUNDS, tol=TOLERANCE, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            filled: Floats = imputer.fit_transform(matrix)
        except ConvergenceWarning as error:
            reason = f"changed by more than {TOLERANCE} standard deviations after {MAX_ROUNDS} rounds"
            raise FitError(
                f"imputed benchmark scores still {reason}; leave out the columns with most missing"
            ) from error
    return filled
