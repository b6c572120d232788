"""The suites of public benchmarks: the study's list, and a mean where every figure is there."""

from pathlib import Path
from statistics import fmean

import pytest
from tiny_models import checkpoint

from rm_selection.checkpoints import Checkpoint
from rm_selection.features import Measured, Place, benchmarks
from rm_selection.features.scores import Score
from rm_selection.features.suites import SUITES, suite
from rm_selection.features.suites import benchmarks as known
from rm_selection.measure_settings import BenchmarksConfig

# Table of the study (arXiv 2505.10775): tasks of lm-evaluation-harness and the examples in their prompts.
STUDY = {
    **{"leaderboard_ifeval": [0], "winogrande": [5], "hellaswag": [5, 10], "openbookqa": [10], "triviaqa": [5]},
    **{"squadv2": [1], "drop": [3], "boolq": [0], "anli_r1+anli_r2+anli_r3": [7], "truthfulqa_mc2": [10]},
    **{"commonsense_qa": [7, 10], "piqa": [0, 5], "social_iqa": [0, 5], "nq_open": [5], "agieval_en": [3, 5]},
    **{"arc_easy+arc_challenge": [0, 10, 25], "leaderboard_bbh": [3], "leaderboard_gpqa": [0]},
    **{"leaderboard_mmlu_pro": [5], "medqa_4options": [0], "mmlu": [5], "gsm8k_cot_llama": [5, 8]},
    **{"leaderboard_math_hard": [4], "crows_pairs_english": [0], "toxigen": [0], "qasper_bool+qasper_freeform": [0]},
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Checkpoint:
    return checkpoint(tmp_path_factory.mktemp("model"))


class Everything:
    """The harness where every task gives half a perfect score; a group is of one task with two choices."""

    tokens = 1
    without = ""

    def __init__(self, *_):
        pass

    def run(self, tasks, shots):
        if self.without in tasks:
            raise ConnectionError("no network")
        rows = [row for row in known() if row.runner == "lm_eval" and (row.tasks, row.shots) == (tasks, shots)]
        names = {name: row.scale / 2 for row in rows for name in str(row.metric).replace("|", "+").split("+")}
        whole = any(row.choices == "subtasks" for row in rows)
        groups = {task: [f"{task}_navigate"] for task in tasks} if whole else {}
        every = [*tasks, *(leaf for leaves in groups.values() for leaf in leaves)]
        return {
            "results": dict.fromkeys(every, names),
            "n-shot": dict.fromkeys(every, shots),
            "group_subtasks": groups,
        }


def all_there(tiny: Checkpoint, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, without: str) -> Measured:
    def evalplus(_, dataset, *__):
        return {
            row.benchmark: Score(50, "p", {}) for row in known() if row.runner == "evalplus" and row.task == dataset
        }

    monkeypatch.setattr("rm_selection.features.harness.Harness", Everything)
    monkeypatch.setattr(Everything, "without", without)
    monkeypatch.setattr("rm_selection.features.evalplus.run", evalplus)
    monkeypatch.setattr("rm_selection.features.hub_data.reachable", lambda: True)
    given = BenchmarksConfig("benchmarks", name, None, "env", None, None)
    return benchmarks.measure(tiny, given, Place(folder, "cpu", "float32", 512, 0))


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_of_which_all_is_there_has_the_mean_of_its_figures(tiny, tmp_path, monkeypatch, name):
    found = all_there(tiny, name, tmp_path, monkeypatch, without="")
    assert found.details["missing"] == {}
    single = [row.benchmark for row in suite(name) if row.runner != "mean"]
    assert set(found.values) == {row.benchmark for row in suite(name)} | {"average"}
    assert found.values["average"] == pytest.approx(fmean(found.values[one] for one in single))


@pytest.mark.parametrize("name", ["paper33", "open_llm_v2"])
def test_a_suite_without_math_has_no_mean(tiny, tmp_path, monkeypatch, name):
    found = all_there(tiny, name, tmp_path, monkeypatch, without="leaderboard_math_hard")
    assert found.details["missing"]["olv2_math_lvl5"] == "no network"
    assert not {"average", "olv2_average", "olv2_math_lvl5"} & set(found.values)


def test_paper33_runs_the_tasks_of_the_study_with_its_shots():
    ran = [(row.task, row.shots) for row in suite("paper33") if row.runner == "lm_eval"]
    asked = [(task, shots) for task, several in STUDY.items() for shots in several]
    assert len(asked) == 34
    assert set(asked) <= set(ran)
    boards = {(row.task, row.shots) for name in ("open_llm_v1", "open_llm_v2") for row in suite(name)}
    assert set(ran) - set(asked) <= boards  # run for the study's two averages
    others = [row.benchmark for row in suite("paper33") if row.runner != "lm_eval"]
    assert others == ["humaneval", "humaneval_plus", "mbpp", "mbpp_plus", "olv1_average", "olv2_average"]
