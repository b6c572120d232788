import importlib.util
import socket

import pytest


def pytest_sessionstart() -> None:
    if importlib.util.find_spec("ray") is None:
        pytest.exit("ray missing: pip install -c constraints.txt -e '.[ray]'; nothing was run", returncode=2)
    if {name for _, name in socket.if_nameindex()} != {"lo"}:  # ray listens on every interface there is
        pytest.exit("start it with `make test-ray`, away from the network; nothing was run", returncode=2)
