"""What Hydra calls before a sweep begins: the settings of every cell are read, and where its record will lie is noted.

Named as a callback in conf/train.yaml, measure.yaml and posttrain.yaml. It runs in the process that was started, before
any launcher. Hydra reads every cell's settings once more to check them; what fails here it tells itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

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


class Planning(Callback):
    """Notes the cells of a sweep; a sweeper that decides as it goes has no list to note."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the list of each study that the sweep works on, mostly one."""
        if not distributed.first() or not str(config.hydra.sweeper._target_).endswith(".BasicSweeper"):
            return
        command = str(kwargs["config_name"])
        found: dict[Path, dict[str, float | None]] = {}
        for settings, folder in _folders(command, config):
            study = found.setdefault(settings.folder, {})
            study[folder.relative_to(settings.folder).as_posix()] = settings.base.params_b
        words = [*config.hydra.overrides.hydra, *config.hydra.overrides.task]
        with suppress(OSError):  # a study that cannot be written is told by its first cell
            for where, planned in found.items():
                sweeps.write(where, command, [word for word in words if word != "hydra.mode=MULTIRUN"], planned)


def _folders(command: str, config: DictConfig) -> Iterator[tuple[Any, Path]]:
    """The settings of every cell, with the folder of each of its records."""
    schema, folders = COMMANDS[command]
    loader = GlobalHydra.instance().config_loader()
    given = [f"{name}={value}" for name, value in (config.hydra.sweeper.params or {}).items()]
    try:
        parsed = OverridesParser.create(loader).parse_overrides([*given, *config.hydra.overrides.task])
        (jobs,) = BasicSweeper.split_arguments(parsed, None)
    except HydraException:
        return
    for job in jobs:
        with suppress(HydraException, OmegaConfBaseException, SelectionError):
            composed = loader.load_sweep_config(config, job)
            with open_dict(composed):
                composed.pop("hydra")
            settings: Any = typed(schema, composed)
            yield from ((settings, folder) for folder in folders(settings))
