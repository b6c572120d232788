import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import test_train
from test_train import call, only, words

from rm_selection import tracking, train
from rm_selection.tracking import NoTracker, anonymous, tracker

world = test_train.world  # the fixture: a base model and files of pairs


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No key, and W&B's own files away from the home."""
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


def events(folder: Path) -> list[dict]:
    """What an offline run holds, read back with W&B's own tool."""
    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    wandb = Path(sys.executable).parent / "wandb"
    found = subprocess.run([wandb, "leet", "inspect", "--json", path], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in found.stdout.splitlines() if line.startswith("{")]


def test_off_mirrors_nothing_and_never_imports_wandb():
    code = (
        "import sys; from pathlib import Path; from rm_selection.tracking import tracker;"
        "t = tracker('off', 'p', 's', 'r', [], {}, Path('.')); t.log({'loss': 1.0}); t.close();"
        "assert 'wandb' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_a_key_a_run_is_kept_offline_with_its_study_tags_and_settings(nowhere):
    mirror = tracker("auto", "rm", "my-study", "qwen2@instruct__x", ["qwen", "8B"], {"rate": 1e-6}, nowhere)
    mirror.log({"loss": 0.5}, step=3)
    mirror.table("categories", pd.DataFrame({"chat": [90.0]}))
    mirror.summary({"score": 71.5})
    mirror.close()
    run = next(e["run"] for e in events(nowhere) if e["type"] == "run")
    assert (run["run_group"], run["display_name"], run["tags"]) == ("my-study", "qwen2@instruct__x", ["qwen", "8B"])
    assert run["config"]["update"]["rate"] == 1e-6
    assert any(e["type"] == "summary" and e["summary"]["update"].get("score") == 71.5 for e in events(nowhere))


def test_nothing_that_names_the_machine_is_logged(nowhere):
    tracker("offline", "rm", "s", "r", [], {"path": str(Path.home() / "data.jsonl")}, nowhere).close()
    text = json.dumps(events(nowhere))
    assert "~/data.jsonl" in text
    assert str(Path.home()) not in text
    assert '"host": "anonymous"' in text


def artifacts(folder: Path) -> list[dict]:
    """Its artifacts but those W&B makes of every table."""
    found = [event["artifact"] for event in events(folder) if event["type"] == "artifact"]
    return [artifact for artifact in found if artifact["type"] != "run_table"]


def test_what_a_run_used_and_made_is_kept_offline_as_its_lineage(nowhere):
    mirror = tracker("offline", "rm", "s", "r", [], {}, nowhere)
    mirror.used("hh_rlhf", "dataset", {"sha256": "ab", "rows": 3, "file": str(Path.home() / "x.jsonl")})
    mirror.made("qwen2@instruct__x", "model", {"run_id": "r"})
    mirror.close()
    data, model = artifacts(nowhere)
    assert (data["type"], data["use_after_commit"]) == ("dataset", True)
    assert json.loads(data["metadata"]) == {"sha256": "ab", "rows": 3, "file": "~/x.jsonl"}
    assert model["type"] == "model"
    assert not model.get("use_after_commit")
    assert model["name"].startswith("model-qwen2-instruct__x-")
    assert all("contents" not in artifact["manifest"] for artifact in (data, model))


def test_artifacts_are_one_where_their_facts_agree():
    names = [tracking._artifact("d", "dataset", {"sha256": sha}).name for sha in ("ab", "ab", "cd")]
    assert names[0] == names[1] != names[2]
    assert len(tracking._artifact("x" * 300, "model", {}).name) == tracking.LONGEST


def test_files_given_with_an_output_are_part_of_it(nowhere):
    (nowhere / "table.csv").write_text("a\n1\n")
    mirror = tracker("offline", "rm", "s", "r", [], {}, nowhere)
    mirror.made("r", "table", {}, [nowhere / "table.csv"])
    mirror.close()
    (made,) = artifacts(nowhere)
    assert [entry["path"] for entry in made["manifest"]["contents"]] == ["table.csv"]


def test_a_cell_tells_its_data_then_its_evaluation_and_its_model(world, tmp_path, monkeypatch, nowhere):
    line = [word for word in words(world, f"output={tmp_path}", "study=lineage") if word != "tracking=off"]
    monkeypatch.setattr(sys, "argv", [])
    assert call(train, *line, "training.max_steps=2", "tracking=wandb", "tracking.mode=offline") == 0
    run = only(tmp_path / "lineage")
    record, found = json.loads((run / "run.json").read_text()), artifacts(run)
    data, evaluation, model = (json.loads(one["metadata"]) for one in found)
    assert [one["type"] for one in found] == ["dataset", "evaluation", "model"]
    assert data == {"name": "jsonl"} | record["data"]["train"]
    assert evaluation == {"run_id": run.name, "scores": record["scores"]}
    saved = hashlib.sha256((run / "model" / "model.safetensors").read_bytes()).hexdigest()
    assert (model["run_id"], model["base"], model["sha256"]) == (
        run.name,
        "local@instruct",
        {"model.safetensors": saved},
    )


def test_a_resumed_run_continues_under_the_same_id():
    assert tracking._wandb_id("study", "run") == tracking._wandb_id("study", "run")
    assert tracking._wandb_id("study", "run") != tracking._wandb_id("other", "run")


def test_a_key_without_a_network_is_kept_offline_at_once(monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert not tracking.reachable()


@pytest.mark.parametrize("value", [{"a": [str(Path.home())]}, str(Path.home() / "x"), [{"deep": str(Path.home())}]])
def test_the_home_is_written_as_a_tilde_wherever_it_stands(value):
    assert str(Path.home()) not in json.dumps(anonymous(value))


def test_the_silent_tracker_takes_everything():
    silent = NoTracker()
    silent.log({"loss": 1.0})
    silent.table("t", pd.DataFrame())
    silent.summary({})
    silent.used("d", "dataset", {})
    silent.made("m", "model", {}, [Path("none")])
    silent.close(failed=True)
