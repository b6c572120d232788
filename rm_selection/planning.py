"""What a sweep is going to run, from the settings of its jobs: where the record of every cell will lie.

Called by the sweeper of hydra_plugins/, in the process that was started, before any launcher.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, open_dict

from rm_selection import cells, distributed, measuring, posttraining, sweeps
from rm_selection.config import typed
from rm_selection.errors import SelectionError
from rm_selection.measure_settings import MeasureConfig
from rm_selection.posttrain_settings import PosttrainConfig
from rm_selection.settings import StudyConfig
from rm_selection.train_settings import TrainConfig

# Of each command its settings, and where its records lie by them.
COMMANDS: dict[str, tuple[type[StudyConfig], Callable[[Any], list[Path]]]] = {
    "train": (TrainConfig, cells.folders),
    "measure": (MeasureConfig, measuring.folders),
    "posttrain": (PosttrainConfig, posttraining.folders),
}


def noted(config: DictConfig, jobs: Sequence[DictConfig]) -> None:
    """Write the list of each study that the sweep works on, mostly one.

    Args:
        config: of the sweep.
        jobs: the settings of each of its jobs, with Hydra's own.
    """
    command = str(config.hydra.job.config_name)
    if not distributed.first() or command not in COMMANDS:
        return
    found: dict[Path, dict[str, float | None]] = {}
    for settings, folder in _folders(command, jobs):
        study = found.setdefault(settings.folder, {})
        study[folder.relative_to(settings.folder).as_posix()] = settings.base.params_b
    words = [*config.hydra.overrides.hydra, *config.hydra.overrides.task]
    with suppress(OSError):  # a study that cannot be written is told by its first cell
        for where, planned in found.items():
            sweeps.write(where, command, [word for word in words if word != "hydra.mode=MULTIRUN"], planned)


def _folders(command: str, jobs: Sequence[DictConfig]) -> Iterator[tuple[Any, Path]]:
    """The settings of every cell, with the folder of each of its records; what they refuse the job will tell."""
    schema, folders = COMMANDS[command]
    for job in jobs:
        with open_dict(job):
            job.pop("hydra")
        with suppress(SelectionError):
            settings: Any = typed(schema, job)
            yield from ((settings, folder) for folder in folders(settings))
