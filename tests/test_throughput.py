"""Ours against stock TRL, timed in one process."""

import json
import sys
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import tiny_models

from rm_selection import speed, throughput
from rm_selection.speed_inputs import drawn
from rm_selection.throughput_settings import LengthsConfig


def same(word: str, other: str) -> bool:
    return word.partition("=")[0] == other.partition("=")[0]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """The command on a tiny model and 24 pairs; its exit code, what it said, and the table."""
    tiny_models.checkpoint(tmp_path / "base")
    rows = [json.dumps(asdict(pair)) + "\n" for pair in tiny_models.pairs(24)]
    (tmp_path / "pairs.jsonl").write_text("".join(rows))

    def call(*changes: str):
        words = [
            f"model={tmp_path / 'base'}",
            f"pairs={tmp_path / 'pairs.jsonl'}",
            f"table={tmp_path / 'new' / 't.csv'}",
        ]
        words += [
            "hardware=cpu",
            "hardware.threads=1",
            "training.global_batch=8",
            "training.micro_batch=2",
            "repeats=2",
            *changes,
        ]
        words = [word for word in words if word in changes or not any(same(word, change) for change in changes)]
        monkeypatch.setattr(sys, "argv", ["throughput", *words])
        try:
            throughput.main()
        except SystemExit as left:
            return int(left.code), capsys.readouterr().err, None
        return 0, capsys.readouterr().out, pd.read_csv(tmp_path / "new" / "t.csv")

    return call


def test_each_way_is_told_beside_stock_trl_with_the_same_losses(run):
    _, said, table = run()
    assert table[["task", "way"]].values.tolist() == [
        [task, way] for task in ("train", "score") for way in ("stock", "sorted", "shared")
    ]
    assert (table["low"] <= table["pairs_per_s"]).all()
    assert (table["pairs_per_s"] <= table["high"]).all()
    by = table.set_index(["task", "way"])
    assert by.loc[("train", "stock"), "times_stock"] == 1
    assert by.loc["train", "loss_difference"].max() < 1e-4
    assert by.loc["train", "padded"].tolist() == sorted(by.loc["train", "padded"], reverse=True)
    assert by.loc[("score", "shared"), "padded"] == 0
    assert by.loc[("score", "shared"), "run"] < 1 < by.loc[("score", "stock"), "run"]
    assert "times_stock" in said


def test_figures_are_added_to_the_table(run):
    run("repeats=1")
    _, _, table = run("repeats=1", "shape=260k")
    assert table["shape"].tolist() == ["base"] * 6 + ["260k"] * 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "training.global_batch=32",
            "24 pairs fit and a repeat takes training.global_batch x steps = 32; lower either",
        ),
        ("training.micro_batch=3", "training.micro_batch=3 is not allowed; give a divisor of training.global_batch=8"),
        ("shape=3b", "shape=3b is not allowed; give tiny, 260k, 15m, 1b, 7b, or null for the checkpoint itself"),
        ("tasks=[speak]", "tasks=['speak'] is not allowed; give [train,score], [train] or [score]"),
        ("model=null", "nothing to time: give shape=15m for a random Llama, or model=FOLDER for a checkpoint"),
        ("benchmark=arena", "benchmark=arena is not allowed; give rewardbench or"),
        ("rate=-1", "rate=-1.0 is not allowed; give a number above 0"),
        ("limit=-3", "limit=-3 is not allowed; give a whole number from 1 to"),
        ("lengths.prompt_spread=-1", "lengths.prompt_spread=-1.0 is not allowed; give a number, 0 or more"),
        ("hardware=fsdp", "hardware=fsdp spreads a training, and throughput runs in one process"),
    ],
)
def test_what_cannot_be_measured_is_refused(run, change, message):
    code, said, _ = run(change)
    assert code == 2
    assert message in said


@pytest.mark.parametrize("name", ["", "model.safetensors", "config.json/t.csv"])
def test_a_table_that_cannot_be_appended_to_is_refused_before_anything_is_timed(run, tmp_path, monkeypatch, name):
    monkeypatch.setattr(speed, "measure", lambda _settings: pytest.fail("it was timed"))
    table = tmp_path / "base" / name
    code, said, _ = run(f"table={table}")
    assert code == 2
    assert f"table={table} cannot be appended to; give a CSV file" in said


def test_prompts_that_shall_not_be_shared_are_not_timed_so(run):
    _, said, table = run("hardware.shared_prompts=false", "repeats=1", "tasks=[score]")
    assert table["way"].tolist() == ["stock", "sorted"]
    assert "prompts are not shared: hardware.shared_prompts=false" in said


def test_lengths_alone_are_enough(run):
    """Without files; three chosen and three rejected responses a prompt are six conversations, not eighteen."""
    _, said, table = run(
        "model=null",
        "shape=tiny",
        "pairs=null",
        "responses=3",
        "training.global_batch=9",
        "training.micro_batch=3",
        "max_length=2048",
        "repeats=1",
        "limit=2",
    )
    by = table.set_index(["task", "way"])
    assert set(table["data"]) == {"chat, 3 x 3 responses"}
    assert by.loc[("score", "sorted"), "run"] < by.loc[("score", "stock"), "run"] / 2, "some of it is padding"
    assert by.loc[("score", "shared"), "run"] < 1 / 3
    assert (table["mfu"] > 0).all()
    assert (table["peak_gib"] > 0.05).all()
    assert "repeat 1 of 1: train, stock" in said


def test_adapters_are_timed_too(run):
    _, _, table = run(
        "training=lora", "training.global_batch=8", "training.micro_batch=2", "tasks=[train]", "repeats=1"
    )
    assert table["way"].tolist() == ["stock", "sorted", "shared"]
    assert table["loss_difference"].max() < 1e-4
    assert set(table["training"]) == {"lora"}


def test_drawn_pairs_have_the_lengths_asked_for_and_are_the_same_each_time():
    lengths = LengthsConfig("x", 50, 0.5, 200, 0.5, 400)
    found = drawn(lengths, 2000, 1)
    assert found == drawn(lengths, 2000, 1)
    prompts = [len(pair.prompt[0]["content"]) for pair in found]
    responses = [len(side[-1]["content"]) for pair in found for side in pair.conversations]
    assert np.median(prompts) == pytest.approx(50, rel=0.05)
    assert np.median(responses) == pytest.approx(200, rel=0.05)
    assert np.std(np.log(prompts)) == pytest.approx(0.5, rel=0.05)
    assert max(responses) == 400
