"""Whose launcher a name means, where a plugin of Hydra has one of the same name."""

from __future__ import annotations

from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins


def keep_ours(conf: Path) -> None:
    """Take out of Hydra's store what is called as a file of conf/hydra/launcher; Hydra would lay it under ours."""
    Plugins.instance()  # has whatever is installed put itself into the store
    theirs = ConfigStore.instance().repo.get("hydra", {}).get("launcher", {})
    for path in (conf / "hydra" / "launcher").glob("*.yaml"):
        theirs.pop(path.name, None)
