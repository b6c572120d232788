"""A study of one's own whose truth is known: tables, claims, ranking and report."""

from dataclasses import replace
from pathlib import Path

import made_study
import numpy as np
import pandas as pd
import pytest
from made_study import command

from rm_selection import recommend, regress, report, study_tables
from rm_selection.analysis import equal_cost, measured_frame, predictor
from rm_selection.analysis.span import span
from rm_selection.gathered import gathered


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    made_study.study(folder / "mine")
    assert command(regress.main, folder, "resamples=100", "jobs=1") == 0
    return folder


@pytest.fixture(scope="module")
def tables(output) -> dict[str, pd.DataFrame]:
    return {path.stem: pd.read_csv(path) for path in (output / "mine" / "tables").glob("*.csv")}


def test_scores_are_means_over_seeds_with_the_error_of_pairs_and_seeds(tables):
    runs, scores = tables["runs"], tables["scores"]
    own = runs.query("model == 'base03@pretrained' and objective == 'regression'")
    row = scores.query("model == 'base03@pretrained' and objective == 'regression'").iloc[0]
    assert row["score"] == pytest.approx(own["score"].mean())
    assert row["seeds"] == 2
    pooled = np.sqrt((runs.query("objective == 'regression'").groupby("model")["score"].std() ** 2).mean())
    pairs = 6 / (2 * 1.6448536)
    assert (row["high"] - row["low"]) / (2 * 1.6448536) == pytest.approx(np.hypot(pairs, pooled / np.sqrt(2)))


def test_the_truth_of_the_study_is_found(tables):
    claims = tables["claims"].set_index("claim")
    assert claims.loc[["C1", "C2", "C7", "P1", "P3"], "reproduced"].tolist() == ["yes"] * 5
    assert claims.loc["C5", "reproduced"] == "not testable"
    assert claims.loc["C7", "found"].startswith("16 of 16, by 6.")
    spearman = tables["correlation"].query("objective == 'both' and target == 'score'").set_index("feature")["spearman"]
    assert spearman["probe.accuracy"] > 0.8
    assert abs(spearman["benchmarks.facts"]) < 0.6


def test_every_feature_set_is_a_row_of_the_predictors_under_each_validation(tables):
    rows = tables["predictor"].query("objective == 'regression'")
    sets = {"size", "benchmarks", "presence", "probe", "benchmarks_presence", "benchmarks_probe", "all"}
    for validation in predictor.VALIDATIONS:
        assert sets <= set(rows[rows["validation"] == validation]["predictor"])
    seconds = rows.query("validation == 'leave_family_out'").set_index("predictor")["feature_seconds"]
    assert seconds[["size", "probe", "benchmarks_probe", "all"]].tolist() == pytest.approx([0, 0.3, 6.3, 8.3])


def test_the_mean_of_two_predictors_is_their_mean(tables):
    rows = tables["predictions"].query("validation == 'leave_family_out' and objective == 'regression'")
    table = rows.pivot(index="model", columns="predictor", values="predicted")
    mean = table[["benchmarks", "probe"]].mean(axis=1)
    np.testing.assert_allclose(table["benchmarks_probe_averaged"], mean, rtol=1e-12)


def test_all_that_was_computed_is_told_and_nothing_is_missing(tables):
    assert tables["notes"].empty
    expected = {"intervals", "coverage", "coefficients", "costs", "span", "factors", "objectives", "features"}
    assert expected <= set(tables)


def test_distances_of_every_two_bases_stand_in_a_table_and_a_figure(output, tables):
    found = tables["distances"]
    assert len(found) == 2 * 16 * 15 / 2
    assert found["n"].unique().tolist() == [30]
    assert found["distance"].between(0, 1).all()
    assert (output / "mine" / "figures" / "distances.svg").exists()
    assert command(report.main, output) == 0
    assert "How alike the bases see the same text" in (output / "mine" / "report.html").read_text()


def test_the_family_rule_is_a_choice(output):
    study = study_tables.study(gathered(output / "mine"))
    study = replace(study, features=study.features.assign(tokens_t=1.0))
    shared = measured_frame.sharing_presence(study).features
    largest = study.features.sort_values("params_b").groupby("family")["presence.wiki"].last()
    assert shared["presence.wiki"].tolist() == shared["family"].map(largest).tolist()
    assert shared["probe.accuracy"].tolist() == study.features["probe.accuracy"].tolist()
    for main in (regress.main, recommend.main):
        assert command(main, output, "family_rule=true", *(["resamples=100", "jobs=1"] * (main is regress.main))) == 0


def test_the_family_rule_is_refused_where_there_are_no_presence_scores(tmp_path, capsys):
    assert command(regress.main, tmp_path, "study=published", "family_rule=true") == 2
    assert "give false: the shipped figures hold no presence scores" in capsys.readouterr().err


def test_the_ranking_puts_the_best_measured_base_first(output, tables):
    assert command(recommend.main, output) == 0
    ranked = pd.read_csv(output / "mine" / "tables" / "recommendation.csv")
    best = tables["scores"].query("objective == 'regression'").sort_values("score").iloc[-1]
    assert ranked["model"].iloc[0] == best["model"]
    assert set(ranked["basis"]) == {"measured"}
    assert ranked.set_index("model").loc["base04@pretrained", "train_gpu_hours"] == pytest.approx(14 / 3600)


def test_the_report_of_the_study_speaks_of_it_and_not_of_the_published_one(output):
    assert command(report.main, output) == 0
    text = (output / "mine" / "report.html").read_text()
    assert "points from 0 to 100 on held_out" in text
    assert "These bases, this data." in text
    assert "HelpSteer2" not in text
    assert "A6000 GPU hours" not in text


def test_a_base_that_was_only_measured_is_predicted(tmp_path):
    made_study.study(tmp_path / "mine", objectives=("regression",))
    for record in (tmp_path / "mine" / "runs").glob("base15*/run.json"):
        record.unlink()
    assert command(recommend.main, tmp_path) == 0
    ranked = pd.read_csv(tmp_path / "mine" / "tables" / "recommendation.csv").set_index("model")
    row = ranked.loc["base15@pretrained"]
    assert row["basis"].startswith("predicted")
    assert row["low"] < 66 + made_study.skill(16)[15] < row["high"]
    assert np.isnan(row["train_gpu_hours"])


def test_more_seeds_are_proposed_for_those_alone_that_are_tied_with_the_first(tmp_path, capsys):
    for place, scores in enumerate([(71.0, 71.6), (70.9, 71.5), (60.0, 60.6), (50.0, 50.6)]):
        for seed, score in enumerate(scores, 1):
            made_study.write(tmp_path / "mine", made_study.trained(place, "regression", seed, score))
    assert command(recommend.main, tmp_path) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Tied with base00@pretrained, for all that seeds and pairs tell: base01@pretrained. More seeds" in out
    assert "for these alone: the same training with base=base00,base01 seed=3." in out
    made_study.write(tmp_path / "mine", made_study.trained(1, "regression", 1, 55.0))
    made_study.write(tmp_path / "mine", made_study.trained(1, "regression", 2, 55.6))
    assert command(recommend.main, tmp_path) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "No other measured checkpoint is within what seeds and pairs explain of base00@pretrained." in out


def test_few_bases_are_ranked_by_their_scores_and_the_rest_is_noted(tmp_path, capsys):
    made_study.study(tmp_path / "mine", count=5, objectives=("regression",))
    (record,) = (tmp_path / "mine" / "runs").glob("base04*s1/run.json")
    record.unlink()
    assert command(regress.main, tmp_path, "resamples=100", "jobs=1") == 0
    assert "note: no table predictor: regression: predictors need 10 trained checkpoints" in capsys.readouterr().out
    for kept in (tmp_path / "mine" / "runs").glob("base04*"):
        (kept / "run.json").unlink(missing_ok=True)
    assert command(recommend.main, tmp_path) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "warning: 1 checkpoints without a reward model are not ranked: predictors need 10 trained" in out
    assert command(report.main, tmp_path) == 0


def test_candidates_of_a_file_are_for_the_published_study(tmp_path, capsys):
    assert command(recommend.main, tmp_path, "candidates=mine.csv") == 2
    assert "study=mine ranks the checkpoints it trained and measured" in capsys.readouterr().err


def test_figures_per_byte_are_no_second_opinion():
    table = pd.DataFrame({"presence.wiki": [1.0, 2, 3], "presence.wiki_per_byte": [0.1, 0.2, 0.3]})
    table = table.assign(params_b=[1.0, 2, 3], log_params_b=[0.0, 0.7, 1.1])
    assert measured_frame.feature_sets(table)["presence"] == ("presence.wiki",)


def test_the_span_is_the_best_less_the_worst_and_luck_is_taken_out():
    frame = pd.DataFrame({"model": list("abc"), "score": [60.0, 70, 75], "error": 3.0, "seed_sd": [1.0, 2, 2]})
    row = span({"regression": frame}).iloc[0]
    assert row[["best_base", "worst_base", "span_points"]].tolist() == ["c", "a", 15]
    assert row["high"] - row["span_points"] == pytest.approx(1.6448536 * np.hypot(3, 3))
    assert 13 < row["span_shrunk"] < 15
    assert row["seed_sd"] == pytest.approx(np.sqrt(3))


def test_the_seed_deviation_of_both_objectives_is_that_of_their_mean():
    runs = {
        name: pd.DataFrame({"model": "a", "seed": [1, 2], "score": scores})
        for name, scores in {"regression": [60.0, 64.0], "bradley_terry": [54.0, 52.0]}.items()
    }
    frame = pd.DataFrame({"model": ["a"], "score": [60.0], "error": [2.0], "seconds": [1.0], "chat": [50.0]})
    frames = {"regression": frame, "bradley_terry": frame.assign(score=53.0, error=4.0)}
    row = measured_frame.mean_of(frames, runs, ["chat"]).iloc[0]
    assert row[["score", "error"]].tolist() == [56.5, 3]
    assert row["seed_sd"] == pytest.approx(np.std([57, 58], ddof=1))


def test_what_is_saved_on_measuring_buys_trainings():
    spent = pd.DataFrame({"model": "a", "what": ["train", "benchmarks", "probe"], "seconds": [10.0, 6.0, 1.0]})
    costs = equal_cost.costs(spent)
    assert costs.set_index("what").loc["probe", "percent_of_training"] == 10
    predictions = pd.concat(
        pd.DataFrame({"predictor": name, "model": list("abcd"), "actual": [4.0, 3, 2, 1], "predicted": [1.0, 2, 3, 4]})
        for name in ("benchmarks", "probe")
    )
    sets = {"benchmarks": ("benchmarks.mmlu",), "probe": ("probe.accuracy", "probe.logme")}
    found = equal_cost.at_equal_cost(predictions, sets, costs)
    assert found["benchmarks"] == {"feature_seconds": 6, "trained": 1, "regret_equal_cost": 3}
    assert found["probe"] == {"feature_seconds": 1, "trained": 3, "regret_equal_cost": 1}


def test_everything_of_a_study_is_read_at_once(output):
    study = study_tables.study(gathered(output / "mine"))
    assert set(study.runs) == {"regression", "bradley_terry"}
    assert len(study.features) == 16
    assert set(study.spent["what"]) == {"train", "benchmarks", "presence", "probe"}
