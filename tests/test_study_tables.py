import json

import made_study
import numpy as np
import pytest

from rm_selection import study_tables
from rm_selection.errors import StudyError
from rm_selection.gathered import gathered

PER_TOKEN = "mean log p a token of the first 2048; vocabulary "


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "mine"


def feature(folder, place, values, how="", feature="presence", suffix=""):
    record = made_study.measured(place, feature, values, 1.0, how=how)
    record["run_id"] += suffix
    made_study.write(folder, record, "features")


def test_a_row_of_runs_is_a_reward_model(folder):
    for seed in (1, 2):
        made_study.write(folder, made_study.trained(0, "regression", seed, 70.0 + seed))
    table = study_tables.runs(gathered(folder), "regression")
    assert table["seed"].tolist() == [1, 2]
    assert table["score"].tolist() == [71, 72]
    assert table[["model", "evaluation", "n", "chat"]].iloc[0].tolist() == ["base00@pretrained", "held_out", 400, 75]
    assert table["low"].iloc[0] == 68


def test_failed_runs_and_models_of_others_are_no_rows(folder):
    made_study.write(folder, made_study.trained(0, "regression", 1, 70.0))
    made_study.write(folder, made_study.trained(1, "regression", 1, 70.0) | {"status": "failed", "reason": "memory"})
    other = made_study.trained(2, "regression", 1, 70.0)
    del other["checkpoint"]
    made_study.write(folder, other)
    assert study_tables.runs(gathered(folder), "regression")["model"].tolist() == ["base00@pretrained"]
    assert study_tables.objectives(gathered(folder)) == ["regression"]


def test_runs_made_in_two_ways_are_refused_with_both_values(folder):
    made_study.write(folder, made_study.trained(0, "regression", 1, 70.0, precision="float32"))
    made_study.write(folder, made_study.trained(1, "regression", 1, 70.0, precision="bf16"))
    with pytest.raises(StudyError, match=r"precision is float32 in base00.* and bf16 in base01"):
        study_tables.runs(gathered(folder), "regression")


def test_an_objective_that_was_not_trained_is_refused_with_what_there_is(folder):
    made_study.write(folder, made_study.trained(0, "regression", 1, 70.0))
    with pytest.raises(StudyError, match="no finished run of objective=bradley_terry; it has regression"):
        study_tables.runs(gathered(folder), "bradley_terry")


def test_several_evaluations_need_a_choice(folder):
    record = made_study.trained(0, "regression", 1, 70.0)
    record["scores"]["other"] = record["scores"]["held_out"] | {"score": 50.0}
    made_study.write(folder, record)
    with pytest.raises(StudyError, match="evaluation=null names none of this study's; give held_out or other"):
        study_tables.runs(gathered(folder), "regression")
    assert study_tables.runs(gathered(folder), "regression", "other")["score"].item() == 50


def test_an_empty_study_says_how_to_fill_it(folder):
    with pytest.raises(StudyError, match=r"no finished run; train some with python -m rm_selection.train"):
        study_tables.objectives(gathered(folder))


def test_a_row_of_features_is_a_checkpoint_and_what_is_missing_stays_missing(folder):
    feature(folder, 0, {"wiki": -3.0, "books": -4.0})
    feature(folder, 1, {"wiki": -2.0})
    feature(folder, 1, {"accuracy": 60.0}, feature="probe")
    table = study_tables.features(gathered(folder)).set_index("model")
    assert list(table.columns[-3:]) == ["presence.books", "presence.wiki", "probe.accuracy"]
    assert table.loc["base01@pretrained", "presence.wiki"] == -2
    assert np.isnan(table.loc["base01@pretrained", "presence.books"])
    assert np.isnan(table.loc["base00@pretrained", "probe.accuracy"])


def test_the_same_figure_twice_is_refused_with_both_records(folder):
    feature(folder, 0, {"wiki": -3.0})
    feature(folder, 0, {"wiki": -3.1}, suffix="-again")
    with pytest.raises(
        StudyError, match=r"presence.wiki of base00@pretrained was measured twice, in .*presence and .*ag"
    ):
        study_tables.features(gathered(folder))


def test_two_harnesses_in_one_column_are_refused_with_both(folder):
    feature(folder, 0, {"mmlu": 60.0}, "lm-eval 0.4.13, 5 shots", "benchmarks")
    feature(folder, 1, {"mmlu": 61.0}, "lm-eval 0.4.3, 0 shots", "benchmarks")
    with pytest.raises(
        StudyError, match=r"'lm-eval 0.4.13, 5 shots' in base00.* and 'lm-eval 0.4.3, 0 shots' in base01"
    ):
        study_tables.features(gathered(folder))


def test_figures_per_token_of_two_vocabularies_share_no_column(folder):
    for place, vocabulary in enumerate(("aa", "bb")):
        feature(folder, place, {"wiki": -3.0}, PER_TOKEN + vocabulary)
        feature(folder, place, {"wiki_per_byte": -0.7}, "a byte", suffix="-bytes")
    columns = list(study_tables.features(gathered(folder)).columns)
    assert "presence.wiki_per_byte" in columns
    assert "presence.wiki" not in columns


def test_costs_are_seconds_by_what_they_bought(folder):
    made_study.write(folder, made_study.trained(2, "regression", 1, 70.0))
    feature(folder, 2, {"accuracy": 60.0}, feature="probe")
    assert study_tables.costs(gathered(folder)).to_numpy().tolist() == [
        ["base02@pretrained", "train", 12.0],
        ["base02@pretrained", "probe", 1.0],
    ]


def test_the_scores_of_documents_are_read_by_checkpoint(folder):
    feature(folder, 0, {"wiki": -3.0})
    made_study.read(folder, 0, {"wiki": -3.0}, documents=4)
    (scores,) = study_tables.documents(gathered(folder)).values()
    assert scores["id"].tolist() == ["wiki-0", "wiki-1", "wiki-2", "wiki-3"]


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_scores_of_documents_that_cannot_be_read_are_named(folder, damage):
    feature(folder, 0, {"wiki": -3.0})
    if damage == "cut":
        (folder / "features" / "base00@pretrained__presence" / "scores.parquet").write_bytes(b"PAR1")
    with pytest.raises(StudyError, match=r"scores\.parquet cannot be read; remove its folder and measure again"):
        study_tables.documents(gathered(folder))


def test_a_damaged_record_is_named(folder):
    feature(folder, 0, {"wiki": -3.0})
    (path,) = folder.rglob("run.json")
    path.write_text(json.dumps({"status": "finished"})[:-3])
    with pytest.raises(ValueError, match=r"run\.json"):
        study_tables.features(gathered(folder))
