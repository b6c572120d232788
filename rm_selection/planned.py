"""The cells of sweeps that are not started: their settings as Hydra would compose them, their state and their cost.

Composing takes a quarter of a second, so jobs that differ in base, stage and seed alone are composed once.
"""

from __future__ import annotations

import copy
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig

from rm_selection import cell_states, costs, loads, sweeps
from rm_selection.cell_states import DONE, NOT_BEGUN, PARTIAL, Cell
from rm_selection.checkpoints import LOCAL, load_base
from rm_selection.config import CONF, sentence, typed
from rm_selection.costs import Cost, Device
from rm_selection.errors import ConfigError
from rm_selection.forecast import Known, devices
from rm_selection.launchers.names import keep_ours
from rm_selection.planning import COMMANDS

KINDS = ("train", "measure")  # commands whose cells have a cost
SWAPPED = ("base", "stage", "seed")  # settings that change nothing else


@dataclass(frozen=True)
class Planned:
    """A cell that a sweep has. cell: with its state. checkpoint: base@stage.

    cost: of all of it, or of the rest where a part of a training is there; None: not known.
    trainings: whole ones that its learning rates come to.
    """

    cell: Cell
    checkpoint: str
    trainings: float
    cost: Cost | None


@dataclass(frozen=True)
class Plan:
    """What sweeps have to run, on which device, and how many cells at once."""

    cells: Sequence[Planned]
    device: Device
    jobs: int

    @property
    def left(self) -> list[Planned]:
        """The cells that are not done."""
        return [one for one in self.cells if one.cell.state != DONE]


def plan(commands: Sequence[str], device: Device, devices: int = 1, jobs: int | None = None) -> Plan:
    """What the commands would run.

    Args:
        commands: as after `python -m rm_selection.`, "train -m base=a,b".
        device: that each cell runs on.
        devices: of them, where a training is sharded.
        jobs: cells at once; None: as the launcher of the last command says, else one.

    Raises:
        ConfigError: a command is none that makes cells, or its settings are refused.
    """
    found: dict[Path, tuple[str, Any]] = {}
    at_once, composed = 1, _Composed({})
    keep_ours(CONF)
    started = GlobalHydra.instance().is_initialized()  # by the command that plans
    with nullcontext() if started else initialize_config_dir(str(CONF), version_base="1.3"):
        for command in commands:
            name, jobs_of, launcher = _jobs(command, composed)
            found |= {folder: (name, one) for one in jobs_of for folder in COMMANDS[name][1](one)}
            at_once = max(1, launcher.get("n_jobs", 1), launcher.get("at_once", 1))
    known = _known(found)
    finished = costs.on_device([*known.values()], device)
    load = _Loads()
    cells = [
        _planned(known[folder], settings, replace(device, count=_devices(settings, devices)), finished, load)
        for folder, (_, settings) in found.items()
    ]
    return Plan(cells, device, jobs or min(at_once, max(1, len(cells))))


def _devices(settings: Any, devices: int) -> int:
    return devices if settings.hardware.sharded else 1


def _jobs(command: str, composed: _Composed) -> tuple[str, list[Any], Mapping[str, Any]]:
    """The command, the settings of each of its jobs, and those of its launcher."""
    name, *words = shlex.split(command) or [""]
    if name not in KINDS:
        raise ConfigError(f"{name or 'an empty sweep'} cannot be planned; a sweep begins with {' or '.join(KINDS)}")
    words = [word for word in words if word not in ("-m", "--multirun")]
    try:
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        fixed = [one.input_line for one in parser.parse_overrides(words) if not one.is_sweep_override()]
        hydra = composed(name, [word for word in fixed if word is not None], whole=True).hydra
        swept = [f"{key}={value}" for key, value in (hydra.sweeper.params or {}).items()]
        given: list[Override] = parser.parse_overrides([*swept, *words])
        jobs = [job for batch in BasicSweeper.split_arguments(given, None) for job in batch]
        return name, [_settings(name, job, composed) for job in jobs], hydra.launcher
    except HydraException as error:
        raise ConfigError(f"{name} of the plan: {sentence(error, COMMANDS[name][0])}") from error


@dataclass
class _Composed:
    """Settings of a command by what was given, each composed once. whole: with Hydra's own."""

    known: dict[tuple[Any, ...], Any]

    def __call__(self, name: str, words: Sequence[str], whole: bool = False) -> Any:
        key = (name, whole, *words)
        if key not in self.known:
            config: DictConfig = compose(name, overrides=list(words), return_hydra_config=whole)
            self.known[key] = config if whole else typed(COMMANDS[name][0], config)
        return self.known[key]


def _settings(name: str, job: Sequence[str], composed: _Composed) -> Any:
    """The settings of a job, from those of one like it with other SWAPPED ones where there is one."""
    own = dict(word.split("=", 1) for word in job if word.split("=", 1)[0] in SWAPPED)
    if any(word.startswith("base.") for word in job) or own.get("base") == LOCAL:
        own.pop("base", None)
    one = copy.copy(composed(name, [word for word in job if word.split("=", 1)[0] not in own]))
    if "base" in own:
        one.base = load_base(own["base"])
    one.stage, one.seed = own.get("stage", one.stage), int(own.get("seed", one.seed))
    return one


def _known(found: Mapping[Path, tuple[str, Any]]) -> dict[Path, Cell]:
    """The cell of each folder, as it is in its study now."""
    studies = {settings.folder for _, settings in found.values()}
    there = {cell.folder: cell for study in studies for cell in cell_states.cells(study, sweeps.read(study))}
    return {folder: there.get(folder) or _new(folder, *one) for folder, one in found.items()}


def _new(folder: Path, command: str, settings: Any) -> Cell:
    return Cell(folder, NOT_BEGUN, command, settings.base.name, _what(settings), params_b=settings.base.params_b)


def _what(settings: Any) -> str:
    """The objective of a reward model, or the feature that is measured."""
    return str((getattr(settings, "objective", None) and settings.objective.name) or settings.feature.name)


class _Loads:
    """What cells have to run, once for all that differ in SWAPPED settings alone."""

    def __init__(self) -> None:
        self.known: dict[int, costs.Load | None] = {}

    def of(self, settings: Any) -> costs.Load | None:
        """None where nothing tells."""
        part = getattr(settings, "objective", None) or settings.feature
        if id(part) not in self.known:
            self.known[id(part)] = (
                loads.of(settings, settings.until) if hasattr(settings, "objective") else loads.measured(settings)
            )
        return self.known[id(part)]


def _planned(cell: Cell, settings: Any, device: Device, finished: Known, load: _Loads) -> Planned:
    name = f"{settings.base.name}@{settings.stage}"
    trainings = 0.0
    if (objective := getattr(settings, "objective", None)) is not None:
        trainings = costs.trainings(len(objective.rates), objective.search, settings.until)
    size, amount = settings.base.params_b, load.of(settings)
    if size is None or amount is None:
        return Planned(cell, name, trainings, None)
    base = costs.shape(size, None if settings.base.path is None else Path(settings.base.path))
    if cell.command == "train":
        cost, scored = costs.training(base, amount, device), costs.scoring(base, amount, device)
        cost = replace(cost, hours=cost.hours + scored.hours)
    else:
        cost = costs.probe(base, amount, device)
    cost = costs.refined(cost, cell, finished)
    if cell.state == PARTIAL and cell.seconds is not None:
        cost = replace(cost, hours=max(0.0, cost.hours - cell.seconds * devices(cell.device) / 3600))
    return Planned(cell, name, trainings, cost)


def by_kind(cells: Sequence[Planned]) -> Iterator[tuple[str, str, list[Planned]]]:
    """Command, objective or feature, and their cells, in the order given."""
    groups: dict[tuple[str, str], list[Planned]] = {}
    for one in cells:
        groups.setdefault((one.cell.command, one.cell.what), []).append(one)
    yield from ((command, what, group) for (command, what), group in groups.items())
