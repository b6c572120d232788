"""lm-evaluation-harness on our models, and what is made of its results: log-likelihoods, groups, intervals."""

import pytest
import tiny_tasks
import torch
from lm_eval.api.instance import Instance
from statsmodels.stats.proportion import proportion_confint
from tiny_loglikelihood import loglikelihood
from tiny_models import checkpoint

from rm_selection.checkpoints import Checkpoint
from rm_selection.errors import MeasurementError
from rm_selection.features.harness import BudgetedLM, Harness
from rm_selection.features.harness_results import read
from rm_selection.features.language_model import load
from rm_selection.features.scores import score, wilson
from rm_selection.features.suites import suite


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Checkpoint:
    return checkpoint(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize(("family", "pad"), [("llama", "pad"), ("qwen2", "no pad"), ("gemma2", "pad is eos")])
@pytest.mark.parametrize("budget", [1, 100, 16384])
def test_loglikelihoods_are_those_of_a_plain_pass_whatever_the_batch(tmp_path, family, pad, budget):
    language = load(checkpoint(tmp_path, family, pad))
    pairs = [(f"Question {i}{'?' * (i * 5 % 13)}", [" yes", " no", " y", " perhaps"][i % 4]) for i in range(12)]
    requests = [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]
    lm = BudgetedLM(language, budget, "float32")
    found = [value for value, _ in lm.loglikelihood(requests)]
    assert found == pytest.approx([loglikelihood(language, *pair) for pair in pairs], abs=1e-4)


@pytest.mark.parametrize("precision", ["bf16", "bf16_weights"])
def test_in_half_precision_probabilities_are_still_taken_in_float32(tiny, precision):
    pairs = [("What is it?", answer) for answer in (" a", " b", " c")]
    requests = [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]
    lm = BudgetedLM(load(tiny, precision=precision), 512, precision)
    half = [value for value, _ in lm.loglikelihood(requests)]
    assert half == pytest.approx([loglikelihood(load(tiny), *pair) for pair in pairs], abs=0.1)
    assert any(torch.tensor(value).bfloat16().item() != value for value in half)


def test_generated_answers_are_compared_and_their_tokens_counted(tiny, tmp_path):
    asked = tiny_tasks.task(tmp_path, "told", 5, tiny_tasks.GENERATED)
    harness = Harness(load(tiny), 64, "float32", tmp_path)
    found = harness.run(("told",), None)
    assert found["results"]["told"]["exact_match,none"] == 0  # random weights say nothing that is right
    prompts = sum(len(item["question"]) + 1 for item in asked)
    assert prompts < harness.tokens <= prompts + 5 * 4


def test_shots_are_taken_from_the_suite(tiny, tmp_path):
    tiny_tasks.task(tmp_path, "shots")
    text = (tmp_path / "shots.yaml").read_text() + "fewshot_split: test\n"
    (tmp_path / "shots.yaml").write_text(text)
    harness = Harness(load(tiny), 512, "float32", tmp_path)
    assert harness.run(("shots",), 2)["n-shot"] == {"shots": 2}


GROUP = """\
group: both
task: [first, second]
aggregate_metric_list:
  - metric: acc
    weight_by_size: {weighted}
"""


@pytest.mark.parametrize("weighted", [True, False])
def test_a_group_counts_as_the_harness_says_and_keeps_its_parts(tiny, tmp_path, weighted):
    tiny_tasks.task(tmp_path, "first", 20)
    tiny_tasks.task(tmp_path, "second", 4)
    (tmp_path / "both.yaml").write_text(GROUP.format(weighted=str(weighted).lower()))
    found = read(Harness(load(tiny), 512, "float32", tmp_path).run(("both",), 0))
    first, second = (found[name, 0].metrics["acc,none"] for name in ("first", "second"))
    row = suite("quick")[1].model_copy(update={"task": "both", "shots": 0})
    figure = score(row, found)
    assert figure is not None
    assert figure.value == pytest.approx(100 * ((20 * first + 4 * second) / 24 if weighted else (first + second) / 2))
    assert figure.details["n"] == 24
    joined = score(row.model_copy(update={"task": "first+second"}), found)
    assert joined is not None
    assert joined.value == pytest.approx(100 * (first + second) / 2)


def test_a_metric_that_a_task_lacks_is_told_with_those_it_has(tiny, tmp_path):
    tiny_tasks.task(tmp_path, "first", 3)
    found = read(Harness(load(tiny), 512, "float32", tmp_path).run(("first",), 0))
    row = suite("quick")[1].model_copy(update={"task": "first", "metric": "f1"})
    with pytest.raises(MeasurementError, match="first has no metric f1; there are acc,none"):
        score(row, found)
    with pytest.raises(MeasurementError, match="first is no known part of first; its chance level is unknown"):
        score(row.model_copy(update={"metric": "acc", "choices": "subtasks"}), found)


@pytest.mark.parametrize(("right", "n"), [(0, 7), (3, 10), (100, 100), (541, 1319)])
def test_intervals_are_wilsons(right, n):
    low, high = proportion_confint(right, n, alpha=0.1, method="wilson")
    assert wilson(100 * right / n, n) == pytest.approx((100 * low, 100 * high))
