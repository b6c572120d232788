"""What the launchers share, and how they wait for Slurm; the engines themselves: tests/on_slurm, tests/on_ray."""

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from rm_selection import config
from rm_selection.errors import ConfigError, FitError
from rm_selection.jobs import Refusals
from rm_selection.launchers import on_ray, on_slurm
from rm_selection.launchers.job import Job, Lost, gpus_of, settled
from rm_selection.launchers.names import keep_ours
from rm_selection.launchers.settings import RaySettings, SlurmSettings

GIVEN = OmegaConf.merge(OmegaConf.load(config.CONF / "hydra" / "launcher" / "slurm.yaml"), {"folder": "logs"})
SETTINGS = config.typed(SlurmSettings, OmegaConf.masked_copy(GIVEN, [key for key in GIVEN if key != "_target_"]))


def job(number: int, *overrides: str, device: str | None = None) -> Job:
    hardware = {} if device is None else {"hardware": {"device": device}}
    return Job(number, list(overrides), None, OmegaConf.create(hardware), None, None)


def failed(error: Exception) -> JobReturn:
    return JobReturn(status=JobStatus.FAILED, _return_value=error)


@pytest.mark.parametrize(
    ("device", "wanted", "there", "gpus"),
    [
        ("auto", None, True, 1),
        ("auto", None, False, 0),
        ("cpu", None, True, 0),
        (None, None, True, 1),
        ("cpu", 2, False, 2),
    ],
)
def test_a_job_gets_one_gpu_where_there_is_one_unless_it_is_told_otherwise(device, wanted, there, gpus):
    assert gpus_of(job(0, device=device), wanted, there) == gpus


def test_a_lost_job_is_named_by_what_tells_it_from_the_others(tmp_path):
    jobs = [job(0, "base=a", "seed=1", "study=x"), job(1, "base=a", "seed=2", "study=x")]
    results = settled(jobs, [JobReturn(status=JobStatus.COMPLETED), Lost("it was killed")], Refusals(tmp_path))
    assert [result.return_value for result in results] == [None, None]
    assert Refusals(tmp_path).told() == ["seed=2 was lost: it was killed; give the same command again to go on with it"]


def test_a_refusal_from_another_machine_is_noted_in_its_place_and_a_defect_is_left_to_hydra(tmp_path):
    jobs = [job(0, "seed=1"), job(1, "seed=2"), job(2, "seed=3")]
    results = [failed(FitError("no fit")), failed(KeyError("defect")), Lost("it was killed")]
    first, second, _ = settled(jobs, results, Refusals(tmp_path))
    assert first.status is JobStatus.COMPLETED
    assert second is results[1]
    assert [line.split(";")[0] for line in Refusals(tmp_path).told()] == ["no fit", "seed=3 was lost: it was killed"]


def test_slurm_may_start_a_job_again_and_gives_no_gpu_that_is_not_asked_for():
    found = on_slurm._parameters(SETTINGS, gpus=0)
    assert found["additional_parameters"] == {"requeue": True}
    assert "gpus_per_node" not in found
    assert on_slurm._parameters(SETTINGS, gpus=1)["gpus_per_node"] == 1


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere"])
def test_a_ray_cluster_that_does_not_answer_is_told_before_ray_waits_for_it(address):
    ray = SimpleNamespace(is_initialized=lambda: False, init=lambda **_: pytest.fail("ray was asked"))
    with pytest.raises(ConfigError, match=f"no ray cluster answers at hydra.launcher.address={address} "):
        on_ray._connect(ray, RaySettings(address=address, gpus=None, cpus=1, retries=0, init={}))


def test_without_an_address_ray_starts_here_and_tells_nobody(monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    given = {}
    ray = SimpleNamespace(is_initialized=lambda: False, init=lambda **words: given.update(words))
    on_ray._connect(ray, RaySettings(address=None, gpus=None, cpus=1, retries=0, init={"num_cpus": 2}))
    assert given == {"address": "local", "include_dashboard": False, "num_cpus": 2}
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """A squeue that answers as told, and jobs whose results are files."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(on_slurm, "TICK", 0.01)
    monkeypatch.setattr(on_slurm, "PAUSE", (0.01, 0.02))
    monkeypatch.setattr(on_slurm, "PATIENCE", 0.05)

    def answers(script: str) -> list[SimpleNamespace]:
        (tmp_path / "squeue").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "squeue").chmod(0o755)
        paths = [SimpleNamespace(result_pickle=tmp_path / f"{n}.pkl", stderr=tmp_path / f"{n}.err") for n in range(2)]
        return [SimpleNamespace(job_id=f"7_{n}", paths=path) for n, path in enumerate(paths)]

    return answers


@pytest.mark.parametrize("script", ["exit 0", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"])
def test_the_wait_for_slurm_ends_when_the_jobs_left_the_queue(queue, script):
    jobs = queue(script)
    on_slurm._wait(jobs, "7")
    assert not jobs[0].paths.result_pickle.exists()


def test_the_wait_for_slurm_outlasts_a_queue_that_does_not_answer(queue, tmp_path):
    """It fails five times, then the jobs run; their results end the wait."""
    done = " ".join(str(tmp_path / f"{n}.pkl") for n in range(2))
    count = tmp_path / "asked"
    jobs = queue(f"echo x >> {count}; test $(wc -l < {count}) -gt 5 || exit 1; touch {done}; echo 7_0")
    on_slurm._wait(jobs, "7")
    assert len(count.read_text().split()) == 6


def test_a_result_that_is_seen_late_is_waited_for(queue, tmp_path, monkeypatch):
    monkeypatch.setattr(on_slurm, "PATIENCE", 5.0)
    done = " ".join(str(tmp_path / f"{n}.pkl") for n in range(2))
    started = time.monotonic()
    on_slurm._wait(queue(f"(sleep 0.2; touch {done}) > /dev/null 2>&1 &"), "7")
    assert 0.1 < time.monotonic() - started < 4
    assert Path(done.split()[0]).exists()


def test_a_plugin_with_the_name_of_one_of_our_launchers_does_not_change_it():
    ConfigStore.instance().store(group="hydra/launcher", name="joblib", node={"n_jobs": 1, "_target_": "other"})
    keep_ours(config.CONF)
    assert not {"joblib.yaml", "ray.yaml", "slurm.yaml"} & set(ConfigStore.instance().repo["hydra"]["launcher"])
