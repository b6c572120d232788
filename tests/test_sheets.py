import pandas as pd
import pytest
from page_tables import MODELS, checkpoints, study

from rm_selection.sheets import models, sheets, slugs


def sheet(tables, model=MODELS[0]):
    return next(one for one in sheets(tables, slugs(models(tables))) if one.model == model)


def table(view):
    return [[cell.text + cell.interval for cell in row] for row in view.rows]


@pytest.mark.parametrize(
    ("model", "slug"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", "Qwen-Qwen2.5-7B-Instruct"),
        ("tulu3-8b@sft", "tulu3-8b@sft"),
        ("../../etc/passwd", "etc-passwd"),
        ('"><img src=x onerror=alert(1)>', "img-src-x-onerror-alert-1"),
        ("=cmd|' /C calc'!A0", "cmd-C-calc-A0"),
        ("\u6a21\u578b", "checkpoint"),
        ("x" * 300, "x" * 100),
    ],
)
def test_a_name_becomes_a_harmless_address(model, slug):
    assert slugs([model]) == {model: slug}


def test_no_two_addresses_are_alike_even_where_case_does_not_count():
    made = slugs(["a/b", "a b", "A-B", "..", "?"])
    assert list(made.values()) == ["a-b", "a-b-2", "A-B-3", "checkpoint", "checkpoint-2"]


def test_every_model_that_a_table_names_has_a_page():
    tables = {"models": pd.DataFrame({"model": ["a"]}), "checkpoint_features": pd.DataFrame({"model": ["b", "b"]})}
    assert models(tables) == ["a", "b"]


def test_scores_come_first_with_place_ranking_and_held_out_prediction():
    said = sheet(study()).said
    assert said[0] == "Trained and measured, regression: 88.0 points [86.0, 90.0], place 1 of 8."
    assert said[1].startswith("Trained and measured, Bradley-Terry: 88.0 points")
    assert said[2] == (
        "In the ranking: place 1 of 8 with 88.0 points [84.0, 92.0] (measured); the best of all with probability 0.50."
    )
    assert said[3] == (
        "Predicted from other families only, regression: 60.0 points [50.0, 95.0], 28.0 below what was measured."
    )


def test_a_model_that_nobody_trained_is_said_to_be_one():
    assert sheet({"models": pd.DataFrame({"model": ["a"]})}, "a").said == [
        "No reward model of it has been measured here."
    ]


def test_scores_stand_a_column_a_seed_beside_their_mean():
    [view] = sheet(study() | checkpoints()).scores
    assert view.caption == "held_out, regression"
    assert [column.heading for _, column, _ in view.columns] == ["Part", "Mean", "seed 1", "seed 2"]
    assert table(view)[0] == ["overall", "89.5", "89.0[86.0, 92.0]", "90.0[86.0, 92.0]"]


def test_a_feature_stands_with_its_interval_its_place_and_how_it_was_measured():
    [view] = sheet(study() | checkpoints()).features
    shown = dict(zip((name for name, _, _ in view.columns), table(view)[0], strict=True))
    assert shown["value"] == "63.10[60.00, 66.00]"
    assert (shown["place"], shown["how"]) == ("2 of 2", "lm_eval 0.4.13, 0-shot")


def test_a_run_that_failed_keeps_its_reason():
    [view] = sheet(study() | checkpoints()).runs
    assert "out of memory" in table(view)[1]


def test_a_candidate_of_a_file_of_ones_own_is_told_by_the_ranking():
    assert ("Family", "newcomer") in sheet(study(), MODELS[7]).facts
