"""Ours against stock TRL, timed in one process."""

import json
import sys
from dataclasses import asdict

import pandas as pd
import pytest
import tiny_models

from rm_selection import throughput


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
        words += ["hardware=cpu", "hardware.threads=1", "global_batch=8", "micro_batch=2", "repeats=2", *changes]
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
        ("global_batch=32", "24 pairs fit and a repeat takes global_batch x steps = 32; lower either"),
        ("micro_batch=3", "micro_batch=3 is not allowed; give a divisor of global_batch=8"),
        ("shape=3b", "shape=3b is not allowed; give 260k, 15m, 1b, 7b, or null for the checkpoint itself"),
        ("hardware=fsdp", "hardware=fsdp spreads a training, and throughput runs in one process"),
    ],
)
def test_what_cannot_be_measured_is_refused(run, change, message):
    code, said, _ = run(change)
    assert code == 2
    assert message in said
