import numpy as np
import pandas as pd
import pytest

from rm_selection.analysis.gains import gains
from rm_selection.errors import FitError
from rm_selection.settings import CATEGORIES
from rm_selection.tables import published


def tables(*models: tuple[str, str, float, str, float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(name, publisher, billions, released, score); every category has the same score."""
    names = ["model", "publisher", "params_b", "released", "score"]
    frame = pd.DataFrame(list(models), columns=names).assign(generation="llama3", objective="regression")
    scores = frame[["model", "objective", "score"]].assign(**dict.fromkeys(CATEGORIES, frame["score"]))
    return frame[["model", "publisher", "generation", "params_b", "released"]], scores


def test_the_published_gains_are_those_of_the_paper():
    table = gains(published().models, published().scores)
    newest = table.drop_duplicates(["objective", "size_group"])
    assert newest["gain_points"].round(1).tolist() == [10.8, 3.1, 4.9, 14.3, 13.6, 7.4]
    assert table.loc[3, ["default_base", "best_base"]].tolist() == [
        "meta-llama/Meta-Llama-3-8B-Instruct",
        "google/gemma-2-9b-it",
    ]


def test_the_best_of_the_own_size_group_wins_not_a_larger_one():
    table = gains(
        *tables(("small", "Meta", 1, "2024-01", 60), ("rival", "X", 2, "2024-01", 66), ("big", "X", 3, "2024-01", 90))
    )
    assert table[["size_group", "best_base", "gain_points", "gain_percent"]].values.tolist() == [
        ["<3B", "rival", 6, 10]
    ]


def test_three_and_six_billion_open_a_group():
    table = gains(*tables(("three", "Meta", 3, "2024-01", 60), ("six", "Meta", 6, "2024-01", 60)))
    assert table[["size_group", "default_base"]].values.tolist() == [["3-6B", "three"], [">=6B", "six"]]


def test_every_default_of_a_group_has_a_row_the_newest_first():
    table = gains(
        *tables(("old", "Meta", 8, "2024-04", 70), ("new", "Meta", 8, "2024-07", 60), ("best", "X", 9, "2024-01", 80))
    )
    assert table[["default_base", "gain_points"]].values.tolist() == [["new", 20], ["old", 10]]


def test_a_default_that_is_the_best_gains_exactly_nothing():
    table = gains(*tables(("default", "Meta", 8, "2024-04", 70), ("rival", "X", 8, "2024-07", 69)))
    assert table.loc[0, ["gain_points", "low", "high", "gain_shrunk"]].tolist() == [0, 0, 0, 0]


def test_the_interval_joins_both_errors():
    table = gains(*tables(("default", "Meta", 8, "2024-04", 50), ("best", "X", 8, "2024-07", 50 + 1e-9)))
    binomial = 100 * (0.25 * (1 / 358 + 1 / 456 + 1 / 740 + (1 / 984 + 1 / 447) / 4)) ** 0.5 / 4
    assert table.loc[0, "high"] == pytest.approx(1.644854 * (2 * (binomial**2 + 0.5)) ** 0.5, rel=1e-5)


def test_a_clear_winner_is_hardly_shrunk_and_a_winner_among_equals_by_the_luck_of_the_best():
    clear = gains(*tables(("default", "Meta", 8, "2024-04", 50), ("best", "X", 8, "2024-07", 70)))
    assert clear.loc[0, "gain_shrunk"] == pytest.approx(20, abs=0.03)
    equals = [(f"x{i}", "X", 8.0, "2024-07", 50.0 + i * 1e-9) for i in range(4)]
    close = gains(*tables(("default", "Meta", 8, "2024-04", 50.0), *equals)).loc[0]
    error = close["high"] / 1.644854 / 2**0.5
    assert close["gain_shrunk"] == pytest.approx(-1.16296 * error, rel=0.02)  # mean of the largest of five normals


def test_the_same_seed_gives_the_same_table():
    first, second = (gains(published().models, published().scores, draws=500, seed=4) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    assert np.isfinite(first.select_dtypes("number")).all(axis=None)


def test_gains_without_any_default_are_refused():
    with pytest.raises(FitError, match="no scored model has publisher Meta and generation llama3"):
        gains(*tables(("lonely", "X", 8, "2024-04", 70)))
