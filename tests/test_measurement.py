import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rm_selection.analysis.measurement import category_errors, normal_interval, standard_error, total_error
from rm_selection.errors import FitError
from rm_selection.settings import CATEGORIES


def row(*accuracies: float) -> pd.Series:
    return pd.Series(dict(zip(CATEGORIES, accuracies, strict=True)))


def test_a_category_has_the_binomial_error_of_its_pairs():
    errors = category_errors(row(90, 50, 80, 75))
    assert errors[:3] == pytest.approx(
        [100 * (0.09 / 358) ** 0.5, 100 * (0.25 / 456) ** 0.5, 100 * (0.16 / 740) ** 0.5]
    )


def test_reasoning_has_the_error_of_the_mean_of_two_halves_in_simulation():
    rng = np.random.default_rng(0)
    drawn = 50 * (rng.binomial(447, 0.8, 100_000) / 447 + rng.binomial(984, 0.8, 100_000) / 984)
    assert category_errors(row(90, 50, 80, 80))[3] == pytest.approx(drawn.std(), rel=0.01)


def test_the_overall_error_is_that_of_the_mean_of_four():
    errors = category_errors(row(90, 50, 80, 75))
    assert standard_error(row(90, 50, 80, 75)) == pytest.approx((errors**2).sum() ** 0.5 / 4)


def test_the_overall_half_width_is_what_the_leaderboard_shows():
    # 95% half-width of RewardBench v1 as bootstrapped elsewhere: 1.4 points overall and 4.2 on Chat Hard
    scores = row(95, 70, 83, 82)
    assert 1.96 * standard_error(scores) == pytest.approx(1.4, abs=0.15)
    assert 1.96 * category_errors(scores)[1] == pytest.approx(4.2, abs=0.1)


def test_a_frame_gives_one_error_a_row():
    frame = pd.DataFrame([row(90, 50, 80, 75), row(95, 70, 83, 82)])
    alone = [float(standard_error(frame.iloc[place])) for place in range(2)]
    assert standard_error(frame) == pytest.approx(alone)


def test_a_difference_of_two_perfect_runs_still_varies_by_one_point():
    perfect = total_error(row(100, 100, 100, 100))
    assert np.hypot(perfect, perfect) == pytest.approx(1.0)


def test_the_interval_of_a_normal_estimate_is_ninety_percent():
    assert normal_interval(10.0, 2.0) == pytest.approx((10 - 2 * 1.644854, 10 + 2 * 1.644854))


@given(st.lists(st.floats(0, 100), min_size=4, max_size=4))
def test_errors_are_never_negative_nor_above_those_of_a_coin(accuracies):
    assert (category_errors(row(*accuracies)) >= 0).all()
    assert standard_error(row(*accuracies)) <= standard_error(row(50, 50, 50, 50)) + 1e-12


def test_an_accuracy_outside_its_range_is_refused():
    with pytest.raises(FitError, match="101 has no standard error; accuracies are from 0 to 100"):
        standard_error(row(90, 101, 80, 75))
