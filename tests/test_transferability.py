"""LogME and H-score against independent implementations: dense, in float64, from the definitions in the papers."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from rm_selection.errors import FitError
from rm_selection.features.transferability import doubled, h_score, logme


def matrices(seed: int, n: int, d: int, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % classes)
    return rng.normal(size=(n, d)) * np.linspace(0.3, 2, d) + 0.8 * labels[:, None] + 0.4, labels


def dense_logme(features: np.ndarray, labels: np.ndarray) -> float:
    """log N(y; 0, F F' / alpha + I / beta) a row: the evidence with the weights integrated out, its greatest value."""

    def evidence(y: np.ndarray) -> float:
        def loss(logs: np.ndarray) -> float:
            alpha, beta = np.exp(logs)
            covariance = features @ features.T / alpha + np.eye(len(y)) / beta
            return -multivariate_normal.logpdf(y, np.zeros(len(y)), covariance, allow_singular=False)

        return -minimize(loss, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}).fun

    return float(np.mean([evidence((labels == one).astype(float)) for one in np.unique(labels)])) / len(labels)


def dense_h_score(features: np.ndarray, labels: np.ndarray) -> float:
    """tr(cov(f)^+ cov(E[f | y])) with numpy's covariances, the class means repeated row by row."""
    means = np.array([features[labels == one].mean(axis=0) for one in labels])
    return float(np.trace(np.linalg.pinv(np.cov(features.T), rcond=1e-10) @ np.cov(means.T)))


@pytest.mark.parametrize(("n", "d", "classes"), [(60, 5, 2), (40, 12, 3), (12, 30, 2)])
def test_logme_is_the_greatest_evidence(n, d, classes):
    features, labels = matrices(n, n, d, classes)
    assert logme(features, labels) == pytest.approx(dense_logme(features, labels), abs=1e-6)


def test_logme_of_the_doubled_design():
    features, labels = doubled(matrices(3, 50, 8)[0])
    assert logme(features, labels) == pytest.approx(dense_logme(features, labels), abs=1e-6)


def test_logme_of_features_that_tell_nothing_is_that_of_noise_alone():
    features, labels = np.ones((40, 1)) * np.tile([1.0, -1.0], 20)[:, None], np.repeat([1, 0], 20)
    assert logme(features, labels) == pytest.approx(-np.log(2 * np.pi * 0.5 * np.e) / 2, abs=1e-6)


@pytest.mark.parametrize(("n", "d", "classes"), [(60, 5, 2), (200, 12, 4)])
def test_h_score_is_that_of_the_definition(n, d, classes):
    features, labels = matrices(n, n, d, classes)
    assert h_score(features, labels) == pytest.approx(dense_h_score(features, labels), rel=1e-9)


def test_h_score_of_as_many_features_as_rows_is_one_whatever_the_labels():
    assert h_score(*doubled(np.random.default_rng(0).normal(size=(20, 20)))) == pytest.approx(1)


@pytest.mark.parametrize("score", [logme, h_score])
def test_neither_changes_by_a_rotation(score):
    features, labels = matrices(5, 50, 6)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    assert score(features @ turn, labels) == pytest.approx(score(features, labels), rel=1e-8)


@pytest.mark.parametrize("score", [logme, h_score])
def test_one_class_is_refused(score):
    with pytest.raises(FitError, match="labels are all the same"):
        score(np.eye(4), np.ones(4))


def test_features_that_are_all_zero_are_refused():
    with pytest.raises(FitError, match="features are all 0"):
        logme(*doubled(np.zeros((4, 2))))
