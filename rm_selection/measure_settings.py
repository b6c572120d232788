"""What conf/measure.yaml holds; each file of conf/feature fills the dataclass that bears its name.

Light: nothing here imports torch, for `--help` must be quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from rm_selection.checkpoints import EVERY_STAGE, STAGES, Base
from rm_selection.config import typed
from rm_selection.microcosm_settings import MicrocosmConfig
from rm_selection.settings import StudyConfig, in_group, refused, setting, within
from rm_selection.train_settings import HardwareConfig


@dataclass
class BenchmarksConfig:
    """conf/feature/benchmarks.yaml: scores on public benchmarks, run or imported."""

    name: str = setting("benchmarks")
    suite: str = setting("tasks to run: quick, paper33, open_llm_v1, open_llm_v2, microcosm, or a folder of task files")
    tasks_folder: str | None = setting("folder of task files that suite=microcosm stands for")
    evalplus: str | None = setting("folder for an environment of EvalPlus, made where absent; null: not run")
    import_from: str | None = setting("file or folder of results made elsewhere; null: run them")
    import_name: str | None = setting("the base's name in those results; null: its repository")

    def __post_init__(self) -> None:
        for name in ("suite", "tasks_folder", "evalplus", "import_from", "import_name"):
            value = getattr(self, name)
            if value is not None and not value.strip():  # feature.import_from=$FILE where FILE is unset
                raise refused(f"feature.{name}", value, "a name or a path")
        if self.suite != "microcosm":
            self.tasks_folder = None  # or it would count as another way to measure
        if self.import_name is not None and self.import_from is None:
            raise refused("feature.import_name", self.import_name, "it with feature.import_from=PATH, or null")

    @property
    def needs_weights(self) -> bool:
        """Whether the base itself is run."""
        return self.import_from is None

    def folder(self) -> Path | None:
        """The folder of task files to run; None where the suite is a list of public ones."""
        if self.suite == "microcosm":
            if self.tasks_folder is None or not Path(self.tasks_folder).is_dir():
                raise refused("feature.tasks_folder", self.tasks_folder, "the folder of the microcosm's task files")
            return Path(self.tasks_folder).resolve()
        return Path(self.suite).resolve() if Path(self.suite).is_dir() else None

    def files(self) -> Mapping[str, str]:
        """Local files that the figures come from, by what they are."""
        if self.import_from is not None:
            return {"import_from": self.import_from}
        folder = self.folder()
        return {} if folder is None else {"tasks": str(folder)}


@dataclass
class PresenceConfig:
    """conf/feature/presence.yaml: how likely a base finds documents of known domains."""

    name: str = setting("presence")
    path: str | None = setting("file or folder of JSON lines {text, domain}; null: the repository")
    repo: str = setting("repository on the Hub, in SlimPajama's layout or with columns text and domain")
    revision: str = setting("branch, tag or commit of the repository")
    split: str = setting("split of the repository")
    limit: int = setting("most documents of a domain, the first ones")
    max_tokens: int = setting("tokens of a document that count, from its first")

    needs_weights = True

    def __post_init__(self) -> None:
        within("feature.limit", self.limit, 1, 10_000_000)
        within("feature.max_tokens", self.max_tokens, 1, 1_000_000)

    def files(self) -> Mapping[str, str]:
        """Local files that the figures come from, by what they are."""
        return {} if self.path is None else {"path": self.path}


@dataclass
class ProbeConfig:
    """conf/feature/probe.yaml: what the frozen base already knows of the preference task."""

    name: str = setting("probe")
    pairs: str | None = setting("pairs to probe on: a file of JSON lines, or a name of conf/dataset; null: none")
    ratings: str | None = setting("rated answers to probe on: a file, or a name of conf/dataset; null: none")
    attributes: list[str] | None = setting("rated attributes; null: those of the dataset, or all of the file's")
    reference: str | None = setting("stage of the same base, or a folder, that implicit rewards are measured against")
    limit: int = setting("most pairs, and most ratings, to run, 20 or more")
    max_length: int = setting("tokens; longer conversations are left out and counted")
    folds: int = setting("folds, by prompt, of which each is judged by the others, 2 or more")
    inner_folds: int = setting("folds of the others, which choose depth, pooling and penalty, 2 or more")

    needs_weights = True

    def __post_init__(self) -> None:
        within("feature.limit", self.limit, 20, 100_000)
        within("feature.max_length", self.max_length, 8, 1_000_000)
        within("feature.folds", self.folds, 2, 50)
        within("feature.inner_folds", self.inner_folds, 2, 50)

    def files(self) -> Mapping[str, str]:
        """Local files that the figures come from, by what they are."""
        given = {"pairs": self.pairs, "ratings": self.ratings}
        if self.reference not in STAGES:  # a folder
            given["reference"] = self.reference
        return {what: path for what, path in given.items() if path is not None}


FEATURES: dict[str, type[Any]] = {"benchmarks": BenchmarksConfig, "presence": PresenceConfig, "probe": ProbeConfig}
Feature = BenchmarksConfig | PresenceConfig | ProbeConfig


@dataclass
class MeasureConfig(StudyConfig):
    """conf/measure.yaml."""

    base: Base = in_group("base model, a name of conf/base; base=local base.path=FOLDER for one on disk")
    stage: str = setting("post-training stage to measure")
    feature: Any = in_group("what to measure: benchmarks, presence or probe", kinds=FEATURES)
    hardware: HardwareConfig = in_group("auto, cpu or gpu")
    microcosm: MicrocosmConfig = in_group("small world that base=micro-* lies in: full or smoke")
    seed: int = setting("seed of folds and resamples, 0 or more")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stage not in EVERY_STAGE:
            raise refused("stage", self.stage, " or ".join(EVERY_STAGE))
        within("seed", self.seed, 0, 2**32 - 1)
        self.hardware.in_one_process("measure")
        name = self.feature.get("name") if isinstance(self.feature, Mapping) else self.feature
        if name not in FEATURES:
            raise refused("feature.name", name, " or ".join(FEATURES))
        self.feature = typed(FEATURES[name], OmegaConf.create(dict(self.feature)), under="feature.")

    @property
    def feature_folders(self) -> Path:
        """Where the study keeps what was measured, a folder each."""
        return self.folder / "features"
