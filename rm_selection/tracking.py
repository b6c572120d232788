"""A W&B run that mirrors the record of a run, or nothing at all.

`tracking=off` never imports wandb. Without a key or a network the run is kept offline, without a wait, and
`wandb sync <folder>` publishes it later. No token, host name or path of the user's home is logged.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlparse

import pandas as pd

PATIENCE = 1.0  # seconds to wait for W&B's server before a run is kept offline
LONGEST = 128  # characters that W&B takes for the name of an artifact
MODES = ("auto", "offline", "off")


class Tracker(Protocol):
    """Where the figures of a run are mirrored."""

    def log(self, figures: Mapping[str, float], step: int | None = None) -> None:
        """Numbers of one step."""

    def table(self, name: str, frame: pd.DataFrame) -> None:
        """A table of results."""

    def summary(self, figures: Mapping[str, Any]) -> None:
        """What the run came to."""

    def used(self, name: str, kind: str, facts: Mapping[str, Any]) -> None:
        """What the run is made from, an input of its lineage."""

    def made(self, name: str, kind: str, facts: Mapping[str, Any], files: Sequence[Path] = ()) -> None:
        """What came out of the run, an output of its lineage; `files` are uploaded with it."""

    def close(self, failed: bool = False) -> None:
        """End of the run."""


class NoTracker:
    """Mirrors nothing."""

    def log(self, figures: Mapping[str, float], step: int | None = None) -> None:
        """Nothing."""

    def table(self, name: str, frame: pd.DataFrame) -> None:
        """Nothing."""

    def summary(self, figures: Mapping[str, Any]) -> None:
        """Nothing."""

    def used(self, name: str, kind: str, facts: Mapping[str, Any]) -> None:
        """Nothing."""

    def made(self, name: str, kind: str, facts: Mapping[str, Any], files: Sequence[Path] = ()) -> None:
        """Nothing."""

    def close(self, failed: bool = False) -> None:
        """Nothing."""


class WandbTracker:
    """One W&B run with a deterministic id, so that a resumed run continues its own curves."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def log(self, figures: Mapping[str, float], step: int | None = None) -> None:
        """Numbers of one step."""
        self._run.log(dict(figures), step=step)

    def table(self, name: str, frame: pd.DataFrame) -> None:
        """A table of results."""
        import wandb

        self._run.log({name: wandb.Table(dataframe=frame)})

    def summary(self, figures: Mapping[str, Any]) -> None:
        """What the run came to."""
        self._run.summary.update(anonymous(dict(figures)))

    def used(self, name: str, kind: str, facts: Mapping[str, Any]) -> None:
        """What the run is made from, an input of its lineage.

        W&B's public `use_artifact` refuses to work offline and waits for the server online; what it calls does neither.
        """
        self._run._log_artifact(_artifact(name, kind, facts), is_user_created=True, use_after_commit=True)

    def made(self, name: str, kind: str, facts: Mapping[str, Any], files: Sequence[Path] = ()) -> None:
        """What came out of the run, an output of its lineage; `files` are uploaded with it."""
        artifact = _artifact(name, kind, facts)
        for path in files:
            artifact.add_file(os.fspath(path), name=path.name)
        self._run.log_artifact(artifact)

    def close(self, failed: bool = False) -> None:
        """End of the run."""
        self._run.finish(exit_code=int(failed))


def tracker(
    mode: str, project: str, study: str, run_id: str, tags: Sequence[str], settings: Mapping[str, Any], folder: Path
) -> Tracker:
    """A tracker for one run.

    Args:
        mode: `auto` (online with a key and a network, else offline), `offline` or `off`.
        project: W&B project.
        study: group of the run.
        run_id: name of the run, and what its W&B id is made from.
        tags: family, size, stage, objective, dataset.
        settings: the resolved settings.
        folder: where W&B keeps its files.
    """
    if mode == "off":
        return NoTracker()
    os.environ.setdefault("WANDB_DATA_DIR", os.fspath(folder))  # what sync needs later stays with the run
    import wandb

    online = mode == "auto" and has_key() and reachable()
    run = wandb.init(
        project=project,
        group=study,
        name=run_id,
        id=_wandb_id(study, run_id),
        resume="allow",
        tags=list(tags),
        config=anonymous(dict(settings)),
        dir=os.fspath(folder),
        mode="online" if online else "offline",
        settings=_quiet(),
    )
    return WandbTracker(run)


def anonymous(value: Any) -> Any:
    """`value` with the user's home written as ~ wherever it stands in a text."""
    home = os.path.expanduser("~")  # noqa: PTH111  (a text to look for, not a path to use)
    text = json.dumps(value, default=str)
    return json.loads(text.replace(json.dumps(home)[1:-1], "~")) if len(home) > 1 else json.loads(text)


def _artifact(name: str, kind: str, facts: Mapping[str, Any]) -> Any:
    """An artifact of facts alone, `<kind>-<name>-<hash of the facts>`.

    W&B tells versions apart by their files, of which there are none, and names a collection once for all kinds.
    """
    import wandb

    metadata = anonymous(dict(facts))
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode()).hexdigest()[:8]
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{kind}-{anonymous(name)}")
    return wandb.Artifact(f"{stem[: LONGEST - 9]}-{digest}", kind, metadata=metadata)


def _quiet() -> Any:
    import wandb

    return wandb.Settings(
        silent=True,
        console="off",
        save_code=False,
        disable_git=True,
        host="anonymous",
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
        init_timeout=20,
    )


def _wandb_id(study: str, run_id: str) -> str:
    return hashlib.sha256(f"{study}/{run_id}".encode()).hexdigest()[:16]


def server() -> str:
    """Address of W&B's server: the public one, or that of WANDB_BASE_URL."""
    return os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")


def has_key() -> bool:
    """Whether there is a key for the server, in WANDB_API_KEY or where `wandb login` leaves it."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    netrc = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    host = urlparse(server()).hostname or ""
    return netrc.is_file() and host in netrc.read_text(encoding="utf-8", errors="replace")


def reachable() -> bool:
    """Whether the server can be connected to within PATIENCE."""
    url = urlparse(server())
    port = url.port or (80 if url.scheme == "http" else 443)
    try:
        with socket.create_connection((url.hostname or "", port), timeout=PATIENCE):
            return True
    except OSError:
        return False
