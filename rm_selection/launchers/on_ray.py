"""Jobs on ray: on this machine, or on a running cluster; those for which nothing is free wait."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn

from rm_selection.errors import ConfigError
from rm_selection.launchers.job import Job, Lost, Result, gpus_of
from rm_selection.launchers.settings import RaySettings


def run(jobs: Sequence[Job], settings: RaySettings) -> list[Result]:
    """The result of each job; ray starts one again `retries` times whose worker or node was lost.

    Raises:
        ConfigError: ray is not installed, or cannot be reached.
    """
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            "hydra/launcher=ray needs ray, which is not installed; pip install 'rm-selection[ray]'"
        ) from error
    _connect(ray, settings)
    gpus = gpus_of(jobs[0], settings.gpus, ray.cluster_resources().get("GPU", 0) > 0)
    start = ray.remote(num_cpus=settings.cpus, num_gpus=gpus, max_retries=settings.retries)(_call).remote
    return [_result(ray, each) for each in [start(job) for job in jobs]]


def _connect(ray: Any, settings: RaySettings) -> None:
    if ray.is_initialized():
        return
    given: dict[str, Any] = {"address": settings.address}
    if settings.address is None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # ray would report to its makers
        given = {"address": "local", "include_dashboard": False}  # whatever RAY_ADDRESS says
    try:
        _knock(settings.address)
        ray.init(**given | settings.init)
    except (OSError, ValueError, RuntimeError) as error:
        first = str(error).strip().split("\n")[0]
        raise ConfigError(
            f"no ray cluster answers at hydra.launcher.address={settings.address} ({first}); start one with"
            " `ray start --head`, or leave the address out to start ray on this machine"
        ) from error


def _knock(address: str | None) -> None:
    """Make sure that somebody listens at host:port, for which ray would wait for minutes.

    Raises:
        OSError: nobody does.
        ValueError: it is no address.
    """
    if address in (None, "auto", "local") or "://" in str(address):
        return
    host, _, port = str(address).rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=20).close()


def _call(job: Job) -> JobReturn:
    return job()


def _result(ray: Any, promised: Any) -> Result:
    try:
        returned: JobReturn = ray.get(promised)
    except ray.exceptions.RayError as error:
        first = str(error).strip().split("\n")[0].rstrip(".")
        return Lost(f"ray says {type(error).__name__} ({first})")
    return returned
