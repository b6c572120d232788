"""Benchmarks run on a base: log-likelihoods, accuracies, intervals, resuming, and what is missing."""

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import tiny_tasks
import torch
from lm_eval.api.instance import Instance
from statsmodels.stats.proportion import proportion_confint
from tiny_models import checkpoint

from rm_selection import measuring
from rm_selection.checkpoints import Base, Checkpoint
from rm_selection.errors import ConfigError, MeasurementError
from rm_selection.features import Measured, Place, benchmarks, hub_data
from rm_selection.features.harness import BudgetedLM, Harness
from rm_selection.features.harness_results import read
from rm_selection.features.language_model import LanguageModel, load
from rm_selection.features.scores import score, wilson
from rm_selection.features.suites import suite
from rm_selection.measure_settings import BenchmarksConfig, MeasureConfig
from rm_selection.table_rows import BENCHMARKS
from rm_selection.train_settings import HardwareConfig


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Checkpoint:
    return checkpoint(tmp_path_factory.mktemp("model"))


def loglikelihood(language: LanguageModel, context: str, continuation: str) -> float:
    """By hand: one text, no batch, float64 sum of log-softmax over the continuation's tokens."""
    whole = language.tokenizer(context + continuation)["input_ids"]
    start = len(language.tokenizer(context)["input_ids"])
    with torch.no_grad():
        logs = language.model(torch.tensor([whole])).logits[0].double().log_softmax(-1)
    return float(sum(logs[i - 1, whole[i]] for i in range(start, len(whole))))


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


def settings(suite: object, **changed: str) -> BenchmarksConfig:
    return replace(BenchmarksConfig("benchmarks", str(suite), None, None, None, None), **changed)


def measure(tiny: Checkpoint, tasks: object, place: Path, **changed: str) -> Measured:
    return benchmarks.measure(tiny, settings(tasks, **changed), Place(place, "cpu", "float32", 512, 0))


def test_accuracies_of_local_tasks_are_those_counted_by_hand(tiny, tmp_path):
    names = ["first", "second"]
    asked = {name: tiny_tasks.task(tmp_path / "tasks", name) for name in names}
    found = measure(tiny, tmp_path / "tasks", tmp_path / "place")
    language = load(tiny)
    for name in names:
        right = 0
        for item in asked[name]:
            logs = [loglikelihood(language, item["question"], f" {choice}") for choice in item["choices"]]
            right += logs.index(max(logs)) == item["answer"]
        assert found.values[name] == pytest.approx(100 * right / 8)
        assert found.details["benchmarks"][name]["n"] == 8
    assert found.values["average"] == pytest.approx((found.values["first"] + found.values["second"]) / 2)
    assert found.tokens > 0
    files = benchmarks.files_hash(tmp_path / "tasks")
    assert found.protocols["first"].startswith("lm_eval 0.4.13, first v1, 0-shot, acc, prompts ")
    assert found.protocols["first"].endswith(f"task files {files}")


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


def test_other_task_files_make_another_protocol(tiny, tmp_path):
    tiny_tasks.task(tmp_path / "a", "one")
    tiny_tasks.task(tmp_path / "b", "one", count=9)
    before = measure(tiny, tmp_path / "a", tmp_path / "place")
    after = measure(tiny, tmp_path / "b", tmp_path / "place")
    assert before.protocols["one"] != after.protocols["one"]
    assert [found.details["benchmarks"]["one"]["n"] for found in (before, after)] == [8, 9]


def test_changed_questions_of_the_same_file_are_read_anew(tiny, tmp_path):
    tiny_tasks.task(tmp_path / "tasks", "one")
    measure(tiny, tmp_path / "tasks", tmp_path / "place")
    tiny_tasks.task(tmp_path / "tasks", "one", count=9)
    found = measure(tiny, tmp_path / "tasks", tmp_path / "place")
    assert found.details["benchmarks"]["one"]["n"] == 9


class Killed(Harness):
    """Ends as by Ctrl-C when it comes to the task named `stop`."""

    stop = "second"
    ran: list[str] = []

    def run(self, tasks, shots):
        if tasks == (self.stop,):
            raise KeyboardInterrupt
        self.ran.append(tasks[0])
        return super().run(tasks, shots)


def test_a_killed_measurement_goes_on_where_it_stopped(tiny, tmp_path, monkeypatch):
    for name in ("first", "second", "third"):
        tiny_tasks.task(tmp_path / "tasks", name)
    whole = measure(tiny, tmp_path / "tasks", tmp_path / "whole")
    monkeypatch.setattr("rm_selection.features.harness.Harness", Killed)
    with pytest.raises(KeyboardInterrupt):
        measure(tiny, tmp_path / "tasks", tmp_path / "place")
    assert Killed.ran == ["first"]
    monkeypatch.setattr(Killed, "stop", "")
    resumed = measure(tiny, tmp_path / "tasks", tmp_path / "place")
    assert Killed.ran == ["first", "second", "third"]
    assert resumed.values == whole.values
    assert resumed.protocols == whole.protocols


def test_what_was_kept_of_other_weights_or_cut_short_is_run_again(tiny, tmp_path, monkeypatch):
    tiny_tasks.task(tmp_path / "tasks", "first")
    monkeypatch.setattr("rm_selection.features.harness.Harness", Killed)
    monkeypatch.setattr(Killed, "ran", [])
    measure(tiny, tmp_path / "tasks", tmp_path / "place")
    measure(checkpoint(tmp_path / "other", seed=1), tmp_path / "tasks", tmp_path / "place")
    assert Killed.ran == ["first", "first"]
    kept = tmp_path / "place" / "tasks" / "first.json"
    assert json.loads(kept.read_text())["lm_eval_version"] == "0.4.13"
    kept.write_text("{")
    measure(tiny, tmp_path / "tasks", tmp_path / "place")
    assert Killed.ran == ["first"] * 3


def test_a_task_without_data_is_missing_and_the_rest_goes_on(tiny, tmp_path):
    tiny_tasks.task(tmp_path / "tasks", "first")
    tiny_tasks.task(tmp_path / "tasks", "second")
    (tmp_path / "tasks" / "first.jsonl").unlink()
    found = measure(tiny, tmp_path / "tasks", tmp_path / "place")
    assert set(found.values) == {"second"}  # no average: it would be of other tasks
    assert "first.jsonl" in found.details["missing"]["first"]
    (tmp_path / "tasks" / "second.jsonl").unlink()
    with pytest.raises(MeasurementError, match=r"no benchmark of .* could be measured; first: .*first.jsonl"):
        measure(tiny, tmp_path / "tasks", tmp_path / "place")


def test_a_folder_without_tasks_is_refused(tiny, tmp_path):
    with pytest.raises(MeasurementError, match="holds no task of lm-evaluation-harness"):
        measure(tiny, tmp_path, tmp_path / "place")


class Offline(Harness):
    """The harness where no data set is in the cache."""

    def __init__(self, language, tokens_per_batch, precision, folder):
        pass

    tokens = 0

    def run(self, tasks, shots):
        import datasets

        raise ConnectionError(f"offline={datasets.config.HF_HUB_OFFLINE}")


def test_public_tasks_without_the_hub_fail_with_their_reasons(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("rm_selection.features.harness.Harness", Offline)
    monkeypatch.setattr("rm_selection.features.hub_data.reachable", lambda: False)
    with pytest.raises(MeasurementError, match=r"no benchmark of quick .*; ifeval.*: offline=True"):
        measure(tiny, "quick", tmp_path)


class Refuses(BaseHTTPRequestHandler):
    """A Hub that is there and says no."""

    def do_HEAD(self):
        self.send_error(401)

    def log_message(self, *_):
        pass


def test_the_hub_is_reachable_where_it_answers_at_all(monkeypatch):
    with HTTPServer(("127.0.0.1", 0), Refuses) as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        assert hub_data.reachable()
        server.shutdown()
        thread.join()
    assert not hub_data.reachable()


def test_a_metric_that_a_task_lacks_is_told_with_those_it_has(tiny, tmp_path):
    tiny_tasks.task(tmp_path, "first", 3)
    found = read(Harness(load(tiny), 512, "float32", tmp_path).run(("first",), 0))
    row = suite("quick")[1].model_copy(update={"task": "first", "metric": "f1"})
    with pytest.raises(MeasurementError, match="first has no metric f1; there are acc,none"):
        score(row, found)
    with pytest.raises(MeasurementError, match="first is no known part of first; its chance level is unknown"):
        score(row.model_copy(update={"metric": "acc", "choices": "subtasks"}), found)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("papers", "feature.suite=papers is no suite and no folder; give quick, paper33"),
        ("microcosm", "feature.tasks_folder=null is not allowed"),
    ],
)
def test_unknown_suites_are_refused(tiny, tmp_path, name, says):
    with pytest.raises(ConfigError, match=says):
        measure(tiny, name, tmp_path)


def test_the_microcosm_is_its_folder(tiny, tmp_path):
    tiny_tasks.task(tmp_path / "tasks", "first")
    found = measure(tiny, "microcosm", tmp_path / "place", tasks_folder=str(tmp_path / "tasks"))
    assert "first" in found.values


def test_suites_name_benchmarks_as_the_tables_do():
    assert [row.benchmark for row in suite("quick")] == [
        *("ifeval_prompt_strict", "toxigen", "humaneval_plus", "mbpp_plus")
    ]
    assert {row.benchmark for row in suite("open_llm_v2")} == {name for name in BENCHMARKS if name.startswith("olv2")}
    assert {row.benchmark for row in suite("open_llm_v1")} == {name for name in BENCHMARKS if name.startswith("olv1")}
    absent = set(BENCHMARKS) - {row.benchmark for row in suite("paper33")}
    assert absent == {"mt_bench"}  # rated by another model, and not of the study's 33


@pytest.mark.parametrize(("right", "n"), [(0, 7), (3, 10), (100, 100), (541, 1319)])
def test_intervals_are_wilsons(right, n):
    low, high = proportion_confint(right, n, alpha=0.1, method="wilson")
    assert wilson(100 * right / n, n) == pytest.approx((100 * low, 100 * high))


def test_the_record_holds_figures_and_a_finished_one_is_found_again(tiny, tmp_path):
    tiny_tasks.task(tmp_path / "tasks", "first")
    base = Base("tiny", "llama", None, None, None, {}, path=tiny.source)
    hardware = HardwareConfig("cpu", "cpu", "float32", 512)
    feature = {
        "name": "benchmarks",
        "suite": str(tmp_path / "tasks"),
        **dict.fromkeys(("tasks_folder", "evalplus", "import_from", "import_name")),
    }
    configured = MeasureConfig("s", str(tmp_path / "out"), base, "pretrained", feature, hardware, 0)
    outcome = measuring.run(configured)
    assert (outcome.status, outcome.reason, outcome.new) == ("finished", "", True)
    record = json.loads((outcome.folder / "run.json").read_text())
    assert set(record["values"]) == set(record["protocols"]) == {"first", "average"}
    assert not measuring.run(configured).new
