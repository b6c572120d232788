import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import made_study
import pandas as pd
import pytest
from rich.console import Console

from rm_selection import console, evidence, recommend
from rm_selection.settings import CATEGORIES
from rm_selection.table_rows import OPEN_LLM_V2
from rm_selection.tables import candidates, joined, published

DESIGN = [  # of the project's design, with family
    *("rank", "model", "family", "params_b", "licence", "predicted", "low", "high"),
    *("probability_top_1", "probability_top_5", "train_gpu_hours", "basis"),
]
TYPICAL = dict(zip(OPEN_LLM_V2, (25.0, 5.0, 60.0, 15.0, 25.0, 8.0), strict=True))
fitted = functools.cache(evidence.published)  # the same for every run: fitted once an objective


def run(folder: Path, *words: str) -> int:
    """Run the command with its studies in `folder`; the exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["recommend", f"output={folder}", *words])
        patch.setattr(evidence, "published", fitted)
        try:
            recommend.main()
        except SystemExit as left:
            return int(left.code or 0)
    return 0


def ranking(folder: Path, *words: str) -> pd.DataFrame:
    assert run(folder, *words) == 0
    return pd.read_csv(folder / "published" / "tables" / "recommendation.csv")


def file(folder: Path, *rows: dict[str, object]) -> str:
    path = folder / "c.csv"
    pd.DataFrame(list(rows)).to_csv(path, index=False)
    return f"candidates={path}"


@pytest.fixture(scope="module")
def default(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("default")
    ranking(folder)
    return folder / "published"


@pytest.fixture(scope="module")
def ranked(default) -> pd.DataFrame:
    return pd.read_csv(default / "tables" / "recommendation.csv")


def test_the_ranking_is_written_as_csv_parquet_and_json_and_nothing_else(default):
    names = sorted(path.relative_to(default).as_posix() for path in default.rglob("*") if path.is_file())
    assert names == ["recommendation.json", "tables/recommendation.csv", "tables/recommendation.parquet"]


def test_the_ranking_has_the_columns_of_the_design(ranked):
    assert list(ranked.columns) == DESIGN


def test_parquet_holds_what_csv_holds(default, ranked):
    other = pd.read_parquet(default / "tables" / "recommendation.parquet")
    pd.testing.assert_frame_equal(ranked, other, check_dtype=False)


def test_every_shipped_candidate_has_one_rank_best_first(ranked):
    assert ranked["rank"].tolist() == list(range(1, len(ranked) + 1))
    assert ranked["predicted"].is_monotonic_decreasing
    assert sorted(ranked["model"]) == sorted(candidates(None)["model"])


def test_chances_of_all_candidates_add_up(ranked):
    assert ranked["probability_top_1"].sum() == pytest.approx(1)
    assert ranked["probability_top_5"].sum() == pytest.approx(5)
    assert (ranked["probability_top_1"] <= ranked["probability_top_5"]).all()


def test_every_score_lies_in_its_interval_on_the_scale(ranked):
    assert (ranked["low"] <= ranked["predicted"]).all()
    assert (ranked["predicted"] <= ranked["high"]).all()
    assert ranked[["low", "high"]].stack().between(0, 100).all()


def test_models_of_the_study_keep_their_measured_score(ranked):
    measured = ranked[ranked["basis"] == "measured"].set_index("model")["predicted"]
    expected = joined("regression").set_index("model")["score"]
    assert measured.sort_index().to_dict() == expected.sort_index().to_dict()


def test_a_category_ranks_by_its_own_scores_and_the_parts_add_up_to_the_whole(tmp_path, ranked):
    parts = {name: ranking(tmp_path, f"category={name}").set_index("model") for name in CATEGORIES}
    whole = ranked.set_index("model").sort_index()
    safety, measured = parts["safety"], joined("regression").set_index("model")
    own = safety[safety["basis"] == "measured"]["predicted"].sort_index()
    assert own.to_dict() == measured["safety"].sort_index().to_dict()
    mean = sum(part["predicted"].sort_index() for part in parts.values()) / len(parts)
    guessed = whole["basis"].str.startswith("predicted") & ~(sum(part["high"] == 100 for part in parts.values()) > 0)
    assert guessed.sum() > 20
    assert mean[guessed].to_list() == pytest.approx(whole.loc[guessed, "predicted"].to_list())
    record = json.loads((tmp_path / "published" / "recommendation.json").read_text(encoding="utf-8"))
    assert "40 measured by the study (arXiv 2505.10775, RewardBench reasoning)" in record["header"][0]


def test_several_categories_are_their_mean_with_an_error_of_fewer_pairs(tmp_path, ranked):
    both = ranking(tmp_path, "category=[Safety,chat]").set_index("model")
    measured = joined("regression").set_index("model")
    model = "google/gemma-2-9b-it"
    assert both.loc[model, "predicted"] == pytest.approx(measured.loc[model, ["chat", "safety"]].mean())
    pairs = (measured.loc[model, ["chat", "safety"]] / 100).to_numpy(float)
    error = (100**2 * pairs * (1 - pairs) / [358, 740]).sum() ** 0.5 / 2
    half = 1.6449 * (error**2 + 2 / 2) ** 0.5  # a run moves the mean of four by 1 / sqrt(2), that of two by 1
    assert both.loc[model, "high"] - both.loc[model, "predicted"] == pytest.approx(half, rel=1e-3)


def test_the_record_says_how_the_ranking_was_made(default):
    record = json.loads((default / "recommendation.json").read_text(encoding="utf-8"))
    header = " ".join(record["header"])
    assert record["settings"]["objective"] == "regression"
    assert "145 candidates for objective regression: 40 measured" in header
    assert "On 40 models of families it had not seen: mean absolute error" in header
    assert "Size alone would have said" in header


def test_the_same_command_writes_the_same_bytes(tmp_path):
    found = []
    for _ in range(2):
        fitted.cache_clear()
        ranking(tmp_path, "seed=3", "max_params_b=2")
        found.append([path.read_bytes() for path in sorted(tmp_path.rglob("recommendation.*"))])
    assert found[0] == found[1]


def test_the_seed_moves_the_chances_only(tmp_path):
    one, two = (ranking(tmp_path, "max_params_b=8", f"seed={seed}") for seed in (1, 2))
    chances = ["probability_top_1", "probability_top_5"]
    assert not one[chances].equals(two[chances])
    pd.testing.assert_frame_equal(one.drop(columns=chances), two.drop(columns=chances))


def test_all_constraints_hold_at_once(tmp_path):
    words = ("max_params_b=9", "min_params_b=3", "licence=[Apache-2.0,mit]", "exclude_family=Qwen")
    table = ranking(tmp_path, *words)
    assert len(table) > 5
    assert table["params_b"].between(3, 9).all()
    assert set(table["licence"]) == {"apache-2.0", "mit"}
    assert "qwen" not in set(table["family"])


def test_a_size_limit_includes_the_size_itself(tmp_path):
    size = candidates(None).set_index("model").loc["google/gemma-2-9b-it", "params_b"]
    table = ranking(tmp_path, f"max_params_b={size}", f"min_params_b={size}")
    assert "google/gemma-2-9b-it" in set(table["model"])
    assert set(table["params_b"]) == {size}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["max_params_b=0.001"], "no candidate is left: max_params_b=0.001 removes the last 145; loosen it"),
        (["min_params_b=5000"], "no candidate is left: min_params_b=5000.0 removes the last"),
        (["licence=gpl"], "licence=gpl is not known; there are apache-2.0"),
        (["max_params_b=1", "licence=[mrl,deepseek]"], "licence=[mrl,deepseek] removes the last"),
        (["candidates=nope.csv"], "nope.csv does not exist; name a CSV file with a header line"),
        (["category=safety", "study=mine"], "category=safety is not allowed; give null: in a study of your own the"),
        (["objective=dpo"], "objective=dpo is not allowed; give bradley_terry or regression"),
    ],
)
def test_what_cannot_be_ranked_is_one_sentence_and_writes_nothing(tmp_path, capsys, words, said):
    assert run(tmp_path / "out", *words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("model,params_b\na,7B\n", "c.csv, line 2, column params_b: '7B' is not allowed; it holds a size above 0"),
        ("model,params_b\na,7\na,8\n", "c.csv, line 3, column model: a is there already in line 2"),
        ("model,params_b,arc\na,7,1\n", "c.csv, line 1, column arc is unknown; allowed are model, params_b"),
        ("model\na\n", "c.csv, line 1, column params_b is missing; it holds a size"),
        ("", "c.csv is empty; a header line and at least one row are needed"),
    ],
)
def test_a_bad_file_leaves_the_last_ranking_as_it_was(tmp_path, capsys, content, said):
    (tmp_path / "c.csv").write_text(content, encoding="utf-8")
    old = tmp_path / "out" / "published" / "tables" / "recommendation.csv"
    old.parent.mkdir(parents=True)
    old.write_text("old", encoding="utf-8")
    assert run(tmp_path / "out", f"candidates={tmp_path / 'c.csv'}") == 2
    assert said in capsys.readouterr().err
    assert [p.read_text(encoding="utf-8") for p in (tmp_path / "out").rglob("*") if p.is_file()] == ["old"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path, capsys):
    (tmp_path / "taken").touch()
    assert run(tmp_path / "taken") == 2
    said = capsys.readouterr().err
    assert said.endswith("taken/published cannot be written (Not a directory); choose another with output=\n")


def test_bradley_terry_warns_that_nothing_predicts_it(tmp_path, capsys):
    ranking(tmp_path, "objective=bradley_terry")
    shown = " ".join(capsys.readouterr().out.split())
    record = json.loads((tmp_path / "published" / "recommendation.json").read_text(encoding="utf-8"))
    warning = "Nothing known of a base predicts bradley_terry scores of an unseen family"
    assert f"warning: {warning}" in shown
    assert record["warnings"][0].startswith(warning)


def test_measured_models_alone_need_no_warning(tmp_path, capsys):
    rows = published().models.head(3)[["model", "params_b"]].to_dict("records")
    table = ranking(tmp_path, file(tmp_path, *rows), "objective=bradley_terry")
    assert set(table["basis"]) == {"measured"}
    assert "warning" not in capsys.readouterr().out


def test_a_file_of_names_and_sizes_is_enough(tmp_path):
    table = ranking(tmp_path, file(tmp_path, {"model": "new/a", "params_b": 7}, {"model": "new/b", "params_b": 3}))
    assert table["model"].tolist() == ["new/a", "new/b"]
    assert table["probability_top_1"].sum() == pytest.approx(1)


def test_missing_figures_are_marked_and_widen_the_interval(tmp_path):
    full, bare = {"model": "full", "params_b": 7} | TYPICAL, {"model": "bare", "params_b": 7}
    table = ranking(tmp_path, file(tmp_path, full, bare)).set_index("model")
    assert table.loc["full", "basis"] == "predicted"
    assert table.loc["bare", "basis"] == f"predicted; {' '.join(OPEN_LLM_V2)} imputed"
    assert width(table, "bare") > width(table, "full")


def width(table: pd.DataFrame, model: str) -> float:
    return float(table.loc[model, "high"] - table.loc[model, "low"])


def test_a_candidate_outside_the_fitted_range_is_marked_and_less_sure(tmp_path, capsys):
    rows = [{"model": f"m{size}", "params_b": size} | TYPICAL for size in (7, 16, 18)]
    table = ranking(tmp_path, file(tmp_path, *rows)).set_index("model")
    assert table.loc["m7", "basis"] == "predicted"
    assert table.loc["m16", "basis"] == "predicted; params_b log_params_b outside the fitted range"
    assert width(table, "m7") < width(table, "m16") < width(table, "m18")
    shown = " ".join(capsys.readouterr().out.split())
    assert "warning: 2 candidates lie outside the range the predictor was fitted on; their intervals are" in shown


@pytest.mark.parametrize("size", [1e-300, 10_000])
def test_an_absurd_size_gets_an_interval_that_says_nothing(tmp_path, size):
    table = ranking(tmp_path, file(tmp_path, {"model": "absurd", "params_b": size}))
    assert table.loc[0, ["low", "high"]].tolist() == [0, 100]


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "a[/foo]b",
        "[bold]x",
        ":smile:",
        "模型/é",
        "=1+1",
    ],
)
def test_a_name_is_printed_and_written_as_it_is(tmp_path, capsys, name):
    table = ranking(tmp_path, file(tmp_path, {"model": name, "params_b": 7}))
    assert table["model"].tolist() == [f"'{name}" if name.startswith("=") else name]  # no formula in the CSV
    assert name in capsys.readouterr().out.split("with 90% interval", maxsplit=1)[1]


def test_top_limits_what_is_printed_not_what_is_written(tmp_path, capsys):
    table = ranking(tmp_path, "top=2", "min_params_b=8")
    shown = capsys.readouterr().out.split("with 90% interval", maxsplit=1)[1]
    assert [name in shown for name in table["model"].head(3)] == [True, True, False]
    assert len(table) > 2


@pytest.mark.parametrize(
    ("width", "left_out"), [(120, set()), (100, {"licence"}), (80, {"licence", "top 5", "GPU-h", "B"})]
)
def test_a_narrow_terminal_gets_fewer_columns_and_every_figure_whole(ranked, monkeypatch, capsys, width, left_out):
    monkeypatch.setattr(console, "_OUT", Console(width=width, highlight=False))
    console.recommendation(ranked.head(6), [], [], "A6000 hours")
    _, names, *rows = capsys.readouterr().out.strip().splitlines()
    assert {"licence", "top 5", "GPU-h", "B"} - left_out == {
        name for name in ("licence", "top 5", "GPU-h", "B") if f" {name} " in names
    }
    for row, (_, one) in zip(rows, ranked.head(6).iterrows(), strict=False):
        assert f"{one['model']} " in row
        assert f"[{one['low']:.1f}, {one['high']:.1f}] " in row
        assert row.rstrip().endswith("predicted*" if ";" in one["basis"] else one["basis"])
    assert ("GPU-h: A6000 hours" in rows[6]) == ("GPU-h" not in left_out)


def test_a_sweep_ranks_once_per_folder(tmp_path):
    assert run(tmp_path, "-m", f"output={tmp_path}/small,{tmp_path}/large", "top=1") == 0
    found = sorted(path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("recommendation.csv"))
    assert found == ["large", "small"]


def test_the_command_answers_from_any_folder_with_light_imports(tmp_path):
    code = """import sys; from rm_selection.recommend import main; sys.argv = ["recommend", "top=1"]; main()
print("heavy:", *{"torch", "transformers", "sklearn", "scipy.stats", "statsmodels", "matplotlib"} & set(sys.modules))"""
    env = {"PATH": os.environ["PATH"]}  # no HOME, no locale
    words = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(words, check=True, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1].strip() == "heavy:"
    assert (tmp_path / "outputs" / "published" / "tables" / "recommendation.csv").exists()
    assert done.stderr == ""


def test_an_objective_that_the_study_lacks_is_told_with_those_it_has(tmp_path, capsys):
    made_study.study(tmp_path / "mine", count=4, objectives=("bradley_terry",))
    assert made_study.command(recommend.main, tmp_path) == 2
    said = capsys.readouterr().err
    assert "study=mine has no finished run of objective=regression; give objective=bradley_terry" in said
