"""What is believed of final scores, against conditioning by hand and by simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rm_selection.analysis.belief import believe, foreseen, rise
from rm_selection.analysis.calibration import WIDE, Calibration, calibrate

NAN = float("nan")


def told(slope=(1.0,), errors=((4.0,),), offset_sd=(0.0,), names=("score",), spread=6.0) -> Calibration:
    zeros = np.zeros(len(names))
    return Calibration(
        names, zeros, np.array(offset_sd), np.array(slope), np.array(errors, dtype=float), 70.0, WIDE, spread
    )


def test_nothing_known_is_the_mean_of_other_studies_with_an_unknown_level():
    belief = believe(told(), np.full((2, 1), NAN))
    assert belief.mean.tolist() == [70, 70]
    np.testing.assert_allclose(belief.cov, [[36 + WIDE**2, WIDE**2], [WIDE**2, 36 + WIDE**2]])


def test_one_score_moves_its_base_most_and_the_level_of_all():
    """By hand: one observation of variance 136 + 4 shifts its own base by 136/140 and the other by 100/140."""
    belief = believe(told(), np.array([[84.0], [NAN]]))
    np.testing.assert_allclose(belief.mean, [70 + 14 * 136 / 140, 70 + 14 * 100 / 140])
    np.testing.assert_allclose(np.diag(belief.cov), [136 - 136**2 / 140, 136 - 100**2 / 140])


def test_a_figure_whose_level_is_unknown_only_tells_bases_apart():
    names, errors = ("probe", "score"), np.diag([9.0, 4.0])
    one = told((1.0, 1.0), errors, (1e4, 0.0), names)
    low, high = (believe(one, np.array([[50.0 + shift, NAN], [60.0 + shift, NAN]])) for shift in (0.0, 500.0))
    np.testing.assert_allclose(low.mean, high.mean, atol=0.1)
    assert low.mean[1] - low.mean[0] == pytest.approx(10 * 36 / (36 + 9), rel=1e-3)


def test_the_belief_is_that_of_the_normal_distribution_it_is_drawn_from():
    """Drawn worlds that agree with what is known, to a tolerance, have the mean and spread that is believed."""
    rng = np.random.default_rng(0)
    errors = np.array([[9.0, 3.0], [3.0, 4.0]])
    cal = told((1.5, 1.0), errors, (2.0, 0.0), ("probe", "score"), spread=3.0)
    n = 2_000_000
    level, offset = rng.normal(70, WIDE, n), rng.normal(0, 2, n)
    scores = level[:, None] + rng.normal(0, 3, (n, 2))
    e = rng.multivariate_normal([0, 0], errors, n)
    kept = (np.abs(1.5 * scores[:, 0] + offset + e[:, 0] - 110) < 0.5) & (np.abs(scores[:, 0] + e[:, 1] - 72) < 0.5)
    belief = believe(cal, np.array([[110.0, 72.0], [NAN, NAN]]))
    np.testing.assert_allclose(belief.mean, scores[kept].mean(axis=0), atol=0.15)
    np.testing.assert_allclose(belief.sd, scores[kept].std(axis=0), atol=0.15)


@given(st.lists(st.floats(40, 95), min_size=2, max_size=5), st.integers(0, 4))
def test_knowing_more_never_makes_less_sure(scores, hidden):
    known = np.array(scores)[:, None]
    fewer = known.copy()
    fewer[hidden % len(known)] = NAN
    assert (believe(told(), known).sd <= believe(told(), fewer).sd + 1e-9).all()


def best_after(belief, measured) -> float:
    """What the best expected score is expected to be, by many drawn values of the figures."""
    normal = np.random.default_rng(0).standard_normal((100_000, max(len(measured), 1)))
    return float(rise(belief, belief.mean[None], measured, normal[None])[0])


def test_what_one_figure_is_expected_to_save_is_the_closed_form_of_two_bases():
    """Two bases a apart, of which one figure moves the difference by s: s phi(a/s) - a Phi(-a/s)."""
    from scipy.stats import norm

    belief = believe(told(), np.array([[80.0], [NAN]]))
    moved = (belief.cross[0, 1] - belief.cross[1, 1]) / np.sqrt(belief.figures[1, 1])
    apart, s = abs(belief.mean[0] - belief.mean[1]), abs(moved)
    expected = s * norm.pdf(apart / s) - apart * norm.cdf(-apart / s)
    assert best_after(belief, [1]) - belief.mean.max() == pytest.approx(expected, rel=0.05)


def test_nothing_measured_saves_nothing():
    belief = believe(told(), np.array([[80.0], [NAN]]))
    assert best_after(belief, []) == belief.mean.max()


def test_probes_tell_who_is_best_together_and_nothing_alone():
    cal = told((1.0, 1.0), np.diag([9.0, 4.0]), (1e4, 0.0), ("probe", "score"))
    belief = believe(cal, np.full((3, 2), NAN))
    assert best_after(belief, [0]) - 70 < 0.05
    assert best_after(belief, [0, 2, 4]) - 70 > 3  # of 0.85 x the spread of 6, times what a probe tells of it


def test_what_is_foreseen_is_what_is_believed_once_the_values_are_known():
    cal = told((1.5, 1.0), np.array([[9.0, 3.0], [3.0, 4.0]]), (2.0, 0.0), ("probe", "score"))
    known = np.array([[100.0, NAN], [NAN, 75.0], [NAN, NAN]])
    before = believe(cal, known)
    moves, after = foreseen(before, [2, 5])  # the second's probe and the third's score
    z = np.array([0.7, -1.1])
    root = np.linalg.cholesky(before.figures[np.ix_([2, 5], [2, 5])])
    known[1, 0], known[2, 1] = before.expected[[2, 5]] + root @ z
    then = believe(cal, known)
    np.testing.assert_allclose(before.mean + z @ moves, then.mean, atol=1e-4)
    np.testing.assert_allclose(after.cov, then.cov, atol=1e-4)
    np.testing.assert_allclose(after.cross, then.cross, atol=1e-4)
    np.testing.assert_allclose(after.figures, then.figures, atol=1e-4)


def worlds(count: int, slope: float, error: float, seed_sd: float, rng: np.random.Generator) -> pd.DataFrame:
    """Trainings of bases of four families, two seeds each, whose probe is slope x score + a level + error."""
    rows = []
    for study in range(count):
        level = rng.normal(0, 5)
        for model in range(16):
            score = rng.normal(70, 8)
            probe = slope * score + level + rng.normal(0, error)
            seeds = [{"score": score + rng.normal(0, seed_sd)} for _ in range(2)]
            facts = {"study": f"w{study}", "model": f"m{model}", "family": f"f{model % 4}", "probe": probe}
            rows += [facts | one for one in seeds]
    return pd.DataFrame(rows)


def test_a_calibration_finds_what_the_studies_were_made_with():
    found = calibrate(worlds(60, 1.4, 4.0, 2.0, np.random.default_rng(0)), ["probe"])
    assert found.figures == ("probe", "score")
    assert found.slope[0] == pytest.approx(1.4, abs=0.08)
    assert np.sqrt(found.errors[0, 0]) == pytest.approx(4.0, rel=0.2)
    assert found.seed_sd == pytest.approx(2.0, rel=0.1)
    assert found.spread == pytest.approx(8.0, rel=0.1)
    assert found.offset_sd[0] == pytest.approx(5.0, rel=0.3)


def test_errors_are_those_on_families_left_out():
    """A family that its probe overrates counts with its whole error, as for a family nobody has trained yet."""
    one = worlds(30, 1.0, 0.5, 1.0, np.random.default_rng(1))
    one.loc[one["family"] == "f0", "probe"] += 12
    found = calibrate(one, ["probe"])
    within = np.sqrt(found.errors[0, 0])
    assert within > 6  # 12 for a quarter of the bases, 4 for the others against a level that holds it


def test_the_level_of_one_study_is_taken_as_unknown():
    assert calibrate(worlds(1, 1.0, 3.0, 1.0, np.random.default_rng(2)), ["probe"]).offset_sd[0] == WIDE


def test_a_figure_that_some_bases_lack_is_learnt_from_the_others():
    table = worlds(40, 1.0, 3.0, 1.0, np.random.default_rng(3))
    table.loc[table["model"].isin(["m1", "m2"]), "probe"] = NAN
    assert calibrate(table, ["probe"]).slope[0] == pytest.approx(1.0, abs=0.08)


def test_a_figure_can_be_left_out():
    cal = told((1.5, 1.0), np.diag([9.0, 4.0]), (2.0, 0.0), ("probe", "score"))
    assert cal.without("probe").figures == ("score",)
    assert cal.without("probe").errors.tolist() == [[4.0]]
