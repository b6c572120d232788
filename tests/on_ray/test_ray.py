"""Sweeps on a real ray cluster of two nodes on this machine, with killed workers."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pandas as pd
import pytest
import sweeps
from cluster import ENVIRONMENT, cluster
from test_train import words, world

__all__ = ["world"]
SEEDS = {1, 2, 3, 4}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with cluster() as address:
        yield address


def started(world: Path, study: str, *launcher: str) -> AbstractContextManager[sweeps.Sweep]:
    line = [*words(world, *sweeps.LONG), "seed=1,2,3,4", "hydra/launcher=ray", *launcher]
    return sweeps.started(world, study, line, ENVIRONMENT)


@pytest.fixture(scope="module")
def undisturbed(world, address) -> Path:
    """The study of a sweep to which nothing happened; two cells at once at most, one on each node."""
    with started(world, "undisturbed", f"hydra.launcher.address={address}") as sweep:
        at_once, nodes = 0, set()
        while sweep.process.poll() is None:
            busy = {pid for lock in sweep.study.glob("runs/*/.lock") if (pid := sweeps.holder(lock))}
            at_once = max(at_once, len(busy))
            nodes |= {parent for pid in busy if (parent := _parent(pid))}
            time.sleep(0.2)
        code, _, told = sweep.end()
    assert code == 0, told
    assert at_once == 2
    assert len(nodes) == 2
    return sweep.study


def _parent(process: int) -> int | None:
    """The process that started it: of a worker, its node."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except FileNotFoundError:
        return None


def test_four_cells_wait_for_the_two_slots_and_are_all_finished(undisturbed):
    assert sweeps.finished(undisturbed) == SEEDS


def test_the_cell_of_a_killed_worker_starts_again_and_ends_with_the_same_scores(world, address, undisturbed):
    with started(world, "again", f"hydra.launcher.address={address}") as sweep:
        os.kill(sweeps.in_training(sweep, seed=2), signal.SIGKILL)
        code, _, told = sweep.end()
    assert code == 0, told
    assert sweeps.finished(sweep.study) == SEEDS
    for seed in SEEDS:
        pd.testing.assert_frame_equal(
            sweeps.scores(sweep.study, seed), sweeps.scores(undisturbed, seed), check_exact=True
        )


def test_a_cell_whose_worker_is_killed_too_often_is_named_and_the_others_are_finished(world, address):
    with started(world, "lost", f"hydra.launcher.address={address}", "hydra.launcher.retries=0") as sweep:
        os.kill(sweeps.in_training(sweep, seed=1), signal.SIGKILL)
        code, _, told = sweep.end()
    assert code == 2
    assert told.splitlines()[-1].startswith("error: seed=1 was lost: ray says WorkerCrashedError (")
    assert sweeps.finished(sweep.study) == SEEDS - {1}


def test_ray_is_started_on_this_machine_where_no_address_is_given(world):
    with started(world, "here", "+hydra.launcher.init.num_cpus=2") as sweep:
        code, _, told = sweep.end()
    assert code == 0, told
    assert sweeps.finished(sweep.study) == SEEDS


def test_a_cluster_that_does_not_answer_is_told_in_one_sentence(world):
    with started(world, "nowhere", "hydra.launcher.address=127.0.0.1:1") as sweep:
        code, _, told = sweep.end()
    assert code == 2
    assert told.splitlines()[-1].startswith("error: no ray cluster answers at hydra.launcher.address=127.0.0.1:1 (")
