"""Jobs in worker processes of this machine, by joblib's loky; a killed one takes no other job with it."""

from __future__ import annotations

import re
import warnings
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from typing import Any

from hydra.core.utils import JobReturn
from joblib import cpu_count, effective_n_jobs
from joblib.externals.loky import ProcessPoolExecutor

from rm_selection.launchers.job import Job, Lost, Result
from rm_selection.launchers.settings import ProcessSettings

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Worker:
    """A process that is used again, and replaced where it was killed: an executor of one.

    One executor of several would end them all when one of them is killed.
    """

    def __init__(self, threads: int) -> None:
        self.environment = dict.fromkeys(THREADS, str(threads))
        self.executor = self._new()

    def start(self, job: Job) -> Future[JobReturn]:
        """Hand it a job."""
        try:
            started: Future[JobReturn] = self.executor.submit(job)
        except BrokenExecutor:  # killed while it was idle
            self.replace()
            started = self.executor.submit(job)
        return started

    def replace(self) -> None:
        """Another process instead of this one."""
        self.end()
        self.executor = self._new()

    def end(self) -> None:
        """Kill the process."""
        self.executor.shutdown(wait=True, kill_workers=True)

    def _new(self) -> Any:
        return ProcessPoolExecutor(max_workers=1, env=self.environment)


def run(jobs: Sequence[Job], settings: ProcessSettings) -> list[Result]:
    """The result of each job; one whose worker was killed starts again `retries` times."""
    count = min(effective_n_jobs(settings.n_jobs), len(jobs))
    workers = [Worker(max(1, cpu_count() // count)) for _ in range(count)]
    try:
        with warnings.catch_warnings():
            # loky replaces a worker that has grown by 300 MB, as one does that loads torch for its second job
            warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)
            return _results(jobs, workers, settings.retries)
    finally:
        for worker in workers:
            worker.end()


def _results(jobs: Sequence[Job], idle: list[Worker], retries: int) -> list[Result]:
    found: dict[int, Result] = {}
    waiting = deque((place, 0) for place in range(len(jobs)))
    idle = list(idle)
    running: dict[Future[JobReturn], tuple[int, int, Worker]] = {}
    while waiting or running:
        while waiting and idle:
            (place, lost), worker = waiting.popleft(), idle.pop()
            running[worker.start(jobs[place])] = (place, lost, worker)
        for ended in wait(running, return_when=FIRST_COMPLETED).done:
            place, lost, worker = running.pop(ended)
            try:
                found[place] = ended.result()
            except BrokenExecutor as error:
                worker.replace()
                if lost < retries:
                    waiting.appendleft((place, lost + 1))
                else:
                    found[place] = Lost(_killed(str(error), lost + 1))
            idle.append(worker)
    return [found[place] for place in range(len(jobs))]


def _killed(report: str, times: int) -> str:
    """report: loky's, which holds the signals' names."""
    signals = ", ".join(sorted(set(re.findall(r"\bSIG[A-Z]+\b", report)))) or "it"
    often = "" if times == 1 else f" {times} times"
    return f"its worker process was killed{often} ({signals}), maybe for want of memory"
