"""The launchers of conf/hydra/launcher/, where Hydra looks for classes; what they do is in rm_selection/launchers/."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.plugins.launcher import Launcher

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig

    from rm_selection.launchers.job import Job, Result


class SweepLauncher(Launcher):
    """What the launchers share; Hydra scans this file at every start, so that what is heavy is imported late."""

    def __init__(self, **settings: Any) -> None:
        self.given = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what the jobs need."""
        self.context, self.task, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Run all jobs and wait for them."""
        from hydra.core.singleton import Singleton

        from rm_selection.jobs import noted
        from rm_selection.launchers.job import Job, settled

        state = Singleton.get_state()
        jobs = [
            Job(number, list(words), self.context, self.config, self.task, state)
            for number, words in enumerate(job_overrides, initial_job_idx)
        ]
        return settled(jobs, self.run(jobs), noted())

    def checked(self, schema: type[Any]) -> Any:
        """The settings, typed."""
        from omegaconf import OmegaConf

        from rm_selection.config import typed

        return typed(schema, OmegaConf.create(self.given), "hydra.launcher.")

    @abstractmethod
    def run(self, jobs: Sequence[Job]) -> list[Result]:
        """The result of each job."""


class JoblibLauncher(SweepLauncher):
    """Processes of this machine."""

    def run(self, jobs: Sequence[Job]) -> list[Result]:
        """The result of each job."""
        from rm_selection.launchers import processes
        from rm_selection.launchers.settings import ProcessSettings

        return processes.run(jobs, self.checked(ProcessSettings))


class RayLauncher(SweepLauncher):
    """A ray cluster."""

    def run(self, jobs: Sequence[Job]) -> list[Result]:
        """The result of each job."""
        from rm_selection.launchers import on_ray
        from rm_selection.launchers.settings import RaySettings

        return on_ray.run(jobs, self.checked(RaySettings))


class SlurmLauncher(SweepLauncher):
    """A Slurm cluster."""

    def run(self, jobs: Sequence[Job]) -> list[Result]:
        """The result of each job."""
        from rm_selection.launchers import on_slurm
        from rm_selection.launchers.settings import SlurmSettings

        return on_slurm.run(jobs, self.checked(SlurmSettings))
