"""Scores measured elsewhere: every layout in references/benchmark_results, told apart, chosen by base, never mixed."""

import json
import shutil
from pathlib import Path

import pytest

from rm_selection.checkpoints import Checkpoint
from rm_selection.errors import ConfigError, MeasurementError
from rm_selection.features import Measured
from rm_selection.features.importers import measured_elsewhere
from rm_selection.measure_settings import BenchmarksConfig

HERE = Path(__file__).parent / "references" / "benchmark_results"
QWEN = "Qwen/Qwen2-7B-Instruct"


def of(path: Path, repo: str = QWEN, name: str | None = None, suite: str = "quick") -> Measured:
    checkpoint = Checkpoint("base", "instruct", "qwen", 7.6, 7.0, None, repo, "main")
    return measured_elsewhere(checkpoint, BenchmarksConfig("benchmarks", suite, None, None, str(path), name))


def test_lm_eval_results_become_benchmarks_of_the_study():
    found = of(HERE / "lm_eval")
    assert found.values == pytest.approx(
        {
            "olv1_arc": 54.0,
            "arc_25shot": (54 + 78) / 2,
            "olv1_hellaswag": 81.0,
            "mmlu": 60.0,
            "olv1_mmlu": 60.0,
            "olv1_winogrande": 70.0,
            "sports_trivia": 62.0,  # a task that no suite knows keeps its name; parts of groups are no benchmarks
        }
    )
    assert found.protocols["mmlu"].startswith("lm_eval 0.4.8, mmlu v2, 5-shot, acc, prompts ")
    assert found.details["benchmarks"]["mmlu"]["n"] == 135 + 166
    low, high = found.details["benchmarks"]["mmlu"]["interval"]
    assert low < 60 < high


def test_the_newest_run_of_a_task_counts_and_its_limits_are_in_the_protocol():
    found = of(HERE / "lm_eval")
    assert "lm_eval 0.4.9, hellaswag v1, 10-shot" in found.protocols["olv1_hellaswag"]
    assert "first 100 documents, chat template, examples as turns" in found.protocols["olv1_hellaswag"]
    assert any("hellaswag" in remark and "2025-06-01" in remark for remark in found.details["remarks"])


def test_chance_is_taken_out_subtask_by_subtask_as_the_leaderboard_does():
    found = of(HERE / "lm_eval", "mistralai/Mistral-7B-Instruct-v0.3")
    assert found.values["olv2_bbh"] == pytest.approx(100 * ((0.75 - 0.5) / 0.5 + 0) / 2)
    assert found.values["bbh"] == pytest.approx(100 * (0.75 + 0.25) / 2)
    assert found.values["olv2_mmlu_pro"] == pytest.approx(100 * (0.37 - 0.1) / 0.9)
    assert found.values["olv2_ifeval"] == pytest.approx(50)
    assert found.values["ifeval_prompt_strict"] == pytest.approx(40)
    assert found.protocols["bbh"] != found.protocols["olv2_bbh"]
    assert "lm_eval 89abcdef" in found.protocols["bbh"]  # no version in the file: its commit


def test_old_lm_eval_files_name_metrics_without_filters():
    found = of(HERE / "lm_eval_old" / "results.json")
    assert found.values == pytest.approx({"olv1_hellaswag": 77.0, "boolq_10shot": 83.0})
    assert found.protocols["boolq_10shot"] == "lm_eval of unknown version, boolq v1, 10-shot, acc, prompts unknown"


@pytest.mark.parametrize("version", [1, 2])
def test_leaderboards_give_the_row_of_the_repository(version):
    found = of(HERE / f"leaderboard_v{version}.csv", suite=f"open_llm_v{version}")
    known = {1: ("olv1_truthfulqa_mc2", 56.4), 2: ("olv2_mmlu_pro", 31.64)}[version]
    assert found.values[known[0]] == known[1]
    assert len(found.values) == 7
    parts = [value for name, value in found.values.items() if name != "average"]
    assert found.values["average"] == pytest.approx(sum(parts) / 6)
    assert f"Open LLM Leaderboard v{version}" in found.protocols[known[0]]
    assert "bfloat16" in found.protocols[known[0]]


def test_rows_that_differ_for_one_model_are_refused_until_one_is_named():
    yi = "01-ai/Yi-6B-Chat"
    with pytest.raises(MeasurementError, match=r"2 rows that differ.*Yi-6B-Chat_float16"):
        of(HERE / "leaderboard_v2.csv", yi)
    assert of(HERE / "leaderboard_v2.csv", yi, "01-ai_Yi-6B-Chat_float16").values["olv2_bbh"] == 17.1


def test_evalplus_answers_pass_plus_only_where_they_pass_base():
    found = of(HERE / "evalplus")
    assert found.values == pytest.approx({"humaneval": 60, "humaneval_plus": 40, "mbpp": 50, "mbpp_plus": 50})
    how = "0-shot, pass@1 on plus tests, temperature 0, problems fe585eb4"
    assert found.protocols["humaneval_plus"] == f"EvalPlus of unknown version, humaneval, {how}"


def test_evalplus_of_old_layout():
    assert of(HERE / "evalplus_old").values == pytest.approx({"humaneval": 100, "humaneval_plus": 50})


def test_evalplus_leaderboard_leaves_missing_what_it_lacks():
    found = of(HERE / "evalplus_board" / "results.json", name="Qwen2-7B-Instruct")
    assert found.values == {"humaneval": 79.9, "humaneval_plus": 74.4, "mbpp": 67.2}


def test_kinds_of_files_in_one_folder_add_up_but_never_mix(tmp_path):
    shutil.copytree(HERE / "evalplus", tmp_path / "evalplus")
    shutil.copy(HERE / "leaderboard_v2.csv", tmp_path)
    found = of(tmp_path)
    assert {"humaneval_plus", "olv2_bbh"} <= set(found.values)
    shutil.copy(HERE / "leaderboard_v1.csv", tmp_path)
    shutil.copytree(HERE / "lm_eval", tmp_path / "lm_eval")
    with pytest.raises(MeasurementError, match=r"holds olv1_arc twice.*lm_eval 0.4.8.*Leaderboard v1"):
        of(tmp_path)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("absent", "does not exist; give lm-eval JSON"),
        (
            "lm_eval",
            "holds nothing of google/gemma-2-9b-it, but of Qwen/Qwen2-7B-Instruct, mistralai/.*import_name",
        ),
        ("leaderboard_v1.csv", "holds nothing of google/gemma-2-9b-it, but of 01-ai/Yi-6B-Chat"),
        ("README.md", "neither .json nor .csv"),
    ],
)
def test_what_does_not_hold_the_base_is_named(path, says):
    with pytest.raises(MeasurementError, match=says):
        of(HERE / path, "google/gemma-2-9b-it")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("results.json", "{", "cannot be read as JSON"),
        ("results.json", "[1]", "is JSON, but no benchmark results"),
        (
            "results.json",
            json.dumps({"results": {"x": {"acc": 1}}, "configs": 3, "model_name": QWEN}),
            "no result file",
        ),
        ("eval_results.json", json.dumps({"eval": {"HumanEval/0": [{"solution": ""}]}}), "no layout that EvalPlus"),
        ("eval_results.json", json.dumps({"eval": {}}), "holds no tasks of HumanEval or MBPP"),
        ("board.csv", "a,b\n1,2\n", "no rows with a column fullname or Model"),
        ("board.csv", "Model,score\nx,2\n", "no export of the Open LLM Leaderboard; it needs columns ifeval"),
        ("board.csv", f"Model,ARC,MMLU\n{QWEN},140,2\n", "olv1_arc is 140; give a percentage"),
        ("board.csv", f"Model,ARC,MMLU\n{QWEN},high,2\n", "olv1_arc is high; give a percentage"),
    ],
)
def test_bad_files_are_refused_by_message(tmp_path, name, text, says):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    with pytest.raises(MeasurementError, match=says):
        of(file)


def test_a_group_that_lacks_a_task_is_no_benchmark(tmp_path):
    data = json.loads(next((HERE / "lm_eval" / "mistralai__Mistral-7B-Instruct-v0.3").iterdir()).read_text())
    data["group_subtasks"]["leaderboard_bbh"].append("leaderboard_bbh_navigate")
    (tmp_path / "results.json").write_text(json.dumps(data))
    found = of(tmp_path, "mistralai/Mistral-7B-Instruct-v0.3").values
    assert "mmlu_pro" in found
    assert not {"bbh", "olv2_bbh"} & set(found)


def test_figures_that_are_no_percentages_are_left_out(tmp_path):
    data = {"results": {"wikitext": {"word_perplexity,none": 12.5}, "boolq": {"acc,none": 0.8}}, "model_name": QWEN}
    data |= {"n-shot": {"wikitext": 0, "boolq": 0}}
    (tmp_path / "results.json").write_text(json.dumps(data))
    found = of(tmp_path)
    assert found.values == {"boolq": 80}
    assert "word_perplexity is 12.5" in found.details["remarks"][0]
    del data["results"]["boolq"]
    (tmp_path / "results.json").write_text(json.dumps(data))
    with pytest.raises(MeasurementError, match=r"holds no percentage of Qwen/.*; wikitext: word_perplexity is 12.5"):
        of(tmp_path)


def test_a_name_without_a_file_is_refused():
    with pytest.raises(ConfigError, match=r"feature.import_name=x is not allowed"):
        BenchmarksConfig("benchmarks", "quick", None, None, None, "x")
