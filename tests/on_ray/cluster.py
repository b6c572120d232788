"""A ray cluster of two nodes on this machine, one slot each, on ports of its own.

ray listens on every interface there is, so that `make test-ray` runs it where loopback is the only one.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import mkdtemp

from ranks import free_port
from sweeps import ROOT

RAY = str(Path(sys.executable).with_name("ray"))
NODE = ("--block", "--num-cpus=1", "--node-ip-address=127.0.0.1", "--object-store-memory=80000000")
ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",  # otherwise ray writes a token into the home
    "RAY_USAGE_STATS_ENABLED": "0",
    "PYTHONPATH": str(ROOT),
}


@contextmanager
def cluster() -> Iterator[str]:
    """The address of the cluster; all its processes end with the context."""
    folder = mkdtemp(prefix="ray-")  # short, as paths of sockets must be
    port = free_port()
    address = f"127.0.0.1:{port}"
    with ExitStack() as ends:
        ends.callback(shutil.rmtree, folder, ignore_errors=True)
        _node(ends, "--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder}")
        _ready(address, 1)
        _node(ends, f"--address={address}")
        _ready(address, 2)
        yield address


def _node(ends: ExitStack, *options: str) -> None:
    ports = [f"--{name}={free_port()}" for name in ("dashboard-agent-listen-port", "dashboard-agent-grpc-port")]
    process = subprocess.Popen(
        [RAY, "start", *options, *NODE, *ports],
        env={**os.environ, **ENVIRONMENT},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    ends.callback(_end, process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()  # ends the processes of the node
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _ready(address: str, slots: int, patience: float = 90) -> None:
    ends = time.monotonic() + patience
    told = ""
    while time.monotonic() < ends:
        command = [RAY, "status", f"--address={address}"]
        known = {**os.environ, **ENVIRONMENT}
        answer = subprocess.run(command, env=known, capture_output=True, text=True, check=False)
        told = answer.stdout + answer.stderr
        if f"/{slots}.0 CPU" in answer.stdout:
            return
        time.sleep(0.5)
    raise TimeoutError(f"ray was not ready within {patience} seconds: {told}")
