"""Time and cost left, against sums done by hand."""

from pathlib import Path

import pytest

from rm_selection.cell_states import DONE, FAILED, NOT_BEGUN, RUNNING, STOPPED, WAITING, Cell
from rm_selection.forecast import devices, forecast

NOW = 10_000.0


def cell(state: str, base: str = "a", what: str = "regression", command: str = "train", **known: object) -> Cell:
    return Cell(Path(base), state, command, base, what, **known)


def test_a_waiting_cell_takes_the_median_of_its_base_and_objective():
    done = [cell(DONE, seconds=seconds) for seconds in (100.0, 120.0, 500.0)]
    found = forecast([*done, cell(DONE, what="bradley_terry", seconds=9.0), cell(WAITING)], NOW)
    assert found.seconds == 120
    assert found.left == pytest.approx(120 / 3600)
    assert found.spent == pytest.approx((100 + 120 + 500 + 9) / 3600)
    assert (found.bases, found.unknown) == ({"the same base": 1}, 0)


def test_another_base_takes_what_the_nearest_in_size_did_in_proportion():
    known = [cell(DONE, "small", seconds=100.0, params_b=1.0), cell(DONE, "large", seconds=900.0, params_b=8.0)]
    found = forecast([*known, cell(WAITING, "medium", params_b=6.0)], NOW)
    assert found.seconds == pytest.approx(900 * 6 / 8)  # 6 is nearer to 8 than to 1 in ratio
    assert found.bases == {"the base nearest in size": 1}


def test_the_other_objective_tells_where_nothing_else_does_and_another_feature_never():
    found = forecast([cell(DONE, what="bradley_terry", seconds=50.0), cell(WAITING)], NOW)
    assert found.seconds == 50
    features = [cell(DONE, what="probe", command="measure", seconds=50.0), cell(WAITING, what="b", command="measure")]
    assert forecast(features, NOW).seconds is None


def test_work_is_shared_by_as_many_as_run_now():
    """Two run, 30 and 60 s into 100 s; four wait: 70 + 40 + 400 = 510 s of work, two at a time."""
    running = [cell(RUNNING, began=NOW - 30), cell(RUNNING, began=NOW - 60)]
    found = forecast([cell(DONE, seconds=100.0), *running, *[cell(WAITING)] * 4], NOW)
    assert (found.seconds, found.at_once) == (255, 2)
    assert found.left == pytest.approx(510 / 3600)
    assert found.spent == pytest.approx((100 + 30 + 60) / 3600)


def test_the_end_comes_no_earlier_than_that_of_the_longest_cell():
    running = [cell(RUNNING, began=NOW), *[cell(RUNNING, "b", began=NOW)] * 3]
    done = [cell(DONE, seconds=100.0), cell(DONE, "b", seconds=1.0)]
    assert forecast([*done, *running], NOW).seconds == 100


def test_a_cell_that_takes_longer_than_expected_has_nothing_left():
    assert forecast([cell(DONE, seconds=10.0), cell(RUNNING, began=NOW - 60)], NOW).seconds == 0


def test_what_nothing_finished_tells_of_is_unknown_and_counted():
    found = forecast([cell(WAITING), cell(RUNNING, began=NOW - 36)], NOW)
    assert (found.seconds, found.left, found.unknown) == (None, None, 2)
    assert found.spent == pytest.approx(0.01)
    some = forecast([cell(DONE, seconds=7.0), cell(WAITING), cell(WAITING, "unsized")], NOW)
    assert (some.seconds, some.unknown) == (7, 1)


def test_a_cell_spread_over_four_devices_costs_four_times_its_time():
    spread = cell(DONE, seconds=3600.0, device="4 x NVIDIA H200")
    found = forecast([spread, cell(RUNNING, began=NOW - 900), cell(WAITING)], NOW)
    assert found.spent == pytest.approx(4 + 4 * 0.25)
    assert found.left == pytest.approx(4 * 0.75 + 4)


def test_a_failed_cell_costs_the_time_it_was_locked():
    assert forecast([cell(FAILED, began=100.0, ended=3700.0)], NOW).spent == pytest.approx(1)


def test_where_nothing_runs_what_is_left_is_what_the_same_command_goes_on_with():
    cells = [cell(DONE, seconds=10.0), cell(STOPPED), cell(NOT_BEGUN), cell(FAILED)]
    found = forecast(cells, NOW)
    assert (found.seconds, found.at_once) == (20, 0)
    assert forecast([cell(DONE, seconds=10.0)], NOW).seconds == 0


@pytest.mark.parametrize(("name", "count"), [("", 1), ("cpu", 1), ("NVIDIA H200", 1), ("16 x cpu", 16)])
def test_devices_are_counted_by_their_name_in_the_record(name, count):
    assert devices(name) == count
