import pandas as pd
from page_tables import checkpoints

from rm_selection.analysis.frontier import COLUMNS, frontier, spent


def ranking(*rows):
    frame = pd.DataFrame(rows, columns=["model", "train_gpu_hours", "predicted"])
    return frame.assign(params_b=1.0, low=0.0, high=100.0, basis="measured")


def test_only_what_scores_more_than_all_that_cost_less_is_kept():
    found = frontier(ranking(("dear", 9, 80), ("cheap", 1, 60), ("waste", 5, 59), ("middle", 5, 70), ("twin", 6, 70)))
    assert list(found["model"]) == ["cheap", "middle", "dear"]
    assert list(found["step_points"])[1:] == [10, 10]
    assert pd.isna(found["step_points"].iloc[0])
    assert tuple(found.columns) == COLUMNS


def test_of_equal_cost_the_better_and_of_equals_the_first_by_name_is_kept():
    assert list(frontier(ranking(("b", 1, 60), ("a", 1, 60), ("c", 1, 50)))["model"]) == ["a"]


def test_a_missing_cost_or_score_is_left_out():
    assert list(frontier(ranking(("a", None, 90), ("b", 1, None), ("c", 2, 50)))["model"]) == ["c"]


def test_time_is_summed_over_records_and_counted_once_a_measurement():
    runs = checkpoints()["checkpoint_runs"].assign(seconds=[3600.0, None], device="cpu")
    features = checkpoints()["checkpoint_features"].assign(seconds=1800.0)
    found = spent(runs, features).to_dict("records")
    assert found == [
        {"what": "training, regression", "device": "cpu", "n": 1, "hours": 1.0},
        {"what": "measuring, benchmarks", "device": "cpu", "n": 1, "hours": 0.5},
    ]


def test_nothing_measured_costs_nothing():
    runs = checkpoints()["checkpoint_runs"].assign(seconds=[3600.0, 1800.0], device="cpu")
    none = checkpoints()["checkpoint_features"].iloc[:0]
    assert list(spent(runs, none)["n"]) == [2]
    assert spent(runs.iloc[:0], none).empty
