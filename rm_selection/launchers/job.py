"""A job of a sweep as a worker gets it, and what came back of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, filter_overrides, run_job, setup_globals
from omegaconf import DictConfig, OmegaConf, open_dict

from rm_selection.errors import JobLostError, SelectionError
from rm_selection.jobs import Refusals

if TYPE_CHECKING:
    from hydra.types import HydraContext, TaskFunction


@dataclass(frozen=True)
class Lost:
    """There is no result, and why."""

    reason: str


Result = JobReturn | Lost


@dataclass(frozen=True)
class Job:
    """One run of the command with its overrides; called in the worker. state: that of Hydra where it started."""

    number: int
    overrides: list[str]
    context: HydraContext
    config: DictConfig
    task: TaskFunction
    state: Any

    def __call__(self) -> JobReturn:
        """Compose the settings and run the command; an error of the command is in what returns."""
        setup_globals()
        Singleton.set_state(self.state)
        config = self.context.config_loader.load_sweep_config(self.config, list(self.overrides))
        with open_dict(config):
            config.hydra.job.id = f"{config.hydra.job.name}_{self.number}"
            config.hydra.job.num = self.number
        HydraConfig.instance().set_config(config)
        return run_job(
            hydra_context=self.context,
            config=config,
            task_function=self.task,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )

    def checkpoint(self) -> Any:
        """What submitit runs after a requeue: the same again, since a cell goes on from its last checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def device(self) -> str:
        """What the command's hardware.device says; auto where it has none."""
        return str(OmegaConf.select(self.config, "hardware.device", default="auto"))

    def folder(self) -> Path:
        """Of the sweep."""
        return Path(str(self.config.hydra.sweep.dir)).absolute()


def gpus_of(job: Job, wanted: int | None, there: bool) -> int:
    """GPUs that a job asks for: as many as its settings want; null: one where there are some and it may use them."""
    return int(there and job.device() != "cpu") if wanted is None else wanted


def settled(jobs: Sequence[Job], results: Sequence[Result], refused: Refusals) -> list[JobReturn]:
    """What Hydra takes for the jobs, those that refused or were lost noted in `refused` instead."""
    return [_settled(job, result, jobs, refused) for job, result in zip(jobs, results, strict=True)]


def _settled(job: Job, result: Result, jobs: Sequence[Job], refused: Refusals) -> JobReturn:
    if isinstance(result, Lost):
        again = "give the same command again to go on with it"
        refused.add(JobLostError(f"{_name(job, jobs)} was lost: {result.reason}; {again}"), job.number)
    elif result.status is JobStatus.FAILED and isinstance(result._return_value, SelectionError):
        refused.add(result._return_value, job.number)  # from a machine that has no folder for refusals
    else:
        return result
    return JobReturn(overrides=job.overrides, status=JobStatus.COMPLETED)


def _name(job: Job, jobs: Sequence[Job]) -> str:
    """The overrides that tell the job from the others of its sweep."""
    shared = set.intersection(*(set(other.overrides) for other in jobs)) if len(jobs) > 1 else set()
    return " ".join(str(word) for word in filter_overrides(job.overrides) if word not in shared) or "the job"
