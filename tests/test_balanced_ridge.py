import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from rm_selection.analysis import balanced_ridge
from rm_selection.analysis.balanced_ridge import FEATURE_SETS, BalancedRidge, leave_family_out
from rm_selection.errors import FitError
from rm_selection.tables import joined


@pytest.fixture
def frame() -> pd.DataFrame:
    return joined("regression")


def reference(frame: pd.DataFrame, columns: list[str], penalty: float, new: pd.DataFrame) -> np.ndarray:
    """scikit-learn's weighted ridge on weighted-standardised features; its penalty counts sum(w) = 1."""
    weights = (1 / frame.groupby("family")["family"].transform("size")).to_numpy(float)
    weights = weights / weights.sum()
    scaler = StandardScaler().fit(frame[columns], sample_weight=weights)
    ridge = Ridge(alpha=penalty).fit(scaler.transform(frame[columns]), frame["score"], sample_weight=weights)
    return ridge.predict(scaler.transform(new[columns]))


def test_the_fit_equals_scikit_learns_weighted_ridge(frame):
    complete = frame.dropna(subset=list(FEATURE_SETS["sizes_olv2"]))
    fit = BalancedRidge.fit(complete)
    ((name, penalty),) = fit.chosen
    expected = reference(complete, list(FEATURE_SETS[name]), penalty, complete)
    np.testing.assert_allclose(fit.predict(complete)["predicted"], expected, rtol=1e-9)


def test_the_choice_is_the_best_of_the_whole_grid_by_family_mean_error(frame, monkeypatch):
    monkeypatch.setattr(balanced_ridge, "PENALTIES", np.array([0.01, 0.3, 3.0]))
    complete = frame.dropna(subset=list(FEATURE_SETS["sizes_olv2"]))
    errors = {}
    for name, penalty in itertools.product(FEATURE_SETS, balanced_ridge.PENALTIES):
        by_family = []
        for family in complete["family"].unique():
            held = complete["family"] == family
            guess = reference(complete[~held], list(FEATURE_SETS[name]), penalty, complete[held])
            by_family.append(np.abs(guess - complete.loc[held, "score"]).mean())
        errors[name, penalty] = np.mean(by_family)
    fit = BalancedRidge.fit(complete)
    assert fit.chosen == (min(errors, key=errors.__getitem__),)


def test_the_mean_of_several_targets_is_the_mean_of_their_predictors(frame):
    parts = ("safety", "reasoning", "chat")
    alone = [BalancedRidge.fit(frame, (name,)) for name in parts]
    together = BalancedRidge.fit(frame, parts)
    assert together.chosen == tuple(chosen for fit in alone for chosen in fit.chosen)
    new = frame.assign(olv2_ifeval=frame["olv2_ifeval"].where(frame["family"] != "qwen"))
    raw = [fit.intercept + fit.normal.fill(new[list(fit.features)].to_numpy(float))[0] @ fit.slopes for fit in alone]
    np.testing.assert_allclose(together.predict(new)["predicted"], np.mean(raw, axis=0).clip(0, 100), rtol=1e-10)


def test_every_family_counts_the_same(frame):
    """Repeating all models of one family changes nothing."""
    complete = frame.dropna(subset=list(FEATURE_SETS["sizes_olv2"]))
    twice = pd.concat([complete, complete[complete["family"] == "phi"]], ignore_index=True)
    once, repeated = BalancedRidge.fit(complete), BalancedRidge.fit(twice)
    assert repeated.chosen == once.chosen
    np.testing.assert_allclose(repeated.slopes, once.slopes)


def test_held_out_predictions_do_not_depend_on_the_held_out_scores(frame):
    changed = frame.copy()
    changed.loc[changed["family"] == "qwen", "score"] = 10.0
    qwen = (frame["family"] == "qwen").to_numpy()
    before, after = leave_family_out(frame), leave_family_out(changed)
    np.testing.assert_array_equal(before["predicted"][qwen], after["predicted"][qwen])
    assert (before["predicted"][~qwen] != after["predicted"][~qwen]).any()


def test_predictions_do_not_depend_on_the_order_of_rows(frame):
    shuffled = frame.sample(frac=1, random_state=0)
    there = leave_family_out(shuffled).loc[frame.index, "predicted"]
    np.testing.assert_allclose(there, leave_family_out(frame)["predicted"], rtol=1e-10)


def test_what_lies_outside_the_fitted_range_is_named_with_its_reach(frame):
    fit = BalancedRidge.fit(frame)
    large = frame.iloc[[0]].assign(params_b=20.0, log_params_b=np.log(20.0))
    prediction = fit.predict(large).iloc[0]
    beyond = np.array([20.0 - 10.3, np.log(20.0) - np.log(10.3)])
    assert prediction["outside"] == "params_b log_params_b"
    assert prediction["reach"] == pytest.approx(abs(fit.slopes[:2] @ beyond))


def test_filled_features_are_named_and_make_the_prediction_less_sure(frame):
    fit = BalancedRidge.fit(frame)
    gap = frame.iloc[[0]].assign(olv2_ifeval=np.nan)
    prediction = fit.predict(gap).iloc[0]
    assert prediction["imputed"] == "olv2_ifeval"
    assert prediction["imputation_sd"] > 0
    assert fit.predict(frame.iloc[[0]]).iloc[0]["imputation_sd"] == 0


def test_a_constant_feature_is_no_harm(frame):
    flat = frame.assign(olv2_gpqa=5.0)
    assert np.isfinite(BalancedRidge.fit(flat).predict(flat)["predicted"]).all()


def test_one_family_is_refused(frame):
    with pytest.raises(FitError, match="1 family is too few"):
        BalancedRidge.fit(frame[frame["family"] == "phi"])


def test_a_missing_score_is_refused_by_name(frame):
    with pytest.raises(FitError, match="score is missing for google/gemma-2-9b-it"):
        BalancedRidge.fit(frame.assign(score=frame["score"].where(frame["model"] != "google/gemma-2-9b-it")))


def test_a_predictor_may_choose_from_other_feature_sets(frame):
    sets = {"two": ("log_params_b", "olv2_bbh"), "one": ("olv2_bbh",)}
    fit = BalancedRidge.fit(frame, feature_sets=sets)
    assert fit.features == ("log_params_b", "olv2_bbh")
    assert fit.chosen[0][0] in sets
    alone = BalancedRidge.fit(frame, feature_sets={"one": sets["one"]})
    expected = reference(frame, ["olv2_bbh"], alone.chosen[0][1], frame)
    np.testing.assert_allclose(alone.predict(frame)["predicted"], expected.clip(0, 100), atol=1e-8)
