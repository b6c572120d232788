import shutil

import numpy as np
import pandas as pd
import pytest

from rm_selection import tables
from rm_selection.errors import TableError
from rm_selection.settings import CATEGORIES
from rm_selection.table_rows import BENCHMARKS, OPEN_LLM_V2
from rm_selection.tables import candidates, joined, published

FAMILIES = {"falcon", "gemma", "llama", "mistral", "nemotron", "phi", "qwen", "stablelm", "yi"}


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A copy of the shipped data that may be spoiled."""
    folder = shutil.copytree(tables.DATA, tmp_path / "data")
    monkeypatch.setattr(tables, "DATA", folder)
    published.cache_clear()
    yield folder
    published.cache_clear()


@pytest.fixture
def chosen(tmp_path):
    """The candidates of a file with `content`."""

    def choose(content: str) -> pd.DataFrame:
        path = tmp_path / "c.csv"
        path.write_text(content, encoding="utf-8")
        return candidates(path)

    return choose


def test_the_study_has_forty_models_of_nine_families_and_eighty_scores():
    assert len(published().models) == 40
    assert set(published().models["family"]) == FAMILIES
    assert published().scores["objective"].value_counts().to_dict() == {"regression": 40, "bradley_terry": 40}
    assert set(published().scores["model"]) == set(published().models["model"])
    assert len(published().stages) == 6


@pytest.mark.parametrize("name", ["models", "scores", "stages", "benchmarks", "pool"])
def test_every_row_has_a_source(name):
    assert getattr(published(), name)["source"].str.len().gt(0).all()


@pytest.mark.parametrize("name", ["models", "pool"])
def test_families_and_licences_are_lower_case(name):
    frame = getattr(published(), name)
    assert frame["family"].str.islower().all()
    assert frame["licence"].dropna().str.islower().all()


@pytest.mark.parametrize("name", ["scores", "stages"])
def test_a_score_is_the_mean_of_the_four_categories(name):
    frame = getattr(published(), name)
    assert (frame["score"] - frame[list(CATEGORIES)].mean(axis=1)).abs().max() < 0.06


def test_figures_of_the_paper_stand_as_printed():
    rows = published().scores.set_index(["model", "objective"])["score"]
    assert rows["google/gemma-2-9b-it", "regression"] == 88.1
    assert rows["meta-llama/Meta-Llama-3-8B-Instruct", "bradley_terry"] == 60.9


def test_every_known_benchmark_has_shipped_scores_and_no_other():
    assert set(published().benchmarks["benchmark"]) == set(BENCHMARKS)
    assert len(BENCHMARKS) == len(set(BENCHMARKS)) == 37


def test_the_open_leaderboard_is_complete_but_for_one_cell():
    gaps = joined("regression").set_index("model")[list(OPEN_LLM_V2)].isna()
    assert gaps.to_numpy().sum() == 1
    assert gaps.any(axis=1)[lambda row: row].index.tolist() == ["google/gemma-2-2b-it"]


@pytest.mark.parametrize("objective", ["regression", "bradley_terry"])
def test_joined_holds_everything_known_of_each_model_in_shipped_order(objective):
    frame = joined(objective)
    assert frame["model"].tolist() == published().models["model"].tolist()
    assert {"family", "licence", "pretraining_tokens_t", *BENCHMARKS, *CATEGORIES, "score"} <= set(frame.columns)
    np.testing.assert_allclose(np.exp(frame["log_params_b"]), frame["params_b"])
    np.testing.assert_allclose(np.exp(frame["log_tokens_t"]), frame["pretraining_tokens_t"])
    assert frame["score"].notna().all()


def test_joined_takes_the_scores_of_its_objective():
    both = [joined(name).set_index("model")["score"] for name in ("regression", "bradley_terry")]
    assert [scores["google/gemma-2-9b-it"] for scores in both] == [88.1, 72.3]
    assert (both[0] > both[1]).sum() == 37  # as in the paper


def test_a_benchmark_nobody_measured_for_a_model_is_missing_not_zero():
    frame = joined("regression").set_index("model")
    assert np.isnan(frame.loc["google/gemma-2-2b-it", list(OPEN_LLM_V2)].astype(float)).any()
    given = published().benchmarks.set_index(["model", "benchmark"])["score"]
    own = given[given.index.get_level_values("model").isin(frame.index)]
    assert frame[list(BENCHMARKS)].notna().to_numpy().sum() == len(own)


def test_the_shipped_candidates_are_the_pool_and_the_study_without_duplicates():
    names = candidates(None)["model"].tolist()
    assert sorted(names) == sorted({*published().pool["model"], *published().models["model"]})
    assert candidates(None)[["params_b", "family", "log_params_b"]].notna().all(axis=None)


def test_a_model_of_both_tables_is_taken_from_the_study(data):
    path = data / "candidates.csv"
    header = path.read_text(encoding="utf-8").splitlines()[0].split(",")
    values = {"model": "google/gemma-2-9b-it", "params_b": "1", "family": "other", "source": "x"}
    with path.open("a", encoding="utf-8") as file:
        file.write(",".join(values.get(name, "") for name in header) + "\n")
    row = candidates(None).set_index("model").loc["google/gemma-2-9b-it"]
    assert (row["family"], row["params_b"] > 9) == ("gemma", True)


def test_a_file_of_candidates_has_the_columns_of_the_shipped_ones(chosen):
    frame = chosen("model,params_b,mmlu\nnew/a,7,50\nnew/b,8,\n")
    assert list(frame.columns) == list(candidates(None).columns)
    assert frame["model"].tolist() == ["new/a", "new/b"]
    assert frame["mmlu"].fillna(-1).tolist() == [50, -1]
    assert frame[list(OPEN_LLM_V2)].isna().all(axis=None)


def test_family_and_licence_of_a_known_model_are_filled(chosen):
    frame = chosen("model,params_b\nnew,7\nQwen/Qwen2.5-7B-Instruct,7.6\n").set_index("model")
    assert frame.loc["Qwen/Qwen2.5-7B-Instruct", ["family", "licence"]].tolist() == ["qwen", "apache-2.0"]
    assert pd.isna(frame.loc["new", "licence"])


def test_what_the_file_says_of_a_known_model_wins(chosen):
    frame = chosen("model,params_b,family,licence\nQwen/Qwen2.5-7B-Instruct,7.6,Mine,\n")
    assert frame[["family", "licence"]].values.tolist() == [["mine", "apache-2.0"]]


def test_a_model_without_a_family_is_one_of_its_own(chosen):
    assert chosen("model,params_b\na,7\nb,7\n")["family"].tolist() == ["a", "b"]


def test_families_and_licences_are_compared_in_lower_case(chosen):
    frame = chosen("model,params_b,family,licence\na,7,Qwen,MIT\n")
    assert frame[["family", "licence"]].values.tolist() == [["qwen", "mit"]]


def test_a_file_of_a_single_bare_model_is_enough(chosen):
    frame = chosen("model,params_b\na,7\n")
    assert frame["log_params_b"].tolist() == [np.log(7)]


SPOILED = {
    "a text in a score": (
        "rewardbench.csv",
        ",96.1,",
        ",good,",
        r"line 2, column chat: 'good' is not allowed; it holds",
    ),
    "a score not the mean": ("rewardbench.csv", ",78.1,", ",79.1,", r"column score: 79.1 of microsoft/Phi-3.5-mini"),
    "a stage not the mean": ("stages.csv", ",72.9,", ",62.9,", r"column score: 62.9 of meta-llama/Llama-3.1-8B is not"),
    "a model nobody knows": (
        "rewardbench.csv",
        "microsoft/Phi-3.5-mini-instruct,regression",
        "microsoft/Phi,regression",
        "column model: microsoft/Phi is not in models.csv",
    ),
    "a benchmark of a model nobody knows": (
        "benchmarks.csv",
        "01-ai/Yi-1.5-6B-Chat,olv1_arc",
        "01-ai/Yi,olv1_arc",
        "column model: 01-ai/Yi is not in models or stages.csv",
    ),
    "a benchmark nobody knows": (
        "benchmarks.csv",
        ",olv1_arc,",
        ",arc,",
        "column benchmark: 'arc' is not allowed; it h",
    ),
    "a scale of ten": (
        "benchmarks.csv",
        ",olv1_arc,60.67",
        ",mt_bench,60.67",
        "60.67 of 01-ai/Yi-1.5-6B-Chat on mt_ben",
    ),
    "a month that is none": (
        "models.csv",
        ",2024-08,",
        ",August,",
        "column released: 'August' is not allowed; it holds a mo",
    ),
    "a negative size": (
        "models.csv",
        ",3.82,",
        ",-3.82,",
        "line 2, column params_b: '-3.82' is not allowed; it holds a s",
    ),
    "no source": (
        "stages.csv",
        ",arXiv 2505.10775 table 1",
        ",",
        "line 2, column source: '' is not allowed; it holds wher",
    ),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_shipped_file_is_refused(data, name):
    file, old, new, message = SPOILED[name]
    text = (data / file).read_text(encoding="utf-8")
    (data / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(TableError, match=message) as error:
        published()
    assert str(error.value).startswith(str(data / file))


@pytest.mark.parametrize(
    ("file", "key"),
    [("models.csv", "model"), ("rewardbench.csv", "model and objective"), ("benchmarks.csv", "model and benchmark")],
)
def test_a_row_given_twice_is_refused(data, file, key):
    lines = (data / file).read_text(encoding="utf-8").splitlines(keepends=True)
    (data / file).write_text("".join([*lines, lines[1]]), encoding="utf-8")
    with pytest.raises(TableError, match=f"line {len(lines) + 1}, column {key}: .* is there already in line 2"):
        published()


def test_a_shipped_file_that_is_gone_is_named(data):
    (data / "stages.csv").unlink()
    with pytest.raises(TableError, match=r"stages\.csv does not exist"):
        published()
