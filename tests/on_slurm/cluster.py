"""A Slurm of one node on this machine, from Debian's packages slurm-wlm and munge, in a folder of its own.

Nothing of the machine's own Slurm is touched: configuration, key, state, sockets and ports are the folder's.
"""

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import mkdtemp

from ranks import free_port

DAEMONS = ("munged", "slurmctld", "slurmd", "sbatch")
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={node}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CryptoType=crypto/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
KillWait=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=test Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    """What a test of Slurm lacks on this machine."""
    lacks = [name for name in DAEMONS if shutil.which(name) is None]
    return lacks + (["root"] if os.geteuid() else [])


@contextmanager
def cluster() -> Iterator[dict[str, str]]:
    """The environment in which Slurm's commands find it; all its processes end with the context."""
    folder = Path(mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)  # munged is another user, and looks at every folder above its own
    with ExitStack() as ends:
        ends.callback(shutil.rmtree, folder, ignore_errors=True)
        for name in ("state", "spool"):
            (folder / name).mkdir()
        (folder / "slurm.conf").write_text(
            CONFIGURATION.format(folder=folder, host=socket.gethostname(), control=free_port(), node=free_port())
        )
        environment = {"SLURM_CONF": str(folder / "slurm.conf")}
        munge = _munge_folder(folder)
        options = [f"--{name}={munge / name}" for name in ("socket", "key-file", "pid-file", "log-file", "seed-file")]
        _daemon(ends, ["munged", "--foreground", *options], {}, user="munge")
        _daemon(ends, ["slurmctld", "-D"], environment)
        _daemon(ends, ["slurmd", "-D"], environment)
        _answers(environment)
        yield environment


def _munge_folder(folder: Path) -> Path:
    munge = folder / "munge"
    munge.mkdir(mode=0o755)
    (munge / "key-file").write_bytes(secrets.token_bytes(128))
    (munge / "key-file").chmod(0o400)
    for path in (munge, munge / "key-file"):
        shutil.chown(path, "munge", "munge")
    return munge


def _daemon(ends: ExitStack, command: list[str], environment: dict[str, str], user: str | None = None) -> None:
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, user=user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    ends.callback(_end, process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _answers(environment: dict[str, str], patience: float = 60) -> None:
    ends = time.monotonic() + patience
    told = ""
    while time.monotonic() < ends:
        command = ["sinfo", "-h", "-o", "%t"]
        answer = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
        told = answer.stdout + answer.stderr
        if answer.stdout.strip() == "idle":
            return
        time.sleep(0.5)
    raise TimeoutError(f"Slurm was not ready within {patience} seconds: {told}")
