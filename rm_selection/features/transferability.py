"""How well labels follow from features, without a split or a training: LogME and the H-score.

Both take features (n, d) and labels (n,) of two or more classes. For preference pairs the probe gives them the doubled
design: differences x_i labelled 1 and -x_i labelled 0. Neither changes when the features are rotated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rm_selection.errors import FitError

Array = NDArray[np.float64]
MOST_STEPS = 1000
NEGLIGIBLE = 1e-12  # of the largest eigenvalue


def doubled(differences: Array) -> tuple[Array, NDArray[np.int64]]:
    """The doubled design of n pairs: (2n, d) features and (2n,) labels."""
    return np.vstack([differences, -differences]), np.repeat([1, 0], len(differences))


def logme(features: Array, labels: NDArray[Any]) -> float:
    """Largest log evidence a row, in nats, of Bayesian linear regression on indicators of the classes, their mean.

    You et al. 2021, LogME, equations 2 to 5 and algorithm 1: for each class a target of 0 and 1 and no intercept; the
    precisions of weights and noise that make the evidence largest are the fixed point of algorithm 1.

    Raises:
        FitError: fewer than two classes, or features that are all 0.
    """
    wide = features.shape[1] > len(features)
    values, vectors = np.linalg.eigh(features @ features.T if wide else features.T @ features)
    kept = values > max(values[-1], 0) * NEGLIGIBLE
    if not kept.any():
        raise FitError("features are all 0, and nothing can be learnt from them; choose another depth or other data")
    values, vectors = values[kept], vectors[:, kept]
    left = vectors if wide else features @ vectors / np.sqrt(values)
    targets = [(labels == one).astype(float) for one in _classes(labels)]
    return float(np.mean([_evidence(values, left.T @ y, float(y @ y), len(y)) for y in targets]))


def _evidence(values: Array, along: Array, square: float, n: int) -> float:
    """Largest log evidence a row.

    Args:
        values: (r,) squared singular values of the features.
        along: (r,) the target along their left singular vectors.
        square: sum of squares of the target.
        n: rows.
    """
    ratio = 1.0  # alpha / beta: precision of the weights over that of the noise
    for _ in range(MOST_STEPS):
        gamma, weight, residual = _parts(values, along, square, ratio)
        old, ratio = ratio, (gamma / weight) / ((n - gamma) / residual) if weight > 0 < residual else np.inf
        # towards either end all is noise, or nothing is, and the evidence no longer changes
        if not 1e-10 * values[0] < ratio < 1e10 * values[-1] or abs(ratio - old) <= 1e-8 * old:
            break
    ratio = float(np.clip(ratio, 1e-10 * values[0], 1e10 * values[-1]))
    gamma, weight, residual = _parts(values, along, square, ratio)
    beta = n / (residual + ratio * weight)  # the best for this ratio
    log_det = float(np.log1p(values / ratio).sum())
    return float(np.log(beta) - np.log(2 * np.pi) - 1 - log_det / n) / 2


def _parts(values: Array, along: Array, square: float, ratio: float) -> tuple[float, float, float]:
    """Effective number of weights; m'm; |Fm - y|^2, for the posterior mean m."""
    shrunk = values / (values + ratio)
    weight = float((along**2 * shrunk**2 / values).sum())
    return float(shrunk.sum()), weight, square - float((along**2 * (2 * shrunk - shrunk**2)).sum())


def h_score(features: Array, labels: NDArray[Any]) -> float:
    """tr(cov(f)^+ cov(E[f | y])), from 0 to the number of classes less one: Bao et al. 2019, definition 2.

    It grows with d / n whatever the labels, and is at its greatest where d reaches n.

    Raises:
        FitError: fewer than two classes.
    """
    centred = features - features.mean(axis=0)
    means = np.zeros_like(centred)
    for one in _classes(labels):
        means[labels == one] = centred[labels == one].mean(axis=0)
    covariance, between = centred.T @ centred, means.T @ means
    return float(np.trace(np.linalg.pinv(covariance, rcond=NEGLIGIBLE, hermitian=True) @ between))


def _classes(labels: NDArray[Any]) -> NDArray[Any]:
    classes = np.unique(labels)
    if len(classes) < 2:
        raise FitError("labels are all the same, and nothing tells them apart; give two classes or more")
    return classes
