import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, pearsonr, rankdata, spearmanr

from rm_selection.analysis.correlation import adjusted, correlation, partial_spearman, usable_features
from rm_selection.analysis.ranks import weighted_pearson, weighted_spearman
from rm_selection.analysis.resampling import family_weights
from rm_selection.settings import CATEGORIES
from rm_selection.tables import joined

FAMILIES = ["a"] * 4 + ["b"] * 3 + ["c"] * 3 + ["d"] * 2


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    columns = {name: rng.normal(size=12).round(1) for name in ("x", "log_params_b", "score")}
    return pd.DataFrame(columns | {"family": FAMILIES, "flat": 1.0, "score": columns["score"] + columns["x"]})


@pytest.mark.parametrize(("ours", "theirs"), [(weighted_pearson, pearsonr), (weighted_spearman, spearmanr)])
def test_weights_give_what_repeated_rows_give(ours, theirs):
    rng = np.random.default_rng(2)
    x, y = rng.integers(0, 6, 12).astype(float), rng.integers(0, 6, 12).astype(float)  # with ties
    weights = family_weights(FAMILIES, 30, 5)
    for found, drawn in zip(ours(x, y, weights), weights.astype(int), strict=True):
        assert found == pytest.approx(theirs(np.repeat(x, drawn), np.repeat(y, drawn)).statistic)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=3, max_size=15))
def test_unit_weights_give_spearmans_correlation(pairs):
    x, y = np.array(pairs, dtype=float).T
    found = weighted_spearman(x, y, np.ones((1, len(x))))[0]
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(x, y).statistic)


def test_a_resample_in_which_a_feature_is_constant_has_no_correlation():
    x = np.array([0.1, 0.1, 0.1, 7])
    found = weighted_pearson(x, np.arange(4.0), np.array([[1.0, 2, 1, 0], [1, 1, 1, 1]]))
    assert np.isnan(found).tolist() == [True, False]


def test_the_table_holds_scipys_correlations_and_the_bootstrap_interval(frame):
    row = correlation(frame, "regression", ["x"], ["score"], resamples=40, seed=7).iloc[0]
    weights = family_weights(FAMILIES, 40, 7).astype(int)
    loop = [pearsonr(np.repeat(frame["x"], w), np.repeat(frame["score"], w)).statistic for w in weights]
    assert [row["pearson_low"], row["pearson_high"]] == pytest.approx(np.nanquantile(loop, [0.05, 0.95]))
    assert [row["pearson"], row["p_value"]] == pytest.approx([*pearsonr(frame["x"], frame["score"])])
    assert row["spearman"] == pytest.approx(spearmanr(frame["x"], frame["score"]).statistic)


def test_the_p_value_is_that_of_the_studys_t(frame):
    row = correlation(frame, "regression", ["x"], ["score"], resamples=5, seed=7).iloc[0]
    t = abs(row["pearson"]) * (10 / (1 - row["pearson"] ** 2)) ** 0.5
    drawn = np.random.default_rng(0).standard_t(10, 400_000)
    assert (np.abs(drawn) > t).mean() == pytest.approx(row["p_value"], abs=0.003)


def test_a_feature_is_taken_over_the_models_that_have_it(frame):
    frame.loc[[0, 1, 2, 3], "x"] = np.nan
    row = correlation(frame, "regression", ["x"], ["score"], resamples=5, seed=0).iloc[0]
    assert (row["n"], row["n_families"]) == (8, 3)
    assert row["pearson"] == pytest.approx(pearsonr(frame["x"][4:], frame["score"][4:]).statistic)


def test_a_constant_or_absent_feature_is_missing_and_spoils_no_other_p_value(frame):
    frame["absent"] = np.nan
    table = correlation(frame, "regression", ["flat", "absent", "x"], ["score"], resamples=5, seed=0).set_index(
        "feature"
    )
    assert table.loc[["flat", "absent"], ["pearson", "spearman_low", "p_adjusted"]].isna().all(axis=None)
    assert table.loc["x", "p_adjusted"] == table.loc["x", "p_value"]


def test_p_values_are_adjusted_by_benjamini_and_hochberg():
    p_values = pd.Series([0.01, np.nan, 0.04, 0.03])
    assert adjusted(p_values).dropna().tolist() == pytest.approx(false_discovery_control([0.01, 0.04, 0.03]).tolist())
    assert adjusted(pd.Series([np.nan])).isna().all()


def test_the_partial_correlation_is_that_of_residual_ranks():
    x, y, size = np.random.default_rng(3).integers(0, 9, (3, 15)).astype(float)
    design = np.column_stack([np.ones(15), rankdata(size)])
    ranks = np.column_stack([rankdata(x), rankdata(y)])
    left = ranks - design @ np.linalg.lstsq(design, ranks)[0]
    assert partial_spearman(x, y, size) == pytest.approx(pearsonr(*left.T).statistic)


def test_size_has_no_correlation_given_size(frame):
    table = correlation(frame, "regression", ["log_params_b", "x"], ["score"], resamples=5, seed=0)
    assert table["partial_spearman_given_size"].isna().tolist() == [True, False]
    assert np.isnan(partial_spearman(np.arange(5.0), np.array([2.0, 1, 3, 5, 4]), np.arange(5.0) ** 3))


def test_features_that_fewer_than_ten_models_have_are_not_used():
    features = usable_features(joined("regression"))
    assert {"olv2_bbh", "nq", "log_params_b", "log_tokens_t"} < set(features)
    assert not {"toxigen", "triviaqa"} & set(features)


def test_published_correlations_reach_what_the_paper_says():
    frame = joined("regression")
    table = correlation(frame, "regression", usable_features(frame), ["score", *CATEGORIES], resamples=20, seed=0)
    best = table[(table["target"] == "score") & (table["n"] >= 39)].set_index("feature")["pearson"]
    assert best.max() == pytest.approx(0.8, abs=0.05)
    assert len(table) == 5 * table["feature"].nunique()
