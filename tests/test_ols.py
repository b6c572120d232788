import numpy as np
import pandas as pd
import pytest
from scipy.stats import jarque_bera, t
from statsmodels.stats.diagnostic import het_breuschpagan

from rm_selection.analysis.ols import coefficients, diagnostics, fit, influence, summary_text
from rm_selection.errors import FitError
from rm_selection.table_rows import OPEN_LLM_V2
from rm_selection.tables import joined

FEATURES = ["x", "z"]


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x, z, noise = rng.normal(size=(3, 30))
    columns = {"x": 50 + 9 * x, "z": 3 * z + x, "score": 70 + 4 * x + noise * (1 + np.abs(x))}
    return pd.DataFrame({"model": [f"m{i}" for i in range(30)], "family": [f"f{i % 6}" for i in range(30)], **columns})


def by_hand(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values = frame[FEATURES].to_numpy()
    X = np.column_stack([np.ones(len(frame)), (values - values.mean(axis=0)) / values.std(axis=0, ddof=1)])
    beta = np.linalg.lstsq(X, frame["score"].to_numpy())[0]
    return X, beta, frame["score"].to_numpy() - X @ beta


def estimates(frame: pd.DataFrame, errors: str) -> pd.DataFrame:
    table = coefficients(fit(frame, FEATURES, "score"), "regression", "small")
    return table[table["errors"] == errors].set_index("term")


def test_estimates_are_least_squares_on_features_of_unit_deviation(frame):
    assert estimates(frame, "hc3")["estimate"].tolist() == pytest.approx(by_hand(frame)[1].tolist())
    assert estimates(frame, "hc3").index.tolist() == ["const", "x", "z"]


def test_hc3_errors_follow_the_textbook(frame):
    X, _, residuals = by_hand(frame)
    inverse = np.linalg.inv(X.T @ X)
    leverage = np.einsum("ij,jk,ik->i", X, inverse, X)
    middle = X.T @ np.diag((residuals / (1 - leverage)) ** 2) @ X
    expected = np.sqrt(np.diag(inverse @ middle @ inverse))
    assert estimates(frame, "hc3")["std_error"].tolist() == pytest.approx(expected.tolist())


def test_family_errors_sum_scores_by_family_and_correct_for_few_of_them(frame):
    X, beta, residuals = by_hand(frame)
    inverse = np.linalg.inv(X.T @ X)
    sums = pd.DataFrame(X * residuals[:, None]).groupby(frame["family"]).sum().to_numpy()
    expected = np.sqrt(np.diag(inverse @ sums.T @ sums @ inverse) * 6 / 5 * 29 / 27)
    table = estimates(frame, "cluster")
    assert table["std_error"].tolist() == pytest.approx(expected.tolist())
    assert table["low"].tolist() == pytest.approx((beta - t(5).ppf(0.95) * expected).tolist())
    assert table["p_value"].tolist() == pytest.approx((2 * t(5).sf(np.abs(beta) / expected)).tolist())


def test_variance_inflation_is_the_inverse_of_the_correlation_matrix(frame):
    expected = np.diag(np.linalg.inv(np.corrcoef(frame[FEATURES].T)))
    assert estimates(frame, "hc3")["vif"].tolist() == pytest.approx([np.nan, *expected], nan_ok=True)


def test_influence_is_what_leaving_a_model_out_changes(frame):
    X, beta, residuals = by_hand(frame)
    table = influence(fit(frame, FEATURES, "score")).set_index("model")
    kept = np.arange(30) != 7
    without = np.linalg.lstsq(X[kept], frame["score"].to_numpy()[kept])[0]
    cook = np.sum((X @ (beta - without)) ** 2) / 3 / (residuals @ residuals / 27)
    assert table.loc["m7", "cooks_distance"] == pytest.approx(cook)
    assert table["cooks_distance"].is_monotonic_decreasing
    assert table["leverage"].sum() == pytest.approx(3)


def test_diagnostics_hold_the_tests_of_statsmodels_and_scipy(frame):
    X, _, residuals = by_hand(frame)
    table = diagnostics(fit(frame, FEATURES, "score"), "regression").set_index("check")
    assert table.loc["breusch_pagan", "p_value"] == pytest.approx(het_breuschpagan(residuals, X)[1])
    assert table.loc["jarque_bera", "p_value"] == pytest.approx(jarque_bera(residuals).pvalue)
    assert table.loc["condition_number", "statistic"] == pytest.approx(np.linalg.cond(X))
    assert table.loc["clusters", "reading"] == "With only 6 families clustered errors lean optimistic."


def test_reset_is_the_f_test_of_powers_of_the_fit(frame):
    X, _, residuals = by_hand(frame)
    fitted = frame["score"].to_numpy() - residuals
    centred = fitted - fitted.mean()
    wide = np.column_stack([X, centred**2, centred**3])
    left = frame["score"].to_numpy() - wide @ np.linalg.lstsq(wide, frame["score"].to_numpy())[0]
    f = (residuals @ residuals - left @ left) / 2 / (left @ left / 25)
    table = diagnostics(fit(frame, FEATURES, "score"), "regression").set_index("check")
    assert table.loc["reset", "statistic"] == pytest.approx(f)


def test_a_bend_is_found_and_said(frame):
    table = diagnostics(fit(frame.assign(score=(frame["x"] - 50) ** 2 + frame["x"]), ["x"], "score"), "regression")
    assert table.set_index("check").loc["reset", "reading"].startswith("A straight line misses a bend")


def test_the_published_features_overlap():
    fitted = fit(joined("regression"), ["log_params_b", *OPEN_LLM_V2], "score")
    table = diagnostics(fitted, "regression").set_index("check")
    assert len(fitted.models) == 39  # one model has no MATH score
    assert table.loc["max_vif", "statistic"] > 10
    assert table.loc["clusters", "statistic"] == 9
    assert table["reading"].str.endswith(".").all()


@pytest.mark.parametrize("n", [5, 7, 12])
def test_few_models_and_families_leak_no_warning(frame, n):
    fitted = fit(frame.head(n).assign(family=["f", "g"] * 2 + ["f"] * (n - 4)), FEATURES, "score")
    text = summary_text(fitted)
    assert "mean little" in text.splitlines()[1]
    assert len(diagnostics(fitted, "regression")) == 8


def test_the_summary_shows_both_errors_and_no_date(frame):
    text = summary_text(fit(frame, FEATURES, "score"))
    assert "(HC3)" in text
    assert "robust to cluster correlation" in text
    assert "Date:" not in text


def test_collinear_features_are_refused(frame):
    with pytest.raises(FitError, match=r"x, z, sum are collinear \(rank 3 of 4"):
        fit(frame.assign(sum=frame["x"] + frame["z"]), [*FEATURES, "sum"], "score")


def test_fewer_models_than_terms_and_one_are_refused(frame):
    with pytest.raises(FitError, match="2 features need 4 complete models or more, got 3"):
        fit(frame.head(3), FEATURES, "score")


@pytest.mark.parametrize("column", ["score", "x"])
def test_a_constant_column_is_refused_by_name(frame, column):
    with pytest.raises(FitError, match=f"{column} is the same for all 30 models"):
        fit(frame.assign(**{column: 3.0}), FEATURES, "score")


def test_a_target_made_of_the_features_is_refused(frame):
    with pytest.raises(FitError, match="exact sum of the features"):
        fit(frame.assign(score=2 * frame["x"] - frame["z"]), FEATURES, "score")


def test_a_single_family_is_refused(frame):
    with pytest.raises(FitError, match="all 30 models are of qwen"):
        fit(frame.assign(family="qwen"), FEATURES, "score")


def test_a_feature_that_only_one_model_tells_of_is_refused(frame):
    with pytest.raises(FitError, match="must pass through m4"):
        fit(frame.assign(only=np.eye(30)[4]), [*FEATURES, "only"], "score")


def test_infinite_values_and_no_features_are_refused(frame):
    with pytest.raises(FitError, match="x holds an infinite value"):
        fit(frame.replace({"x": {frame["x"][0]: np.inf}}), FEATURES, "score")
    with pytest.raises(FitError, match="at least one feature, got none"):
        fit(frame, [], "score")
