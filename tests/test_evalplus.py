"""EvalPlus in an environment of its own: a program that stands in for it, and what is told when it fails."""

import importlib.metadata
import sys
from pathlib import Path

import pytest
from tiny_models import checkpoint

from rm_selection.checkpoints import Checkpoint
from rm_selection.errors import MeasurementError
from rm_selection.features import Place, benchmarks, evalplus
from rm_selection.measure_settings import BenchmarksConfig

# Answers to the ways it is called: its version, to make and fill an environment, an evaluation, anything else.
PROGRAM = """\
#!{python}
import json, sys
from pathlib import Path
words = sys.argv[1:]
if words[0] == "-c":
    print("0.3.1")
elif words[:2] == ["-m", "venv"]:
    made = Path(words[2], "bin", "python")
    made.parent.mkdir(parents=True)
    made.write_text(Path(__file__).read_text())
    made.chmod(0o755)
elif words[:2] == ["-m", "pip"]:
    (Path(__file__).parent / "installed").write_text(" ".join(words[3:]))
elif words[:2] == ["-m", "evalplus.evaluate"]:
    options = dict(zip(words[2::2], words[3::2]))
    here = Path(__file__).parent
    with (here / "calls").open("a") as calls:
        calls.write(" ".join(words) + "\\n")
    if (here / "silent").exists():
        sys.exit()
    if (here / "fails").exists():
        sys.exit((here / "fails").read_text())
    kind = {{"humaneval": "HumanEval", "mbpp": "Mbpp"}}[options["--dataset"]]
    out = Path(options["--root"], options["--dataset"])
    out.mkdir(parents=True)
    answer = lambda plus: [{{"base_status": "pass", "plus_status": plus}}]
    tasks = {{f"{{kind}}/{{i}}": answer("pass" if i < 3 else "fail") for i in range(4)}}
    (out / "model_hf_temp_0.0_eval_results.json").write_text(json.dumps({{"hash": "fe585eb4df8c88d8", "eval": tasks}}))
else:
    sys.exit("no such module")
"""


@pytest.fixture
def environment(tmp_path) -> Path:
    program = tmp_path / "env" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    return tmp_path / "env"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Checkpoint:
    return checkpoint(tmp_path_factory.mktemp("model"))


def place(folder: Path) -> Place:
    return Place(folder / "place", "cpu", "float32", 512, 0)


def test_it_is_run_greedily_on_the_weights_and_only_once(tiny, environment, tmp_path):
    found = evalplus.run(tiny, "humaneval", environment, place(tmp_path))
    assert {name: score.value for name, score in found.items()} == {"humaneval": 100, "humaneval_plus": 75}
    how = "0-shot, pass@1 on plus tests, temperature 0, problems fe585eb4"
    assert found["humaneval_plus"].protocol == f"EvalPlus 0.3.1, humaneval, {how}"
    again = evalplus.run(tiny, "humaneval", environment, place(tmp_path))
    assert again == found
    (call,) = (environment / "bin" / "calls").read_text().splitlines()
    assert f"--model {tiny.source} --dataset humaneval" in call
    assert "--backend hf --greedy --dtype float32" in call


def test_its_own_words_are_told_when_it_fails(tiny, environment, tmp_path):
    (environment / "bin" / "fails").write_text("CUDA is out of memory")
    with pytest.raises(MeasurementError, match=r"evalplus.evaluate failed: CUDA is out of memory$"):
        evalplus.run(tiny, "mbpp", environment, place(tmp_path))


def test_without_a_network_it_is_told_how_to_give_it_its_problems(tiny, environment, tmp_path):
    (environment / "bin" / "fails").write_text("urllib.error.URLError: <urlopen error Name or service not known>")
    with pytest.raises(MeasurementError, match=r"not known>; it downloads its problems once.* MBPP_OVERRIDE_PATH"):
        evalplus.run(tiny, "mbpp", environment, place(tmp_path))


def test_an_end_without_results_is_told(tiny, environment, tmp_path):
    (environment / "bin" / "silent").touch()
    with pytest.raises(MeasurementError, match=r"EvalPlus wrote no results of mbpp below .*it said nothing"):
        evalplus.run(tiny, "mbpp", environment, place(tmp_path))


def test_the_environment_is_made_with_the_packages_that_load_the_base_here(tiny, environment, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(environment / "bin" / "python"))
    found = evalplus.run(tiny, "mbpp", tmp_path / "new", place(tmp_path))
    assert found["mbpp_plus"].value == 75
    names = ("torch", "transformers", "accelerate", "tiktoken")
    ours = [f"{name}=={importlib.metadata.version(name).split('+')[0]}" for name in names]
    installed = (tmp_path / "new" / "bin" / "installed").read_text().split()
    assert installed == ["evalplus==0.3.1", *ours, "sentencepiece==0.2.1"]


def test_weights_of_the_hub_are_those_of_the_commit_without_pickles(environment, tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda repo, **how: asked.update(how) or f"/cache/{repo}")
    hub = Checkpoint("base", "instruct", "qwen", None, None, None, "owner/name", "0123abcd")
    evalplus.run(hub, "mbpp", environment, place(tmp_path))
    assert asked["revision"] == "0123abcd"
    assert "*.bin" in asked["ignore_patterns"]
    assert "--model /cache/owner/name" in (environment / "bin" / "calls").read_text()


def test_an_environment_that_cannot_be_made_says_how_to_make_it(tiny, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MeasurementError, match=r"cannot be made .*make it yourself: python -m venv .*evalplus==0.3.1"):
        evalplus.run(tiny, "mbpp", tmp_path / "file" / "env", place(tmp_path))


class NoHarness:
    """lm-evaluation-harness where nothing can be loaded."""

    tokens = 0

    def __init__(self, *_):
        pass

    def run(self, tasks, shots):
        raise ConnectionError("no network")


def test_a_suite_takes_its_figures_and_needs_leave_to_run_code(tiny, environment, tmp_path, monkeypatch):
    monkeypatch.setattr("rm_selection.features.harness.Harness", NoHarness)
    monkeypatch.setattr("rm_selection.features.hub_data.reachable", lambda: False)
    here = place(tmp_path)
    found = benchmarks.measure(tiny, BenchmarksConfig("benchmarks", "quick", None, str(environment), None, None), here)
    assert found.values == {"humaneval_plus": 75, "mbpp_plus": 75}
    assert found.details["missing"] == {"ifeval_prompt_strict": "no network", "toxigen": "no network"}
    with pytest.raises(MeasurementError, match="no benchmark of quick could be measured; ifeval"):
        benchmarks.measure(tiny, BenchmarksConfig("benchmarks", "quick", None, None, None, None), here)
