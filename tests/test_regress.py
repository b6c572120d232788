"""The whole study of published figures, run once with a small grid and few resamples, and looked at."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from rm_selection import regress
from rm_selection.analysis import predictor, published

DESIGN = {  # columns that other tools may rely on
    "gains": "objective size_group default_base default_score best_base best_score gain_points gain_percent low high",
    "correlation": "objective target feature n n_families pearson pearson_low pearson_high spearman spearman_low "
    "spearman_high p_value p_adjusted partial_spearman_given_size",
    "coverage": "objective predictor validation k coverage low high",
    "predictor": "objective feature_set model validation n mae rmse pearson spearman r2 coverage_5_10 regret_1 "
    "regret_3 interval_coverage",
    "predictions": "model objective feature_set predictor validation actual predicted low high",
    "coefficients": "objective feature_set term estimate std_error low high p_value",
    "factors": "component explained_variance cumulative olv2_bbh",
    "stages": "base stage category score change_points change_percent low high p_adjusted",
    "objectives": "model regression bradley_terry difference",
}


def command(folder: Path, *overrides: str) -> None:
    sys.argv = ["regress", f"output={folder}", *overrides]
    regress.main()


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [])
        patch.setattr(predictor, "DEGREES", (1,))  # the whole grid takes half a minute
        command(folder, "resamples=100", "jobs=1")
    return folder / "published"


@pytest.fixture(scope="module")
def tables(study) -> dict[str, pd.DataFrame]:
    return {path.stem: pd.read_csv(path) for path in (study / "tables").glob("*.csv")}


@pytest.mark.parametrize("name", DESIGN)
def test_a_table_has_the_columns_others_rely_on(tables, name):
    assert set(DESIGN[name].split()) <= set(tables[name].columns)


def test_csv_and_parquet_hold_the_same(study, tables):
    for name, frame in tables.items():
        other = pd.read_parquet(study / "tables" / f"{name}.parquet")
        pd.testing.assert_frame_equal(frame, other, check_dtype=False)


def test_the_gains_of_the_study_are_found(tables):
    newest = tables["gains"].drop_duplicates(["objective", "size_group"])["gain_points"]
    assert round(newest.min(), 1) == 3.1
    assert round(newest.max(), 1) == 14.3
    assert (tables["gains"]["size_group"] == ">=6B").sum() == 4


def test_the_stages_of_the_study_are_found(tables):
    changes = tables["stages"].query("category == 'score' and stage != 'pretrained'")["change_percent"]
    assert changes.round(1).tolist() == [14.1, 11.2, 15.5, 11.9, 10.0]


def test_the_recommended_predictor_reaches_its_aim_on_unseen_families(tables):
    rows = tables["predictor"].query("objective == 'regression' and validation == 'leave_family_out'")
    found = rows.set_index("predictor")
    ours = found.loc["balanced_ridge"]
    assert ours["mae"] <= 3.6
    assert ours["spearman"] >= 0.80
    assert ours["coverage_5_10"] >= 0.65
    others = found.loc[["size", "size_tokens", "best_benchmark"]]
    assert (others["mae"] > ours["mae"]).all()
    assert (others["spearman"] < ours["spearman"]).all()


def test_every_claim_is_judged(tables):
    verdicts = tables["claims"].set_index("claim")["reproduced"]
    assert list(verdicts.index) == [f"C{i}" for i in range(1, 9)]
    assert set(verdicts) <= {"yes", "partly", "no", "not testable"}
    assert verdicts[["C1", "C5", "C7"]].tolist() == ["yes"] * 3
    assert verdicts["C6"] == "not testable"


def test_figures_and_summaries_lie_beside_the_tables(study):
    assert {p.stem for p in (study / "summaries").glob("*.txt")} == {"ols_regression", "ols_bradley_terry"}
    assert {p.stem for p in (study / "figures").glob("*.svg")} == {p.stem for p in (study / "figures").glob("*.png")}
    assert {"coverage", "predicted_actual", "coefficients"} <= {p.stem for p in (study / "figures").glob("*.svg")}


def test_nothing_unfinished_is_left(study):
    assert sorted(p.name for p in study.iterdir()) == ["figures", "summaries", "tables"]


def test_a_study_without_runs_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [])
    with pytest.raises(SystemExit) as left:
        command(tmp_path, "study=mine")
    assert left.value.code == 2
    assert "mine has no finished run; train some with python -m rm_selection.train" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_interrupted_run_leaves_the_old_study_whole(study, monkeypatch):
    def interrupted(*_):
        yield "one step"
        raise KeyboardInterrupt

    before = {p: p.read_bytes() for p in study.rglob("*") if p.is_file()}
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr(published, "analyse", interrupted)
    with pytest.raises(SystemExit) as left:
        command(study.parent)
    assert left.value.code == 130
    assert {p: p.read_bytes() for p in study.rglob("*") if p.is_file()} == before
