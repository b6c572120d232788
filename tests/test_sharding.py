"""One cell over two processes gives what one process gives."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import ranks
import torch
from test_train import call, only, rated, words, world  # noqa: F401 - world is a fixture
from tiny_training import CHATS, base, trained  # noqa: F401 - base is a fixture
from transformers import AutoModelForSequenceClassification

from rm_selection import distributed, evaluate, measure, sharding, train
from rm_selection.outcomes import settle
from rm_selection.scoring import score
from rm_selection.train_settings import HardwareConfig

FSDP = ("hardware=fsdp", "hardware.device=cpu")
LONG = ("objective.epochs=2", "training.max_steps=12")  # long enough to be killed half-way


def spread(line: list[str]) -> list[str]:
    """The same cell, over processes."""
    return [word for word in line if not word.startswith("hardware=")] + list(FSDP)


def losses(root: Path) -> list[float]:
    lines = [json.loads(line) for line in (only(root) / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


@pytest.fixture(scope="module")
def two(world) -> Path:
    """The cell LONG trained by two processes of torchrun."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*torchrun, "-m", "rm_selection.train", *spread(words(world, "study=two", *LONG))]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("finished") == 1
    return world / "outputs" / "two"


def test_two_processes_of_torchrun_give_the_losses_the_record_and_the_model_of_one(two, world):
    assert call(train, *words(world, "study=alone", *LONG)) == 0
    assert losses(two) == pytest.approx(losses(world / "outputs" / "alone"), abs=1e-4)
    record = json.loads((only(two) / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["cost"]["device"] == "2 x cpu"
    alone = json.loads((only(world / "outputs" / "alone") / "run.json").read_text())
    assert record["training"]["tokens"] == alone["training"]["tokens"]
    assert AutoModelForSequenceClassification.from_pretrained(only(two) / "model").config.num_labels == 1


@pytest.mark.parametrize(("objective", "rows", "kept"), [(words, 42, 42), (rated, 40, 28)])
def test_rows_that_do_not_fill_the_last_batch_are_counted_once(world, tmp_path, objective, rows, kept):
    """Twice over the rows, 4 at once or 2 x 4; of the last the first process has two or four, the second none."""
    changes = ["training.max_steps=null", "objective.epochs=2", f"dataset.limit={rows}", "training.checkpoint_steps=20"]
    changes += ["objective.centering=0.1"] if objective is words else []
    line = objective(world, f"output={tmp_path}", *changes)
    assert call(train, *line, "study=alone") == 0
    assert ranks.wait(ranks.start(ranks.command, *spread(line), "study=two", count=2)) == [0, 0]
    alone, two = (losses(tmp_path / study) for study in ("alone", "two"))
    assert two == pytest.approx(alone, abs=1e-4)
    assert json.loads((only(tmp_path / "two") / "run.json").read_text())["training"]["counts"]["kept"] == kept


def test_a_killed_group_ends_with_the_scores_of_one_never_killed(two, world, tmp_path):
    line = spread(words(world, f"output={tmp_path}", *LONG))
    group = ranks.start(ranks.command, *line, "study=killed", count=2)
    while group[0].is_alive() and not list(tmp_path.rglob("whole.json")):
        time.sleep(0.005)
    for process in group:
        process.kill()
    assert ranks.wait(group) == [-signal.SIGKILL] * 2
    assert (only(tmp_path / "killed") / "training").is_dir()
    assert ranks.wait(ranks.start(ranks.command, *line, "study=killed", count=2)) == [0, 0]
    killed, whole = (pd.read_parquet(only(study) / "scores.parquet") for study in (tmp_path / "killed", two))
    pd.testing.assert_frame_equal(killed, whole, check_exact=True)
    assert losses(tmp_path / "killed") == losses(two)


def test_adapters_are_trained_by_two_processes_as_by_one(world, tmp_path):
    line = [*words(world, f"output={tmp_path}"), "training=lora", "training.max_steps=3"]
    assert call(train, *line, "study=alone") == 0
    assert ranks.wait(ranks.start(ranks.command, *spread(line), "study=two", count=2)) == [0, 0]
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "alone"), abs=1e-4)
    assert (only(tmp_path / "two") / "model" / "adapter_model.safetensors").is_file()


def test_of_a_sweep_with_a_failed_cell_the_others_are_finished_before_any_process_ends(world, tmp_path):
    """torchrun kills all processes when one ends with an error: the first alone does, at the end."""
    line = [word for word in words(world, f"output={tmp_path}", "study=some") if not word.startswith("dataset.train=")]
    line += [f"dataset.train={tmp_path / 'none.jsonl'},{world / 'train.jsonl'}", "training.max_steps=2"]
    assert ranks.wait(ranks.start(ranks.command, "-m", *spread(line), count=2)) == [2, 0]
    records = [json.loads(path.read_text()) for path in (tmp_path / "some" / "runs").glob("*/run.json")]
    assert sorted(record["status"] for record in records) == ["failed", "finished"]


def test_each_process_holds_half_of_every_parameter(world, tmp_path):
    assert ranks.wait(ranks.start(ranks.write_part, tmp_path, world / "base", count=2)) == [0, 0]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert all(first[name][0] + second[name][0] == whole for name, (_, whole) in first.items())
    for held in (first, second):
        mine, whole = (sum(column) for column in zip(*held.values(), strict=True))
        assert mine / whole == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("environment", "change", "message"),
    [
        ({}, "hardware=fsdp", "start it as torchrun --nproc-per-node=GPUS -m rm_selection.train hardware=fsdp"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "hardware=cpu", "WORLD_SIZE is 2, and hardware=cpu works in one"),
        ({"WORLD_SIZE": "2", "RANK": "1"}, "hardware=auto", "give hardware=fsdp, which spreads a cell over them"),
    ],
)
def test_a_number_of_processes_that_does_not_fit_is_refused(
    world, tmp_path, monkeypatch, capsys, environment, change, message
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    line = [word for word in words(world, f"output={tmp_path}") if not word.startswith("hardware=")]
    assert call(train, *line, change) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.rglob("run.json"))


def test_what_runs_in_one_process_is_not_spread(world, capsys):
    assert call(evaluate, f"model={world}", "hardware=fsdp") == 2
    assert "hardware=fsdp spreads a training, and evaluate runs in one process" in capsys.readouterr().err
    assert call(measure, "hardware=fsdp") == 2
    assert "hardware=fsdp spreads a training, and measure runs in one process" in capsys.readouterr().err


@pytest.fixture
def group(monkeypatch):
    """A group of this process alone, which runs what two would run."""
    known = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": ranks.free_port()}
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    distributed.join(
        HardwareConfig("fsdp", "cpu", "auto", 1024, None, sharded=True, micro_tokens=None, shared_prompts=False)
    )
    yield
    torch.distributed.destroy_process_group()


def test_the_record_says_that_prompts_are_shared(two):
    assert json.loads((only(two) / "run.json").read_text())["shared_prompts"] == {"used": True}


def test_a_sharded_training_logs_what_a_plain_one_does(base, tmp_path, group, monkeypatch):
    sharded, plain = [], []
    trained(base, tmp_path / "sharded", on_log=sharded.append)
    parts = list((tmp_path / "sharded").rglob("optimizer-0.pt"))
    assert [part.parent.name for part in parts] == ["checkpoint-7"], "of the last alone, to go on from"
    with monkeypatch.context() as patch:
        patch.setattr(distributed, "grouped", lambda: False)
        patch.setattr(sharding, "grouped", lambda: False)
        trained(base, tmp_path / "plain", on_log=plain.append)
    told = ("loss", "grad_norm", "validation_accuracy")
    seen, expected = ([line.get(name, 0.0) for line in lines for name in told] for lines in (sharded, plain))
    assert seen == pytest.approx(expected, abs=1e-5)


def test_a_sharded_training_goes_on_from_its_checkpoint(base, tmp_path, group):
    class KilledError(Exception):
        pass

    def hear(line: dict[str, float]) -> None:
        lines.append(line)
        if len(lines) == 6:
            raise KilledError

    lines: list[dict[str, float]] = []
    with pytest.raises(KilledError):
        trained(base, tmp_path / "cut", on_log=hear)
    cut = trained(base, tmp_path / "cut", resume=True)
    whole = trained(base, tmp_path / "whole")
    np.testing.assert_array_equal(score(cut.model, CHATS).values, score(whole.model, CHATS).values)
    assert cut.evaluations == whole.evaluations


def test_all_processes_know_what_the_first_found_and_what_it_could_not_find(group, monkeypatch):
    monkeypatch.setattr(distributed, "world", lambda: 2)
    assert distributed.shared(lambda: {"rows": 3}) == {"rows": 3}
    with pytest.raises(ZeroDivisionError):
        distributed.shared(lambda: 1 // 0)
    assert distributed.summed(3, 4) == [3, 4]
    told = []
    monkeypatch.setattr(distributed, "shared", lambda make: told.append(make()))
    with distributed.followers() as call_them:
        call_them()
    assert told == [True, False], "to work, and home"
    for error, after in ((ZeroDivisionError, [True, False]), (KeyboardInterrupt, [True])):
        told.clear()
        with suppress(error), distributed.followers() as call_them:
            call_them()
            raise error
        assert told == after, "home with an error too; by Ctrl-C all of them end"


def test_the_others_take_part_and_record_nothing(tmp_path, monkeypatch):
    did = []
    for called in (True, False):
        monkeypatch.setattr(distributed, "first", lambda: False)
        monkeypatch.setattr(distributed, "called", lambda answer=called: answer)
        outcome = settle(tmp_path / "cell", {}, lambda: ({}, lambda record: did.append(record) or {}))
        assert (outcome.status, outcome.new) == ("followed", False)
    assert did == [{"run_id": "cell", "settings": {}}]
    assert not (tmp_path / "cell").exists()
