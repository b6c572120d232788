"""What to buy next, on candidates whose belief is plain."""

from __future__ import annotations

import numpy as np
import pytest

from rm_selection.analysis.belief import believe
from rm_selection.analysis.calibration import Calibration
from rm_selection.next_runs import PROBE, STOPS, Market, Prices, seeds

NAN = float("nan")
FIGURES = (PROBE, "at_25", "at_50", "at_75", "score")


def market(known, probe=0.02, scoring=0.05, training=1.0, errors=(16.0, 25.0, 16.0, 9.0, 4.0)) -> Market:
    """n candidates that differ by 6 points and whose trainings cost the same."""
    names = FIGURES
    cal = seeds(
        Calibration(
            names, np.zeros(5), np.array([10.0] * 4 + [0.0]), np.ones(5), np.diag(np.array(errors)), 70.0, 10.0, 6.0
        )
    )
    known = np.hstack([np.array(known, dtype=float), np.full((len(known), 2), NAN)])
    n, one = len(known), np.ones(len(known))
    prices = Prices(one * probe, {name: one * share * training for name, share in STOPS.items()}, one * scoring)
    assert n == len(known)
    return Market(believe(cal, known), cal.figures, known, prices)


def unknown(n: int) -> list[list[float]]:
    return [[NAN] * 5 for _ in range(n)]


def test_a_cheap_probe_of_all_comes_before_any_training():
    found = market(unknown(6)).best(2.0)
    assert (found.figure, found.candidates) == (PROBE, tuple(range(6)))
    assert found.hours == pytest.approx(0.12)
    assert found.gain > 1


def test_nothing_dearer_than_the_budget_is_bought():
    for hours in (0.05, 0.13, 0.5, 1.1):
        found = market(unknown(6)).best(hours)
        assert found is None or found.hours <= hours


def test_the_leader_or_its_rival_is_trained_before_the_last():
    known = unknown(4)
    for i, probe in enumerate((60.0, 66.0, 72.0, 90.0)):
        known[i][0] = probe
    found = market(known).best(1.2)
    assert found.candidates[0] in (2, 3)


def test_who_is_known_to_be_far_behind_is_not_trained():
    known = [[50.0, NAN, NAN, NAN, 50.0], [80.0, NAN, NAN, NAN, 80.0], [80.0, NAN, NAN, NAN, NAN]]
    found = market(known).best(3.0)
    assert 0 not in found.candidates


def test_a_training_goes_on_from_where_it_stands():
    known = unknown(2)
    for i in range(2):
        known[i][:3] = [70.0, 70.0, 70.0]
    found = market(known).best(0.6)
    assert found.figure in ("at_75", "score")
    assert found.hours <= 0.6


def test_with_all_trained_whole_another_seed_of_the_leaders_is_left():
    known = [[70.0, NAN, NAN, NAN, 70.0], [81.0, NAN, NAN, NAN, 81.0], [80.0, NAN, NAN, NAN, 80.0]]
    found = market(known).best(1.1)
    assert found.figure == "score_2"
    assert found.candidates[0] in (1, 2)
    assert found.hours == pytest.approx(1.05)


def test_the_cheapest_purchase_is_told():
    assert market(unknown(6)).cheapest().hours == pytest.approx(0.12)
    assert market(unknown(6), probe=9.0).cheapest().figure == "at_25"


def test_a_larger_budget_is_expected_to_save_more():
    gains = [market(unknown(6)).best(hours).gain for hours in (0.2, 1.2, 2.4, 4.8)]
    assert gains == sorted(gains)


def test_worth_counts_what_follows():
    found = market(unknown(6)).best(2.4)
    assert found.worth == pytest.approx(found.gain / (found.hours + found.rest))
    assert found.hours + found.rest <= 2.4 + 1e-9


def test_further_seeds_are_scores_of_their_own():
    cal = seeds(Calibration(("score",), np.zeros(1), np.zeros(1), np.ones(1), np.array([[4.0]]), 70.0, 10.0, 6.0), 3)
    assert cal.figures == ("score", "score_2", "score_3")
    np.testing.assert_allclose(cal.errors, 4 * np.eye(3))


def test_a_probe_that_costs_next_to_nothing_comes_before_any_training():
    """With hours for all trainings it saves nothing, and may yet save hours."""
    assert market(unknown(4), probe=0.001).next(40.0).figure == PROBE
    assert market(unknown(4), probe=3.0).next(40.0).figure != PROBE
