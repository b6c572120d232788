import json

import pandas as pd
import pytest
from made_study import measured, trained, write

from rm_selection import sheet_tables
from rm_selection.errors import RunError, StudyError
from rm_selection.published_sheets import shipped
from rm_selection.sheet_tables import LONGER, SHORTER, own
from rm_selection.training_curves import MOST, curves

NAME = "base00@pretrained"


def rows(frame: pd.DataFrame, *columns: str) -> list[tuple[object, ...]]:
    return list(frame[list(columns)].itertuples(index=False, name=None))


def logged(folder, record, steps=4):
    """The record with two learning rates tried, and its log beside it."""
    found = [{"step": step, "validation_loss": 1 / step} for step in (2, 4)]
    trials = [{"rate": rate, "metric": "validation_loss", "evaluations": found} for rate in (1e-5, 5e-6)]
    record["training"] = {"rate": 5e-6, "best_step": 4, "metric": "validation_loss", "value": 0.25, "trials": trials}
    write(folder, record)
    lines = [json.dumps({"step": step, "loss": float(step)}) for step in range(1, steps + 1)]
    (folder / "runs" / record["run_id"] / "log.jsonl").write_text("\n".join([*lines, '{"step": 4, "other": 1}']) + "\n")


def test_scores_are_told_by_part_with_what_length_alone_would_get(tmp_path):
    record = trained(0, "regression", 1, 70.0)
    record["scores"]["held_out"] |= {"length_baseline": 53.0, "units": 400, "subsets": {"math": 61.0}}
    record["scores"]["held_out"]["intervals"]["subsets.math"] = [55.0, 66.0]
    write(tmp_path, record)
    found = own(tmp_path, {})["checkpoint_scores"]
    assert rows(found, "part", "score")[:3] == [("overall", 70), (LONGER, 53.0), (SHORTER, 47.0)]
    assert rows(found, "part", "score")[3:] == [("chat", 74), ("chat_hard", 66), ("math", 61)]
    assert rows(found[found["part"] == "math"], "low", "high") == [(55.0, 66.0)]


def test_where_a_prompt_counts_as_a_whole_the_shorter_answer_has_no_score(tmp_path):
    record = trained(0, "regression", 1, 70.0)
    record["scores"]["held_out"] |= {"length_baseline": 10.0, "units": 100}
    write(tmp_path, record)
    parts = list(own(tmp_path, {})["checkpoint_scores"]["part"])
    assert LONGER in parts
    assert SHORTER not in parts


def test_without_lengths_there_is_no_baseline(tmp_path):
    write(tmp_path, trained(0, "regression", 1, 70.0))
    assert LONGER not in list(own(tmp_path, {})["checkpoint_scores"]["part"])


def test_the_scores_of_a_training_that_was_wanted_in_part_are_none_of_the_checkpoints(tmp_path):
    part = {"status": "partial", "reason": "25% of the steps were wanted"}
    write(tmp_path, trained(0, "regression", 1, 50.0) | part)
    found = own(tmp_path, {})
    assert found["checkpoint_scores"].empty
    assert rows(found["checkpoint_runs"], "status", "reason") == [tuple(part.values())]


@pytest.mark.parametrize(
    "details",
    [
        {"benchmarks": {"sums": {"interval": [1.0, 3.0]}}},
        {"intervals": {"sums": [1.0, 3.0]}},
        {"pairs": {"intervals": {"sums": {"value": 2.0, "low": 1.0, "high": 3.0}}}},
    ],
)
def test_an_interval_is_found_wherever_a_feature_keeps_it(tmp_path, details):
    write(tmp_path, measured(0, "benchmarks", {"sums": 2.0}, 6.0, how="0-shot") | {"details": details}, "features")
    found = own(tmp_path, {})["checkpoint_features"]
    assert rows(found, "feature", "value", "low", "high", "how") == [("benchmarks.sums", 2.0, 1.0, 3.0, "0-shot")]


def test_what_failed_is_told_with_its_reason(tmp_path):
    settings = trained(0, "regression", 1, 0.0)["settings"]
    write(
        tmp_path,
        {"status": "failed", "run_id": f"{NAME}__x", "settings": settings, "reason": "out of memory"},
    )
    broken = {"status": "failed", "run_id": f"{NAME}__probe", "settings": {"feature": {"name": "probe"}}}
    write(tmp_path, broken | {"reason": "no pairs"}, "features")
    found = own(tmp_path, {})
    assert rows(found["checkpoint_runs"], "model", "status", "reason") == [(NAME, "failed", "out of memory")]
    assert rows(found["checkpoint_features"], "model", "how") == [(NAME, "failed: no pairs")]


def test_facts_name_the_weights_and_leave_out_what_is_not_known(tmp_path):
    record = trained(0, "regression", 1, 70.0) | {"inputs": {"checkpoint": "9f86d0"}}
    write(tmp_path, record)
    facts = dict(rows(own(tmp_path, {})["checkpoint_facts"], "fact", "value"))
    assert facts["Size"] == "100 million parameters"
    assert facts["Fingerprint of the weights"] == "9f86d0"
    assert facts["Weights from"] == "somewhere"
    assert "Commit" not in facts


@pytest.mark.parametrize(
    ("billions", "words"),
    [(7.62, "7.62 billion parameters"), (6.46e-5, "64.6 thousand parameters"), (0.9999, "1 billion parameters")],
)
def test_a_size_is_told_in_words(billions, words):
    assert sheet_tables.parameters(billions) == words


def test_runs_that_others_shared_are_told_by_the_tables(tmp_path):
    (tmp_path / "runs").mkdir()
    run = {"run_id": "theirs", "model": "b@sft", "objective": "regression", "evaluation": "held_out", "seed": 1}
    known = {"model": "b@sft", "base": "b", "stage": "sft", "family": "b", "params_b": 1.0, "tokens_t": None}
    tables = {
        "runs": pd.DataFrame([known | run | {"score": 70.0, "low": 68.0, "high": 72.0, "licence": "mit"}]),
        "features": pd.DataFrame([known | {"licence": "mit", "probe.accuracy": 61.0}]),
    }
    found = own(tmp_path, tables)
    assert rows(found["checkpoint_scores"], "model", "part", "score") == [("b@sft", "overall", 70.0)]
    assert rows(found["checkpoint_features"], "feature", "value") == [("probe.accuracy", 61.0)]
    assert ("b@sft", "Records", sheet_tables.NOT_HERE) in rows(found["checkpoint_facts"], "model", "fact", "value")


def test_curves_hold_the_loss_of_the_chosen_rate_and_the_validation_of_all(tmp_path):
    logged(tmp_path, trained(0, "regression", 1, 70.0))
    found = curves(tmp_path)
    losses = found[found["what"] == "loss"]
    assert rows(losses, "step", "value", "rate") == [(step, float(step), 5e-6) for step in (1, 2, 3, 4)]
    tried = found[found["what"] == "validation_loss"]
    assert rows(tried, "rate", "chosen", "step") == [
        (1e-5, False, 2),
        (1e-5, False, 4),
        (5e-6, True, 2),
        (5e-6, True, 4),
    ]


def test_a_long_training_is_averaged_in_groups_of_steps(tmp_path):
    logged(tmp_path, trained(0, "regression", 1, 70.0), steps=10 * MOST)
    losses = curves(tmp_path).query("what == 'loss'")
    assert len(losses) == MOST
    assert rows(losses, "step", "value")[0] == (10, 5.5)


def test_a_run_without_a_log_has_no_curve(tmp_path):
    write(tmp_path, trained(0, "regression", 1, 70.0))
    assert curves(tmp_path).empty


def test_a_damaged_log_is_told_with_the_way_on(tmp_path):
    record = trained(0, "regression", 1, 70.0)
    logged(tmp_path, record)
    (tmp_path / "runs" / record["run_id"] / "log.jsonl").write_text('{"step": 1, "loss"')
    with pytest.raises(StudyError, match=r"is not a training log .*; remove the file to leave its curve out"):
        curves(tmp_path)


def test_a_damaged_record_is_told(tmp_path):
    write(tmp_path, trained(0, "regression", 1, 70.0))
    next(tmp_path.glob("runs/*/run.json")).write_text("{")
    with pytest.raises(RunError, match="is not a record"):
        own(tmp_path, {})


def test_a_shipped_model_is_told_with_sources_and_intervals():
    name = "Qwen/Qwen2.5-7B-Instruct"
    found = shipped([name])
    overall = found["checkpoint_scores"].query("part == 'overall' and objective == 'regression'").iloc[0]
    assert overall["low"] < overall["score"] == 86.5 < overall["high"]
    assert "2505.10775" in overall["source"]
    assert (found["checkpoint_features"]["source"] != "").all()
    assert ("Size", "7.62 billion parameters") in rows(found["checkpoint_facts"], "fact", "value")


def test_a_shipped_candidate_that_was_not_trained_has_figures_and_no_scores():
    found = shipped(["LGAI-EXAONE/EXAONE-3.5-7.8B-Instruct"])
    assert "checkpoint_scores" not in found
    assert len(found["checkpoint_features"]) == 6


def test_an_unknown_model_has_nothing_shipped():
    assert shipped(["nobody/knows"]) == {}
