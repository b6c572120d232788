"""Benchmarks run on a base: accuracies, resuming, and what is missing."""

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import tiny_tasks
from tiny_loglikelihood import loglikelihood
from tiny_models import checkpoint

from rm_selection import measuring
from rm_selection.checkpoints import Base, Checkpoint
from rm_selection.errors import ConfigError, MeasurementError
from rm_selection.features import Measured, Place, benchmarks, hub_data
from rm_selection.features.harness import Harness
from rm_selection.features.language_model import load
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


def test_why_a_task_failed_says_what_kind_of_failure_it_was():
    assert benchmarks.reason(KeyError("few")) == "KeyError 'few'"
    assert benchmarks.reason(ValueError()) == "ValueError"
    assert benchmarks.reason(ValueError("*** no\nsuch  split ***")) == "no such split"


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


def test_the_record_holds_figures_and_a_finished_one_is_found_again(tiny, tmp_path):
    tiny_tasks.task(tmp_path / "tasks", "first")
    base = Base("tiny", "llama", None, None, None, {}, path=tiny.source)
    hardware = HardwareConfig(
        "cpu", "cpu", "float32", 512, None, sharded=False, micro_tokens=None, shared_prompts=False
    )
    feature = {
        "name": "benchmarks",
        "suite": str(tmp_path / "tasks"),
        **dict.fromkeys(("tasks_folder", "evalplus", "import_from", "import_name")),
    }
    where = {"study": "s", "output": str(tmp_path / "out")}
    configured = MeasureConfig(**where, base=base, stage="pretrained", feature=feature, hardware=hardware, seed=0)
    outcome = measuring.run(configured)
    assert (outcome.status, outcome.reason, outcome.new) == ("finished", "", True)
    record = json.loads((outcome.folder / "run.json").read_text())
    assert set(record["values"]) == set(record["protocols"]) == {"first", "average"}
    assert not measuring.run(configured).new
