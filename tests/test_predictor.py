import numpy as np
import pytest
from sklearn.linear_model import ElasticNet, LinearRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rm_selection.analysis import predictor
from rm_selection.analysis.predictor import ALPHAS, L1_RATIOS, PREDICTORS, Predictor, single_benchmark, validate
from rm_selection.table_rows import OPEN_LLM_V2
from rm_selection.tables import joined

FRAME = joined("regression")
FAST = [p for p in PREDICTORS if p.name not in ("elastic_net", "low_rank")]


def named(name: str) -> Predictor:
    return next(p for p in PREDICTORS if p.name == name)


def test_the_grid_of_the_elastic_net_equals_scikit_learns():
    rng = np.random.default_rng(0)
    Z, Z_new = rng.normal(size=(30, 5)), rng.normal(size=(4, 5))
    y = Z @ rng.normal(size=5) + rng.normal(size=30)
    grid = predictor._grid_predictions(Z, y, Z_new).reshape(4, len(L1_RATIOS), len(ALPHAS))
    for i, ratio in enumerate(L1_RATIOS[1:], start=1):
        for j, alpha in enumerate(ALPHAS):
            expected = ElasticNet(alpha=alpha, l1_ratio=ratio, tol=1e-8, max_iter=100_000).fit(Z, y).predict(Z_new)
            np.testing.assert_allclose(grid[:, i, j], expected, atol=2e-3)


def test_without_an_l1_term_the_closed_form_minimises_the_elastic_nets_objective():
    rng = np.random.default_rng(1)
    Z, y = rng.normal(size=(30, 4)), rng.normal(size=30)
    Zc = Z - Z.mean(axis=0)
    slopes = np.linalg.solve(Zc.T @ Zc / 30 + ALPHAS[0] * np.eye(4), Zc.T @ (y - y.mean()) / 30)
    np.testing.assert_allclose(predictor._grid_predictions(Z, y, Z)[:, 0], Zc @ slopes + y.mean())


def test_size_only_is_ridge_on_size_and_its_logarithm():
    columns = ["params_b", "log_params_b"]
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 3, 21))).fit(FRAME[columns], FRAME["score"])
    result = validate(named("size"), FRAME, "in_sample", seed=0)
    np.testing.assert_allclose(result["predicted"], model.predict(FRAME[columns]))


def test_components_are_nested_least_squares():
    """With all columns used the last fit is least squares on sizes and four components."""
    rows = FRAME.dropna(subset=list(OPEN_LLM_V2))
    Z = StandardScaler().fit_transform(rows[list(OPEN_LLM_V2)])
    scores = Z @ np.linalg.svd(Z, full_matrices=False)[2][:4].T
    X = np.hstack([rows[["params_b", "log_params_b"]], scores])
    expected = LinearRegression().fit(X, rows["score"]).predict(X)
    np.testing.assert_allclose(predictor._component_predictions(rows, rows)[:, 3], expected)


@pytest.mark.parametrize("chosen", FAST, ids=lambda p: p.name)
def test_no_predictor_sees_the_scores_of_the_family_it_predicts(chosen):
    changed = FRAME.assign(score=FRAME["score"].where(FRAME["family"] != "yi", 5.0))
    own = (FRAME["family"] == "yi").to_numpy()
    before = validate(chosen, FRAME, "leave_family_out", seed=0)["predicted"]
    after = validate(chosen, changed, "leave_family_out", seed=0)["predicted"]
    np.testing.assert_array_equal(before[own], after[own])


def test_ten_folds_predict_every_model_once_from_others():
    seen = []

    def note(train, test, seed):
        seen.extend(test["model"])
        assert not set(train["model"]) & set(test["model"])
        return np.zeros(len(test))

    validate(Predictor("note", "none", "none", note), FRAME, "ten_fold", seed=0)
    assert sorted(seen) == sorted(FRAME["model"])


def test_the_best_benchmark_is_chosen_in_the_training_part():
    rows = FRAME.assign(olv2_gpqa=FRAME["score"])  # a perfect benchmark
    result = validate(named("best_benchmark"), rows, "leave_family_out", seed=0)
    assert np.abs(result["predicted"] - result["actual"]).max() < 1.0


def test_a_predictor_of_one_benchmark_is_named_like_it():
    result = validate(single_benchmark("olv2_bbh"), FRAME, "in_sample", seed=0)
    assert set(result["predictor"]) == {"olv2_bbh"}
    assert result["predicted"].corr(FRAME["olv2_bbh"]) == pytest.approx(1)


def test_the_seed_decides_the_folds():
    one = validate(named("size"), FRAME, "ten_fold", seed=1)["predicted"]
    same, other = (validate(named("size"), FRAME, "ten_fold", seed=s)["predicted"] for s in (1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
