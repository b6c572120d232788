"""The list of a sweep's cells: written before it begins, live as long as its process is."""

import multiprocessing
import os
import signal

import pytest

from rm_selection import sweeps
from rm_selection.errors import StudyError

CELLS = {"runs/a@sft__pairs__regression__s1-0": 1.5, "runs/b@sft__pairs__regression__s1-0": None}


def test_a_list_comes_back_and_is_live_until_the_block_ends(tmp_path):
    with sweeps.kept():
        sweeps.write(tmp_path, "train", ["base=a,b"], CELLS)
        (sweep,) = sweeps.read(tmp_path)
        assert (sweep.command, list(sweep.words), dict(sweep.cells), sweep.live) == ("train", ["base=a,b"], CELLS, True)
    (sweep,) = sweeps.read(tmp_path)
    assert not sweep.live


def test_a_new_sweep_takes_the_place_of_an_ended_one_of_its_command(tmp_path):
    for command in ("train", "measure", "train"):
        with sweeps.kept():
            sweeps.write(tmp_path, command, [], CELLS)
    assert sorted(sweep.command for sweep in sweeps.read(tmp_path)) == ["measure", "train"]


def test_two_sweeps_of_a_command_may_run_at_once(tmp_path):
    with sweeps.kept():
        sweeps.write(tmp_path, "train", ["seed=1"], CELLS)
        sweeps.write(tmp_path, "train", ["seed=2"], CELLS)
        assert sorted(sweep.words[0] for sweep in sweeps.read(tmp_path) if sweep.live) == ["seed=1", "seed=2"]


def _sweep_and_die(folder):
    with sweeps.kept():
        sweeps.write(folder, "train", [], CELLS)
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_sweep_is_not_live(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=_sweep_and_die, args=(tmp_path,))
    process.start()
    process.join()
    (sweep,) = sweeps.read(tmp_path)
    assert (dict(sweep.cells), sweep.live) == (CELLS, False)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"command": "train", "words": 1, "cells": {}}'])
def test_a_list_that_is_none_is_refused_with_the_way_out(tmp_path, text):
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "train-0.json").write_text(text)
    with pytest.raises(StudyError, match=r"train-0.json is no list of a sweep's cells; remove it"):
        sweeps.read(tmp_path)


def test_a_study_without_sweeps_has_none(tmp_path):
    assert sweeps.read(tmp_path) == []
