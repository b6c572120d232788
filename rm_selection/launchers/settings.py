"""What conf/hydra/launcher/ holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rm_selection.settings import refused, setting, within

MOST = 100_000
RETRIES = "times that a job whose worker was killed starts again, 0 or more; it goes on from its last checkpoint"
GPUS = "GPUs of a job; null: one where there are some, unless hardware=cpu"


@dataclass
class ProcessSettings:
    """conf/hydra/launcher/joblib.yaml."""

    n_jobs: int = setting("processes at once; -1: one a core")
    retries: int = setting(RETRIES)

    def __post_init__(self) -> None:
        if self.n_jobs == 0:
            raise refused("hydra.launcher.n_jobs", self.n_jobs, "1 or more, or -1 for one process a core")
        within("hydra.launcher.retries", self.retries, 0, MOST)


@dataclass
class RaySettings:
    """conf/hydra/launcher/ray.yaml."""

    address: str | None = setting("of a running cluster, host:port or auto; null: ray starts on this machine")
    gpus: int | None = setting(GPUS)
    cpus: int = setting("CPUs of a job, 1 or more")
    retries: int = setting(RETRIES)
    init: dict[str, Any] = setting("further arguments of ray.init")

    def __post_init__(self) -> None:
        within("hydra.launcher.gpus", self.gpus or 0, 0, MOST)
        within("hydra.launcher.cpus", self.cpus, 1, MOST)
        within("hydra.launcher.retries", self.retries, 0, MOST)


@dataclass
class SlurmSettings:
    """conf/hydra/launcher/slurm.yaml."""

    folder: str = setting("folder for scripts and logs, on a disk that all nodes see")
    minutes: int = setting("longest run of a job, 1 or more")
    timeouts: int = setting("times that a job goes on after its minutes are over, 0 or more")
    warning: int = setting("seconds before the end at which a job is told to go back into the queue, 1 or more")
    gpus: int | None = setting(GPUS)
    cpus: int = setting("CPUs of a job, 1 or more")
    memory_gb: float | None = setting("memory of a job; null: the cluster's default")
    at_once: int = setting("most jobs at once, 1 or more")
    partition: str | None = setting("partition; null: the cluster's default")
    sbatch: dict[str, Any] = setting("further options of sbatch")
    setup: list[str] = setting("shell lines before a job, as `module load cuda`")

    def __post_init__(self) -> None:
        for name in ("minutes", "cpus", "at_once", "warning"):
            within(f"hydra.launcher.{name}", getattr(self, name), 1, MOST)
        within("hydra.launcher.timeouts", self.timeouts, 0, MOST)
        within("hydra.launcher.gpus", self.gpus or 0, 0, MOST)
