import pytest
from cluster import missing


def pytest_sessionstart() -> None:
    if lacks := missing():
        told = f"{', '.join(lacks)} missing: as root, `apt-get install slurm-wlm munge`; nothing was run"
        pytest.exit(told, returncode=2)
