"""A study of several stages, from its records to tables, claims, figure, ranking and report."""

from pathlib import Path

import made_study
import numpy as np
import pandas as pd
import pytest
from made_study import command

from rm_selection import recommend, regress, report, runs, share

ADDED = {"pretrained": 0.0, "made-sft": 6.0, "made-dpo": 5.0}
PAIRS = 60


def record(place: int, stage: str, objective: str, seed: int, score: float) -> runs.Record:
    made = made_study.trained(place, objective, seed, score)
    known = made["checkpoint"] | {"name": f"base{place:02}@{stage}", "stage": stage}
    return made | {"run_id": f"{known['name']}__pairs__{objective}__s{seed}", "checkpoint": known}


def scored(score: float, rng: np.random.Generator) -> pd.DataFrame:
    right = np.where(rng.random(PAIRS) < score / 100, 1.0, -1.0)
    subsets = ["chat", "chat_hard"] * (PAIRS // 2)
    ids = [f"p{place}" for place in range(PAIRS)]
    frame = {"evaluation": "held_out", "id": ids, "subset": subsets, "reward_chosen": right, "reward_rejected": 0.0}
    return pd.DataFrame(frame)


def write(folder: Path) -> None:
    rng = np.random.default_rng(1)
    for place in range(5):
        for stage, added in ADDED.items():
            for objective in ("regression", "bradley_terry"):
                for seed in (1, 2):
                    score = round(60 + 2 * place + added + rng.normal(0, 0.5), 3)
                    one = record(place, stage, objective, seed, score)
                    made_study.write(folder, one)
                    scored(score, rng).to_parquet(folder / "runs" / one["run_id"] / "scores.parquet")
        change = {"before": 50.0, "after": 60.0, "change": 10.0, "low": 8.0, "high": 12.0, "n": 90, "improved": True}
        known = made_study.checkpoint(place) | {"name": f"base{place:02}@made-sft", "made_from": f"base{place:02}@x"}
        stage = {"status": "finished", "run_id": known["name"], "checkpoint": known, "cost": {"seconds": 9.0}}
        made_study.write(folder, stage | {"improvement": {"metric": "chat_accuracy"} | change}, "stages")


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    write(folder / "mine")
    assert command(regress.main, folder, "resamples=100", "jobs=1") == 0
    return folder


def table(output: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(output / "mine" / "tables" / f"{name}.csv")


def test_the_changes_of_the_stages_are_found_with_pairs_counted(output):
    found = table(output, "stages").query("category == 'score'").set_index(["objective", "model"])
    for objective in ("regression", "bradley_terry"):
        row = found.loc[(objective, "made-sft against pretrained")]
        assert row["low"] < 6 < row["high"]
        assert row["method"].endswith("pairs counted")
        assert row["bases"] == 5
    assert found.index.get_level_values("model").nunique() == 4  # pretrained, sft, dpo against either


def test_the_studys_table_1_lies_beside_ours_in_the_same_columns(output):
    ours, theirs = table(output, "stages"), table(output, "stages_published")
    assert set(theirs.columns) <= set(ours.columns)
    changes = theirs.query("category == 'score' and stage != 'pretrained'")["change_percent"]
    assert changes.round(1).tolist() == [14.1, 11.2, 15.5, 11.9, 10.0]


def test_what_each_made_stage_improved_is_a_table(output):
    made = table(output, "made_stages")
    assert made["improved"].tolist() == ["yes"] * 5
    assert made["metric"].unique() == ["chat_accuracy"]


def test_the_claim_about_stages_is_asked_of_the_study(output):
    claim = table(output, "claims").set_index("claim").loc["C5"]
    assert claim["reproduced"] in ("partly", "yes")
    assert "made-sft against pretrained +" in claim["found"]


def test_the_ranking_says_which_stage_should_carry_the_reward_model(output, capsys):
    assert command(recommend.main, output) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Stage that carries the best reward model, of 5 bases: made-sft for" in said
    assert "Under another objective the best stage is another one for" in said


def test_the_report_shows_figure_and_tables_and_keeps_made_stages_apart(output):
    assert command(report.main, output) == 0
    text = (output / "mine" / "report.html").read_text()
    assert (output / "mine" / "figures" / "stages.svg").is_file()
    assert "made-dpo against made-sft" in text
    assert "were post-trained here from one base under one recipe" in text
    assert "Which stage of a base should carry the reward model" in text


def test_stages_that_others_shared_compare_as_they_do_for_them(output, tmp_path):
    assert command(share.main, output, f"to={tmp_path / 'shared'}") == 0
    assert command(regress.main, tmp_path, f"results={tmp_path / 'shared'}", "resamples=100", "jobs=1") == 0
    for name in ("stages", "stage_choice", "made_stages"):
        pd.testing.assert_frame_equal(table(output, name), table(tmp_path, name), check_exact=True)
