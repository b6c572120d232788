"""Jobs as a Slurm array, by submitit. Slurm requeues what it preempts or loses with a node; that goes on there.

A job is lost when it is in the queue no longer and left no result. The queue is asked, and not the accounting, which
a cluster may lack.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from rm_selection import console
from rm_selection.errors import ConfigError
from rm_selection.launchers.job import Job, Lost, Result, gpus_of
from rm_selection.launchers.settings import SlurmSettings

TICK = 1.0  # seconds between two looks for results
PAUSE = (1.0, 30.0)  # seconds between two looks at the queue, growing
PATIENCE = 15.0  # seconds until a file written on another node is seen


def run(jobs: Sequence[Job], settings: SlurmSettings) -> list[Result]:
    """The result of each job.

    Raises:
        ConfigError: submitit or Slurm is not installed, or the queue does not take the jobs.
    """
    submitted = _submit(jobs, settings)
    array = submitted[0].job_id.split("_")[0]
    logs = submitted[0].paths.stderr.parent
    console.line(f"Slurm job {array} holds {len(jobs)} jobs; logs in {logs}; `scancel {array}` ends them")
    _wait(submitted, array)
    return [_result(one) for one in submitted]


def _submit(jobs: Sequence[Job], settings: SlurmSettings) -> list[Any]:
    try:
        import submitit
    except ImportError as error:
        raise ConfigError(
            "hydra/launcher=slurm needs submitit, which is not installed; pip install 'rm-selection[slurm]'"
        ) from error
    if missing := [name for name in ("sbatch", "srun", "squeue") if shutil.which(name) is None]:
        raise ConfigError(f"hydra/launcher=slurm needs Slurm, and {missing[0]} is not found; start it on a login node")
    executor = submitit.SlurmExecutor(folder=settings.folder, max_num_timeout=settings.timeouts)
    try:
        executor.update_parameters(**_parameters(settings, gpus_of(jobs[0], settings.gpus, _gpus_there(settings))))
        submitted: list[Any] = executor.submit_array(list(jobs))
    except submitit.core.utils.FailedJobError as error:
        last = [line for line in str(error).splitlines() if line.strip()][-1]
        raise ConfigError(
            f"Slurm does not take the jobs ({last.strip()}); see conf/hydra/launcher/slurm.yaml"
        ) from error
    return submitted


def _parameters(settings: SlurmSettings, gpus: int) -> dict[str, Any]:
    """As submitit names them. Slurm may start a job again: its cell goes on from the last checkpoint."""
    known: dict[str, Any] = {
        "job_name": "rm-selection",
        "time": settings.minutes,
        "signal_delay_s": settings.warning,
        "cpus_per_task": settings.cpus,
        "gpus_per_node": gpus or None,
        "mem": settings.memory_gb and f"{round(settings.memory_gb * 1024)}M",
        "partition": settings.partition,
        "array_parallelism": settings.at_once,
        "setup": settings.setup or None,
    }
    return {name: value for name, value in known.items() if value is not None} | {
        "additional_parameters": {"requeue": True, **settings.sbatch}
    }


def _gpus_there(settings: SlurmSettings) -> bool:
    partition = ["-p", settings.partition] if settings.partition else []
    return "gpu" in _ask("sinfo", "-h", "-o", "%G", *partition).stdout


def _wait(submitted: Sequence[Any], array: str) -> None:
    """Until each job left a result, or all of them the queue."""
    pause, next_look = PAUSE[0], time.monotonic()
    while _missing(submitted):
        if time.monotonic() >= next_look:
            if not _queued(array):
                break
            pause = min(PAUSE[1], 1.5 * pause)
            next_look = time.monotonic() + pause
        time.sleep(TICK)
    ends = time.monotonic() + PATIENCE
    while _missing(submitted) and time.monotonic() < ends:
        time.sleep(TICK)


def _missing(submitted: Sequence[Any]) -> bool:
    return any(not one.paths.result_pickle.exists() for one in submitted)


def _queued(array: str) -> bool:
    """Whether a job of the array waits or runs; True where the queue does not answer, as it may soon."""
    answer = _ask("squeue", "-h", "-j", array, "-o", "%i")
    if answer.returncode:
        return "Invalid job id" not in answer.stderr
    return bool(answer.stdout.strip())


def _result(one: Any) -> Result:
    from submitit.core.utils import FailedJobError, UncompletedJobError

    if not one.paths.result_pickle.exists():
        return Lost(f"Slurm job {one.job_id} left the queue without a result, as a killed one does (see {_log(one)})")
    try:
        found: Result = one.results()[0]
    except (FailedJobError, UncompletedJobError) as error:
        said = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith("---")]
        told = next((line for line in reversed(said) if "Error" in line), said[0])
        return Lost(f"Slurm job {one.job_id} failed: {told} (see {_log(one)})")
    return found


def _log(one: Any) -> str:
    return str(one.paths.stderr)


def _ask(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)
