"""A training that stops at a share of its steps, is scored, and goes on when more is wanted."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import pytest
from test_train import call, only, words, world  # noqa: F401

from rm_selection import cell_states, runs, train
from rm_selection.work import Work

LONG = ("objective.epochs=2", "training.max_steps=12", "training.checkpoint_steps=3", "seed=7")


@pytest.fixture(autouse=True)
def argv(monkeypatch):
    monkeypatch.setattr(sys, "argv", [])


@pytest.fixture(scope="module")
def parts(world) -> tuple[dict, dict, Path]:
    """The record at half of the steps and at the end, and its folder."""
    line = words(world, "study=parts", *LONG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [])
        assert call(train, *line, "until=0.5") == 0
        half = json.loads((only(world / "outputs" / "parts") / "run.json").read_text())
        assert call(train, *line) == 0
    folder = only(world / "outputs" / "parts")
    return half, json.loads((folder / "run.json").read_text()), folder


def test_a_part_is_scored_and_says_how_far_it_came(parts):
    half, _, _ = parts
    assert half["status"] == "partial"
    assert [part["share"] for part in half["partials"]] == [0.5]
    assert half["partials"][0]["scores"]["jsonl"] == half["scores"]["jsonl"]["score"]
    assert [one["step"] for one in half["training"]["evaluations"]] == [3, 6]


def test_the_whole_is_that_of_a_training_never_stopped(parts, world):
    assert call(train, *words(world, "study=unstopped", *LONG)) == 0
    whole = pd.read_parquet(only(world / "outputs" / "unstopped") / "scores.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(parts[2] / "scores.parquet"), whole, check_exact=True)


def test_the_whole_keeps_what_its_parts_came_to_and_cost(parts):
    half, whole, folder = parts
    assert whole["status"] == "finished"
    assert whole["partials"] == half["partials"]
    assert whole["cost"]["seconds"] > half["cost"]["seconds"]
    assert not (folder / "training").exists()


def test_a_part_that_is_there_is_not_trained_again(world, capsys):
    line = words(world, "study=again", *LONG)
    assert call(train, *line, "until=0.5") == 0
    before = (only(world / "outputs" / "again") / "run.json").read_bytes()
    assert call(train, *line, "until=0.25") == 0
    assert (only(world / "outputs" / "again") / "run.json").read_bytes() == before
    assert "partial" in capsys.readouterr().out
    (cell,) = cell_states.cells(world / "outputs" / "again", [])
    assert (cell.state, cell.scores) == (cell_states.PARTIAL, {})


def test_a_part_made_from_other_data_is_refused(world, capsys):
    line = words(world, "study=changed", *LONG)
    assert call(train, *line, "until=0.25") == 0
    text = (world / "train.jsonl").read_text()
    try:
        (world / "train.jsonl").write_text(text.replace("Q7?", "Q8?"))
        assert call(train, *line) == 2  # nor is it gone on with
    finally:
        (world / "train.jsonl").write_text(text)
    assert "with train=" in capsys.readouterr().err


def test_a_part_of_a_training_that_was_killed_further_on_is_that_of_one_stopped_there(world, monkeypatch):
    """Its best checkpoint by then was dropped for a later one; the whole still goes on from where it was killed."""
    slow = [word for word in words(world, *LONG) if not word.startswith("objective.rates")] + ["objective.rates=[5e-5]"]

    def stop(self: Work, line: dict[str, float]) -> None:
        seen.append(line["step"])
        if line["step"] == 11:
            raise KeyboardInterrupt

    def part(study: str) -> tuple[dict, pd.DataFrame]:
        assert call(train, *slow, f"study={study}", "until=0.25") == 0
        folder = only(world / "outputs" / study)
        return json.loads((folder / "run.json").read_text()), pd.read_parquet(folder / "scores.parquet")

    seen: list[float] = []
    with monkeypatch.context() as patched:
        patched.setattr(Work, "_log", stop)
        assert call(train, *slow, "study=further") == 130
    (left,) = (world / "outputs" / "further").glob("runs/*/training/rate-*/checkpoint-9/whole.json")
    assert json.loads(left.read_text())["best_step"] > 3
    (killed, scores), (fresh, expected) = part("further"), part("fresh")
    pd.testing.assert_frame_equal(scores, expected, check_exact=True)
    assert killed["partials"][0]["scores"] == fresh["partials"][0]["scores"]
    assert {k: v for k, v in killed["training"].items() if k not in ("seconds", "trials")} == {
        k: v for k, v in fresh["training"].items() if k not in ("seconds", "trials")
    }
    seen.clear()
    with monkeypatch.context() as patched:
        patched.setattr(Work, "_log", lambda self, line: seen.append(line["step"]))
        assert call(train, *slow, "study=further") == 0
    assert min(seen) == 10


@pytest.mark.parametrize("until", ["0", "1.5", "-1"])
def test_a_share_that_is_none_is_refused(world, capsys, until):
    assert call(train, *words(world, "study=none"), f"until={until}") == 2
    assert f"until={float(until)} is not allowed; give a share of the steps" in capsys.readouterr().err


def test_a_partial_record_is_no_finished_one(parts):
    half, whole, _ = parts
    assert not runs.known_base(half)
    assert runs.known_base(whole)
