"""Sweeps as Slurm arrays on a real Slurm of this machine, with killed and requeued jobs."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pandas as pd
import pytest
import sweeps
from cluster import cluster
from test_train import words, world

__all__ = ["world"]
LAUNCHER = ("hydra/launcher=slurm", "hydra.launcher.minutes=10")
SEEDS = {1, 2, 3}


@pytest.fixture(scope="module")
def slurm() -> Iterator[dict[str, str]]:
    with cluster() as environment:
        yield environment


@pytest.fixture(autouse=True)
def no_job_is_left(slurm) -> Iterator[None]:
    yield
    control(slurm, "scancel", "--user=root")


@pytest.fixture(scope="module")
def undisturbed(world, slurm) -> Path:
    """The study of a sweep of three cells to which nothing happened."""
    with started(world, slurm, "undisturbed") as sweep:
        code, said, told = sweep.end()
    assert (code, told) == (0, "")
    assert "holds 3 jobs; logs in" in said
    return sweep.study


def started(world: Path, slurm: dict[str, str], study: str, *changes: str) -> AbstractContextManager[sweeps.Sweep]:
    line = [*words(world, *sweeps.LONG), "seed=1,2,3", *LAUNCHER, *changes]
    return sweeps.started(world, study, line, slurm)


def control(slurm: dict[str, str], *command: str) -> str:
    known = {**os.environ, **slurm}
    return subprocess.run(command, env=known, check=True, capture_output=True, text=True).stdout


def job_of(process: int) -> str:
    """<array>_<place> of the job that a process belongs to."""
    known = dict(word.split("=", 1) for word in Path(f"/proc/{process}/environ").read_text().split("\0") if "=" in word)
    return f"{known['SLURM_ARRAY_JOB_ID']}_{known['SLURM_ARRAY_TASK_ID']}"


def assert_same_scores(study: Path, undisturbed: Path) -> None:
    assert sweeps.finished(study) == SEEDS
    for seed in SEEDS:
        pd.testing.assert_frame_equal(sweeps.scores(study, seed), sweeps.scores(undisturbed, seed), check_exact=True)


def test_a_sweep_is_one_array_whose_cells_are_all_finished(undisturbed):
    assert sweeps.finished(undisturbed) == SEEDS
    scripts = {path.resolve() for path in (undisturbed / "slurm").glob("*submission.sh")}
    (script,) = (path.read_text() for path in scripts)
    assert "#SBATCH --array=0-2%3" in script
    assert "#SBATCH --requeue" in script


@pytest.mark.parametrize("how", ["kill -9 of its process", "scancel --signal=KILL"])
def test_a_killed_job_is_named_and_the_same_command_goes_on_with_it(world, slurm, undisturbed, how):
    study = f"killed-{how.split()[0]}"
    with started(world, slurm, study) as sweep:
        process = sweeps.in_training(sweep, seed=2)
        if how.startswith("kill"):
            os.kill(process, signal.SIGKILL)
        else:
            control(slurm, "scancel", "--signal=KILL", job_of(process))
        code, _, told = sweep.end()
    assert code == 2
    assert told.startswith("error: seed=2 was lost: Slurm job ")
    assert told.count("\n") == 1
    assert sweeps.finished(sweep.study) == SEEDS - {2}
    (lost,) = sweep.study.glob("runs/*__s2-*")
    assert list(lost.rglob("whole.json")), "its checkpoint is still there"
    with started(world, slurm, study) as sweep:
        code, _, told = sweep.end()
    assert (code, told) == (0, "")
    assert_same_scores(sweep.study, undisturbed)


@pytest.mark.parametrize("how", ["scontrol requeue", "SIGUSR2"])
def test_a_requeued_job_goes_on_to_the_same_scores(world, slurm, undisturbed, how):
    """Slurm kills and requeues a preempted job; SIGUSR2 is what it sends shortly before the time is over."""
    with started(world, slurm, f"requeued-{how.split()[-1]}") as sweep:
        process = sweeps.in_training(sweep, seed=1)
        job = job_of(process)
        if how == "SIGUSR2":
            control(slurm, "scancel", "--signal=USR2", job)
        else:
            control(slurm, "scontrol", "requeue", job)
        sweeps.until(lambda: not Path(f"/proc/{process}").exists())
        assert not list(sweep.study.glob("runs/*__s1-*/run.json")), "the first process finished the cell"
        sweeps.until(lambda: control(slurm, "squeue", "-h", "-j", job, "-o", "%t").strip() == "PD")
        control(slurm, "scontrol", "update", f"JobId={job}", "StartTime=now")  # instead of in two minutes
        code, _, told = sweep.end()
    assert (code, told) == (0, "")
    assert_same_scores(sweep.study, undisturbed)


def test_what_slurm_does_not_take_is_told_in_one_sentence(world, slurm):
    with started(world, slurm, "refused", "hydra.launcher.partition=none") as sweep:
        code, _, told = sweep.end()
    assert code == 2
    last = told.splitlines()[-1]  # behind sbatch's own
    assert last.startswith("error: Slurm does not take the jobs (")
    assert "Invalid partition name" in last
