"""Cells of a sweep on a tiny Llama: trained, scored, recorded, found again, killed and continued."""

import json
import re
import shutil
import signal
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import ranks
import torch
from tiny_models import checkpoint, pairs, ratings
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from rm_selection import bradley_terry, evaluate, runs, sweeps, train
from rm_selection.errors import MissingModelError, NonFiniteLossError, OutOfMemoryError
from rm_selection.protocol import steps
from rm_selection.reward_model import reload
from rm_selection.scoring import rewards, score
from rm_selection.work import Work

QUICK = (
    "training.global_batch=8",
    "training.micro_batch=4",
    "training.warmup_steps=1",
    "training.checkpoint_steps=2",
    "training.max_steps=6",
    "dataset.max_length=128",
    "objective.rates=[3e-3]",
    "tracking=off",
    "hardware=cpu",
)


def write(path: Path, rows: list) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A base model and files of pairs and ratings."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("world")
    checkpoint(folder / "base")
    for name, start, count in (("train", 0, 48), ("validation", 100, 12), ("test", 200, 24)):
        write(folder / f"{name}.jsonl", [asdict(pair) for pair in pairs(count, start)])
    rated = [{**asdict(row), **row.ratings} for row in ratings(48)]
    write(folder / "ratings.jsonl", [{k: v for k, v in row.items() if k != "ratings"} for row in rated])
    return folder


def words(world: Path, *changes: str) -> list[str]:
    """The command line of a Bradley-Terry cell."""
    return [
        "base=local",
        f"base.path={world / 'base'}",
        "dataset=jsonl",
        f"dataset.train={world / 'train.jsonl'}",
        f"dataset.validation={world / 'validation.jsonl'}",
        "evaluation=jsonl",
        f"evaluation.path={world / 'test.jsonl'}",
        f"output={world / 'outputs'}",
        *QUICK,
        *changes,
    ]


def rated(world: Path, *changes: str) -> list[str]:
    given = [f"dataset.train={world / 'ratings.jsonl'}", "dataset.kind=ratings", "dataset.attributes=[help,length]"]
    given += ["dataset.low=0", "dataset.high=4", f"dataset.pairs={world / 'validation.jsonl'}", "objective=regression"]
    left = [word for word in words(world) if not word.startswith(("dataset.train", "dataset.validation"))]
    return [*left, *given, "dataset.validation_share=0.3", *changes]


def call(module, *line: str) -> int:
    """Run a command in this process; returns its exit code."""
    sys.argv = [module.__name__, *line]
    try:
        module.main()
    except SystemExit as left:
        return int(left.code or 0)
    return 0


@pytest.fixture(autouse=True)
def argv(monkeypatch):
    monkeypatch.setattr(sys, "argv", [])


def only(folder: Path) -> Path:
    (run,) = (folder / "runs").iterdir()
    return run


@pytest.fixture(scope="module")
def trained(world) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [])
        assert call(train, *words(world, "study=one", "objective.rates=[1e-5,3e-3]")) == 0
    return only(world / "outputs" / "one")


def test_a_cell_leaves_one_whole_record(trained):
    record = json.loads((trained / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["run_id"] == trained.name
    assert record["checkpoint"]["name"] == "local@instruct"
    assert record["scores"]["jsonl"]["n"] == 24
    assert record["data"]["train"]["counts"]["read"] == 48
    assert sorted(p.name for p in trained.iterdir()) == [".lock", "log.jsonl", "model", "run.json", "scores.parquet"]


def test_the_search_keeps_the_best_rate_and_the_losers_scores(trained):
    training = json.loads((trained / "run.json").read_text())["training"]
    assert [trial["rate"] for trial in training["trials"]] == [1e-5, 3e-3]
    assert training["value"] == max(trial["value"] for trial in training["trials"])


def test_what_runs_together_is_no_other_cell_and_a_climb_is(trained, world, capsys):
    """A finished cell is found again however its rows were batched; the record says how they were."""
    line = words(world, "study=one", "objective.rates=[1e-5,3e-3]")
    record = json.loads((trained / "run.json").read_text())
    assert record["shared_prompts"] == {"used": True}
    assert "search" not in record["settings"]["objective"], "cells trained before there was a choice keep their names"
    assert call(train, *line, "hardware.shared_prompts=false", "hardware.micro_tokens=100") == 0
    assert only(world / "outputs" / "one") == trained
    line = words(world, "study=climbed", "objective.rates=[1e-5,3e-3]", "hardware.shared_prompts=false")
    assert call(train, *line, "objective.search=climb") == 0
    climbed = json.loads((only(world / "outputs" / "climbed") / "run.json").read_text())
    assert climbed["settings"]["objective"]["search"] == "climb"
    assert climbed["run_id"] != record["run_id"]
    assert climbed["shared_prompts"] == {"used": False, "reason": "hardware.shared_prompts=false"}
    assert climbed["training"]["rate"] == record["training"]["rate"]
    assert climbed["scores"]["jsonl"]["score"] == pytest.approx(record["scores"]["jsonl"]["score"], abs=5)
    assert call(train, *line, "objective.search=random") == 2
    assert "objective.search=random is not allowed; give grid or climb" in capsys.readouterr().err


def test_the_accuracy_is_that_of_the_saved_pairs_and_of_the_saved_model(trained, world):
    scores = pd.read_parquet(trained / "scores.parquet")
    right = (scores["reward_chosen"] > scores["reward_rejected"]).mean()
    record = json.loads((trained / "run.json").read_text())
    assert record["scores"]["jsonl"]["score"] == pytest.approx(100 * right)
    rm = reload(trained / "model")
    chosen = [pair.conversations[0] for pair in pairs(24, 200)]
    by_id = scores.set_index("id").loc[[pair.id for pair in pairs(24, 200)], "reward_chosen"]
    found = rewards(rm, score(rm, chosen).values)  # of one side alone, which rounds otherwise than beside the other
    np.testing.assert_allclose(found, by_id.to_numpy(), atol=1e-5)


def test_the_model_loads_in_plain_transformers_and_has_a_card(trained):
    model = AutoModelForSequenceClassification.from_pretrained(trained / "model")
    AutoTokenizer.from_pretrained(trained / "model")
    assert model.config.num_labels == 1
    card = (trained / "model" / "README.md").read_text()
    assert "trained from local@instruct by rm-selection" in card
    assert str(trained.parent) not in card  # nor the path of anybody's folder
    assert "| jsonl |" in card


def test_a_finished_cell_is_not_run_again(trained, world, capsys):
    before = {p: p.stat().st_mtime_ns for p in trained.rglob("*") if p.is_file() and p.name != ".lock"}
    assert call(train, *words(world, "study=one", "objective.rates=[1e-5,3e-3]")) == 0
    assert "finished before" in capsys.readouterr().out
    assert before == {p: p.stat().st_mtime_ns for p in trained.rglob("*") if p.is_file() and p.name != ".lock"}


def test_a_finished_record_outlives_the_loss_of_its_base(trained, world, capsys):
    before = (trained / "run.json").read_bytes()
    (world / "base").rename(world / "elsewhere")
    try:
        assert call(train, *words(world, "study=one", "objective.rates=[1e-5,3e-3]")) == 2
    finally:
        (world / "elsewhere").rename(world / "base")
    assert "does not exist" in capsys.readouterr().err
    assert (trained / "run.json").read_bytes() == before


def test_changed_data_under_the_same_name_are_refused(trained, world, capsys):
    text = (world / "train.jsonl").read_text()
    try:
        (world / "train.jsonl").write_text(text.replace("Q7?", "Q8?"))
        assert call(train, *words(world, "study=one", "objective.rates=[1e-5,3e-3]")) == 2
    finally:
        (world / "train.jsonl").write_text(text)
    assert "was finished with train=" in capsys.readouterr().err


def test_ratings_become_one_reward_by_the_merge_vector(world):
    assert call(train, *rated(world, "study=rated")) == 0
    record = json.loads((only(world / "outputs" / "rated") / "run.json").read_text())
    assert set(record["training"]["merge_vector"]) == {"help", "length"}
    assert record["training"]["metric"] == "validation_loss"
    assert reload(only(world / "outputs" / "rated") / "model").weights is not None


def test_a_sweep_records_what_failed_and_finishes_the_rest(world, capsys):
    """One base is missing, one stage is not published, one loss explodes; the fourth cell is done."""
    missing = [word for word in words(world, "study=sweep") if not word.startswith("base")]
    assert call(train, *missing, "base=local", "base.name=gone", f"base.path={world / 'nowhere'}") == 2
    assert call(train, *missing, "base=tulu3-8b", "stage=instruct") == 0
    assert call(train, *words(world, "study=sweep", "objective.rates=[1e30]")) == 2
    assert call(train, "-m", *words(world, "study=sweep"), "seed=0,1") == 0
    found = {record["run_id"]: record for record in runs.records(world / "outputs" / "sweep")}
    kinds = sorted(record.get("kind", record["status"]) for record in found.values())
    assert kinds == ["finished", "finished", "missing repository", "non-finite loss", "skipped"]
    skipped = next(record for record in found.values() if record["status"] == "skipped")
    assert "give stage=pretrained or stage=sft" in skipped["reason"]
    assert "failed: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("objective=regression", "learns from ratings, and dataset=jsonl holds pairs"),
        ("dataset.validation_share=null", "both null"),
        ("hardware.device=cuda", "no CUDA device"),
        ("stage=chat", "stage=chat is not allowed; give pretrained or instruct"),
        ("training.max_steps=-1", "training.max_steps=-1 is not allowed; give a whole number from 1 to"),
        ("training.max_steps=0", "training.max_steps=0 is not allowed; give a whole number from 1 to"),
        ("training.lora_rank=0", "training.lora_rank=0 is not allowed; give a whole number from 1 to"),
        ("training.rate_factor=0", "training.rate_factor=0.0 is not allowed; give a number above 0"),
        ("objective.epochs=-1", "objective.epochs=-1 is not allowed; give a whole number from 1 to"),
        ("objective.rates=[]", "objective.rates=[] is not allowed; give one learning rate or more"),
        ("objective.rates=[1e-3,-1e-3]", "objective.rates=-0.001 is not allowed; give a number above 0"),
        ("objective.rates=[nan]", "objective.rates=nan is not allowed; give a number above 0"),
        ("objective.rates=[1e-3,1.0000001e-3]", "rates that differ in their first six digits"),
        ("objective.centering=-1", "objective.centering=-1.0 is not allowed; give a weight, 0 or more, or null"),
        ("dataset.limit=0", "dataset.limit=0 is not allowed; give a whole number from 1 to"),
        ("dataset.validation_share=1.5", "dataset.validation_share=1.5 is not allowed; give a share above 0"),
        ("training.micro_batch=3", "a divisor of training.global_batch=8"),
        ("dataset.train=gone.jsonl", "gone.jsonl"),
    ],
)
def test_what_cannot_be_trained_is_told_in_one_sentence(world, tmp_path, capsys, change, message):
    line = [w for w in words(world, f"output={tmp_path}", "study=bad") if not w.startswith("dataset.validation=")]
    line = [w for w in line if w.partition("=")[0] != change.partition("=")[0]]
    assert call(train, *line, change) == 2
    assert message in capsys.readouterr().err


def test_rows_left_out_are_counted_from_the_first_that_was_read(world, tmp_path):
    """Of 48 rows one is empty, five are long in bytes, and a base that knows letters only must not leave out more."""
    rows = [asdict(pair) for pair in pairs(48)]
    rows[0]["chosen"] = []
    for place in range(1, 6):
        rows[place]["chosen"] = [{"role": "assistant", "content": "a" * 400}]
    for place in range(6, 30):
        rows[place]["chosen"] = [{"role": "assistant", "content": "yes" + "a" * 60}]
    line = [*words(world, f"output={tmp_path}"), f"dataset.train={write(tmp_path / 'train.jsonl', rows)}"]
    line = [word for word in line if not word.startswith("dataset.max_length")] + ["dataset.max_length=50"]
    for common, kept in (("true", 42), ("false", 18)):
        assert call(train, *line, f"study=common-{common}", f"dataset.common_subset={common}") == 0
        record = json.loads((only(tmp_path / f"common-{common}") / "run.json").read_text())
        counts = record["data"]["train"]["counts"]
        assert (counts["read"], counts["kept"]) == (48, kept)
        assert sum(n for name, n in counts.items() if name.startswith("dropped_")) == 48 - kept
        assert counts["dropped_over_long"] == 47 - kept
        assert record["training"]["counts"]["kept"] == kept, "the trainer leaves out no more"
        assert reload(only(tmp_path / f"common-{common}") / "model").max_length == 50, "scored as ever"


def test_a_training_has_one_step_at_least():
    assert steps(rows=112, epochs=1, global_batch=16, max_steps=None) == 7
    assert steps(rows=112, epochs=1, global_batch=16, max_steps=3) == 3
    assert [
        steps(rows=112, epochs=epochs, global_batch=16, max_steps=most) for epochs, most in ((1, -1), (0, None))
    ] == [
        1,
        1,
    ]


def test_training_prompts_that_are_evaluated_on_are_refused(world, tmp_path, capsys):
    assert call(train, *words(world, f"output={tmp_path}", f"evaluation.path={world / 'train.jsonl'}")) == 2
    assert "dataset.drop_overlap=true" in capsys.readouterr().err


def test_rows_that_choose_and_are_evaluated_on_are_refused_or_left_out(world, tmp_path, capsys):
    """Those that pick the checkpoint, and those that choose the merge vector."""
    test, both = world / "test.jsonl", tmp_path / "both.jsonl"
    both.write_text((world / "validation.jsonl").read_text() + test.read_text())
    for given, part, name in ((words(world), "validation", "validation"), (rated(world), "pairs", "merge")):
        line = [word for word in given if not word.startswith(f"dataset.{part}=")] + [f"output={tmp_path}"]
        assert call(train, *line, f"dataset.{part}={test}") == 2
        assert f"100.0% of the evaluation prompts (24 of 24) are in the {name} data" in capsys.readouterr().err
        assert call(train, *line, f"dataset.{part}={test}", "dataset.drop_overlap=true") == 2
        assert f"dataset.drop_overlap=true leaves none of the 24 {name} rows" in capsys.readouterr().err
        assert call(train, *line, f"dataset.{part}={both}", "dataset.drop_overlap=true", f"study={part}") == 0
        record = json.loads((only(tmp_path / part) / "run.json").read_text())
        assert record["data"]["overlap"][name] == 1.0
        assert (record["data"]["overlap"]["share"], record["data"]["overlap"]["training_rows"]) == (0, 0)
        assert (record["data"][part]["rows"], record["data"][part]["counts"]["dropped_overlap"]) == (12, 24)


def test_a_killed_run_ends_with_the_scores_of_one_never_killed(world):
    """SIGKILL after the second log line and after the first checkpoint; the same command goes on each time."""
    slow = ("objective.epochs=2", "training.max_steps=12", "seed=5")
    line = words(world, "study=killed", *slow)
    for wanted in ("log.jsonl", "whole.json"):
        (process,) = ranks.start(ranks.command, *line)
        root = world / "outputs" / "killed"
        while process.is_alive() and not list(root.rglob(wanted)):
            time.sleep(0.005)
        process.kill()
        assert ranks.wait([process]) == [-signal.SIGKILL]
    assert ranks.wait(ranks.start(ranks.command, *line)) == [0]
    assert ranks.wait(ranks.start(ranks.command, *words(world, "study=whole", *slow))) == [0]
    killed, whole = (
        pd.read_parquet(only(world / "outputs" / study) / "scores.parquet") for study in ("killed", "whole")
    )
    pd.testing.assert_frame_equal(killed, whole, check_exact=True)


@pytest.mark.parametrize(("file", "name"), [("train.jsonl", "train data"), ("base/model.safetensors", "weights")])
def test_a_stopped_run_does_not_go_on_with_other_data_or_weights(world, tmp_path, capsys, monkeypatch, file, name):
    """Half a training on each would be neither; whoever wants it anew says so."""
    shutil.copytree(world, tmp_path, dirs_exist_ok=True)
    line = words(tmp_path, "study=other")

    def stop(self: Work, line: dict[str, float]) -> None:
        if line["step"] == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Work, "_log", stop)
        assert call(train, *line) == 130
    if file == "train.jsonl":
        write(tmp_path / file, [asdict(pair) for pair in pairs(48, 300)])
    else:
        checkpoint(tmp_path / "base", seed=1)
    capsys.readouterr()
    assert call(train, *line) == 2
    assert f"was begun with {name}=" in (told := capsys.readouterr().err)
    assert "training.resume=false" in told
    assert call(train, *line, "training.resume=false") == 0


def test_an_existing_model_is_scored_into_the_same_record(trained, world):
    line = [f"model={trained / 'model'}", "evaluation=jsonl", f"evaluation.path={world / 'test.jsonl'}", "hardware=cpu"]
    assert call(evaluate, *line, f"output={world / 'outputs'}", "study=others") == 0
    other = json.loads((only(world / "outputs" / "others") / "run.json").read_text())
    ours = json.loads((trained / "run.json").read_text())
    assert other["scores"]["jsonl"]["score"] == ours["scores"]["jsonl"]["score"]
    assert call(evaluate, *line, f"output={world / 'outputs'}", "study=others") == 0


def test_adapters_on_their_base_are_scored_alike(world, tmp_path):
    assert call(train, *words(world, f"output={tmp_path}", "study=lora", "training=lora")) == 0
    ours = only(tmp_path / "lora")
    line = [f"model={ours / 'model'}", "evaluation=jsonl", f"evaluation.path={world / 'test.jsonl'}", "hardware=cpu"]
    assert call(evaluate, *line, f"output={tmp_path}", "study=others") == 0
    records = [json.loads((folder / "run.json").read_text()) for folder in (ours, only(tmp_path / "others"))]
    assert records[0]["scores"]["jsonl"]["score"] == records[1]["scores"]["jsonl"]["score"]


def test_a_model_that_is_none_is_refused(world, tmp_path, capsys):
    line = ["evaluation=jsonl", f"evaluation.path={world / 'test.jsonl'}", f"output={tmp_path}"]
    assert call(evaluate, f"model={tmp_path / 'none'}", *line) == 2
    assert "is no folder" in capsys.readouterr().err
    assert call(evaluate, *line) == 2
    assert "model" in capsys.readouterr().err


def test_a_sweep_of_six_ends_with_three_done_and_says_which_failed_and_why(world, monkeypatch, capsys):
    """Memory ends, the loss is no number, a repository is missing: the other three go on."""
    broken = {
        3: OutOfMemoryError("the device has too little memory; halve training.micro_batch"),
        4: NonFiniteLossError("loss is nan at step 1"),
        5: MissingModelError("nobody/nothing is not on the Hub"),
    }
    real = bradley_terry.train

    def train_or_break(rm, train, validation, protocol, run):
        if protocol.seed in broken:
            raise broken[protocol.seed]
        return real(rm, train, validation, protocol, run)

    monkeypatch.setattr(bradley_terry, "train", train_or_break)
    assert call(train, "-m", *words(world, "study=six"), "seed=0,1,2,3,4,5") == 2
    found = runs.records(world / "outputs" / "six")
    assert [record["status"] for record in found].count("finished") == 3
    assert {record["kind"] for record in found if record["status"] == "failed"} == {
        "out of memory",
        "non-finite loss",
        "missing repository",
    }
    last = capsys.readouterr().err.splitlines()[-3:]
    for line, reason in zip(last, broken.values(), strict=True):
        assert str(reason) in line
    monkeypatch.setattr(bradley_terry, "train", real)
    assert call(train, "-m", *words(world, "study=six"), "seed=0,1,2,3,4,5") == 0
    assert capsys.readouterr().out.count("finished before") == 3


def test_worker_processes_sweep_and_their_failures_reach_the_last_lines(world, capfd):
    line = words(world, "study=workers", "seed=0,1", "objective.rates=[3e-3],[1e30]", "hardware.threads=1")
    assert call(train, "-m", *line, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2") == 2
    found = runs.records(world / "outputs" / "workers")
    assert sorted(record["status"] for record in found) == ["failed", "failed", "finished", "finished"]
    (sweep,) = sweeps.read(world / "outputs" / "workers")
    assert {f"runs/{record['run_id']}" for record in found} == set(sweep.cells), "as planned before they began"
    first, *last = capfd.readouterr().err.splitlines()[-3:]
    assert first == "error: 2 jobs failed:"
    assert all(re.search(r"__s\d.* failed: (validation_)?loss is (nan|inf) at step", one) for one in last), last


def test_a_glob_of_bases_with_both_objectives_is_one_sweep(tmp_path, monkeypatch):
    """Without the Hub every cell ends as failed, at once, each objective with its own kind of data."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    line = ["base=glob(qwen2.5-*)", "objective=bradley_terry,regression", "seed=1,2,3", "tracking=off"]
    assert call(train, "-m", *line, f"output={tmp_path}") == 2
    found = runs.records(tmp_path / "train")
    assert len(found) == 4 * 2 * 3
    assert {record["kind"] for record in found} == {"missing repository"}
    assert {r["run_id"].split("__")[1:3] == ["helpsteer2", "regression"] for r in found} == {True, False}
    (sweep,) = sweeps.read(tmp_path / "train")
    assert {f"runs/{record['run_id']}" for record in found} == set(sweep.cells)
    assert sorted(set(sweep.cells.values())) == [0.49, 1.54, 3.09, 7.62]


def test_a_cell_another_process_works_on_is_left_to_it(world, capsys):
    line = words(world, "study=busy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "locked", lambda _: nullcontext(False))
        assert call(train, *line) == 0
    assert "busy: another process works on it" in capsys.readouterr().out
    assert not runs.records(world / "outputs" / "busy")
