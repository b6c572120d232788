"""Many ridge fits at once against scikit-learn's, one at a time."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from rm_selection.errors import FitError
from rm_selection.features import ridge
from rm_selection.features.ridge import along_axes, bradley_terry, least_squares, with_ones

PENALTIES = np.array([0.5, 5.0, 50.0])


def data(n: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Correlated features of very different sizes, and which rows two fits learn from."""
    rng = np.random.default_rng(seed)
    mix = np.eye(d) + rng.normal(size=(d, d)) / np.sqrt(d)
    X = rng.normal(size=(n, d)) @ mix * np.exp(rng.normal(size=d) / 2)
    X[X @ rng.normal(size=d) < rng.normal(size=n)] *= -1
    return X, (rng.random((n, len(PENALTIES))) < 0.7).astype(float)


@pytest.mark.parametrize(("n", "d"), [(120, 10), (30, 60)])
def test_a_probe_is_logistic_regression_on_the_doubled_design(n, d):
    X, taken = data(n, d)
    axes = along_axes(X)
    margins = axes.rows @ bradley_terry(axes, taken, PENALTIES, 1e-8)
    for fold, penalty in enumerate(PENALTIES):
        own = X[taken[:, fold] > 0]
        design, labels = np.vstack([own, -own]), np.repeat([1, 0], len(own))
        model = LogisticRegression(C=1 / (2 * penalty), fit_intercept=False, tol=1e-10, max_iter=100_000)
        expected = X @ model.fit(design, labels).coef_[0]
        np.testing.assert_allclose(margins[:, fold], expected, atol=1e-4)


@pytest.mark.parametrize(("n", "d"), [(120, 10), (30, 60)])
def test_least_squares_is_ridge_with_an_intercept(n, d):
    X, taken = data(n, d, 1)
    y = X @ np.ones(d) + 7
    axes = along_axes(X - X.mean(axis=0))
    found = with_ones(axes.rows) @ least_squares(axes, y, taken, PENALTIES, 1e-9)
    for fold, penalty in enumerate(PENALTIES):
        own = taken[:, fold] > 0
        expected = Ridge(penalty).fit(X[own], y[own]).predict(X)
        np.testing.assert_allclose(found[:, fold], expected, atol=1e-4)


@pytest.mark.parametrize(("n", "d"), [(40, 12), (12, 40)])
def test_axes_keep_all_distances(n, d):
    X, _ = data(n, d)
    axes = along_axes(X)
    np.testing.assert_allclose(axes.rows @ axes.rows.T, X @ X.T, atol=1e-8)
    np.testing.assert_allclose((axes.rows**2).sum(axis=0), axes.variances, rtol=1e-8)
    assert axes.rows.shape[1] <= min(n, d)


def test_features_that_are_all_zero_give_margins_of_zero():
    axes = along_axes(np.zeros((10, 4)))
    assert not (axes.rows @ bradley_terry(axes, np.ones((10, 3)), PENALTIES)).any()


def test_a_fit_that_does_not_converge_is_refused(monkeypatch):
    monkeypatch.setattr(ridge, "MOST_STEPS", 2)
    X, taken = data(120, 10)
    with pytest.raises(FitError, match="3 ridge fits do not converge in 2 steps"):
        bradley_terry(along_axes(X), taken, PENALTIES)
