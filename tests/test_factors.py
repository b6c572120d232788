import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from rm_selection.analysis import factors as module
from rm_selection.analysis.factors import coordinates, factors, usable_columns
from rm_selection.errors import FitError
from rm_selection.table_rows import OPEN_LLM_V2
from rm_selection.tables import joined

COLUMNS = ["a", "b", "c"]


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    ability = rng.normal(size=30)
    columns = {
        name: 50 + scale * (ability + 0.5 * rng.normal(size=30)) for name, scale in zip("abc", (1, 5, 9), strict=True)
    }
    return pd.DataFrame({"model": [f"m{i}" for i in range(30)], **columns})


def test_a_complete_matrix_gives_scikit_learns_components(frame):
    reference = PCA().fit(StandardScaler().fit_transform(frame[COLUMNS]))
    table = factors(frame, COLUMNS)
    assert table["explained_variance"].tolist() == pytest.approx(reference.explained_variance_ratio_.tolist())
    assert table["cumulative"].iloc[-1] == pytest.approx(1)
    assert (table["imputed_share"] == 0).all()


def test_loadings_are_correlations_with_the_coordinates(frame):
    places = coordinates(frame, COLUMNS)
    for _, row in factors(frame, COLUMNS).iterrows():
        expected = [np.corrcoef(frame[name], places[f"component_{row['component']}"])[0, 1] for name in COLUMNS]
        assert row[COLUMNS].tolist() == pytest.approx(expected)
        assert sum(expected) > 0


def test_coordinates_name_their_models_and_reach_the_explained_variance(frame):
    places = coordinates(frame, COLUMNS)
    assert places["model"].tolist() == frame["model"].tolist()
    variance = places.drop(columns="model").var(ddof=0) / 3
    assert variance.tolist() == pytest.approx(factors(frame, COLUMNS)["explained_variance"].tolist())


def test_units_do_not_matter(frame):
    scaled = frame.assign(b=frame["b"] * 100 - 7)
    pd.testing.assert_frame_equal(factors(scaled, COLUMNS), factors(frame, COLUMNS))


def test_a_missing_score_is_imputed_from_the_others_and_counted(frame):
    frame["b"] = 2 * frame["a"] + 1
    complete = coordinates(frame, COLUMNS)
    frame.loc[3, "b"] = np.nan
    assert coordinates(frame, COLUMNS)["component_1"].tolist() == pytest.approx(
        complete["component_1"].tolist(), abs=0.02
    )
    assert factors(frame, COLUMNS)["imputed_share"].iloc[0] == pytest.approx(1 / 90)


def test_the_published_leaderboards_are_low_dimensional():
    frame = joined("regression")
    table = factors(frame, usable_columns(frame))
    assert table["cumulative"].iloc[4] == pytest.approx(0.96, abs=0.02)  # the paper: 96.8% over 33 benchmarks
    assert table["imputed_share"].iloc[0] == pytest.approx(0.22, abs=0.01)
    pd.testing.assert_frame_equal(table, factors(frame, usable_columns(frame)))


def test_only_leaderboard_columns_that_twenty_models_have_are_used():
    frame = joined("regression")
    frame.loc[:20, "olv2_musr"] = np.nan
    columns = usable_columns(frame)
    assert set(OPEN_LLM_V2) - set(columns) == {"olv2_musr"}
    assert all(name.startswith("olv") for name in columns)


@pytest.mark.parametrize("column", [np.nan, 7.0])
def test_a_constant_or_empty_benchmark_is_refused_by_name(frame, column):
    with pytest.raises(FitError, match="benchmark b is constant or missing"):
        factors(frame.assign(b=column), COLUMNS)


def test_a_single_benchmark_has_no_components(frame):
    with pytest.raises(FitError, match="got 30 models and 1 benchmarks"):
        factors(frame, ["a"])


def test_an_imputation_that_does_not_settle_is_refused(frame, monkeypatch):
    monkeypatch.setattr(module, "MAX_ROUNDS", 1)
    frame.loc[:9, "a"] = frame.loc[10:19, "b"] = np.nan
    with pytest.raises(FitError, match="after 1 rounds"):
        factors(frame, COLUMNS)
