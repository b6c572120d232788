"""What conf/measure.yaml holds; each file of conf/feature fills the dataclass that bears its name.

Light: nothing here imports torch, for `--help` must be quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from rm_selection.checkpoints import STAGES, Base
from rm_selection.config import typed
from rm_selection.microcosm_settings import MicrocosmConfig
from rm_selection.settings import StudyConfig, in_group, refused, setting, within
from rm_selection.train_settings import HardwareConfig


@dataclass
class BenchmarksConfig:
    """conf/feature/benchmarks.yaml: scores on public benchmarks, run or imported."""

    name: str = setting("benchmarks")
    suite: str = setting("tasks to run: paper33, open_llm_v2, quick, microcosm, or a folder of task files")
    import_from: str | None = setting("file or folder of results made elsewhere; null: run them")

    @property
    def needs_weights(self) -> bool:
        """Whether the base itself is run."""
        return self.import_from is None

    def files(self) -> Mapping[str, str]:
        """Local files that the figures come from, by what they are."""
        return {} if self.import_from is None else {"import_from": self.import_from}


@dataclass
class PresenceConfig:
    """conf/feature/presence.yaml: how likely a base finds documents of known domains."""

    name: str = setting("presence")
    path: str | None = setting("file or folder of JSON lines {text, domain}; null: the repository")
    max_tokens: int = setting("tokens of a document that count, from its first")

    needs_weights = True

    def __post_init__(self) -> None:
        within("feature.max_tokens", self.max_tokens, 1, 1_000_000)

    def files(self) -> Mapping[str, str]:
        """Local files that the figures come from, by what they are."""
        return {} if self.path is None else {"path": self.path}


@dataclass
class ProbeConfig:
    """conf/feature/probe.yaml: what the frozen base already knows of the preference task."""

    name: str = setting("probe")
    pairs: str | None = setting("pairs to probe on: a file of JSON lines, or a name of conf/dataset")
    limit: int = setting("most pairs to run, 20 or more")

    needs_weights = True

    def __post_init__(self) -> None:
        within("feature.limit", self.limit, 20, 10_000_000)

    def files(self) -> Mapping[str, str]:
        """Local files that the figures come from, by what they are."""
        return {} if self.pairs is None else {"pairs": self.pairs}


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
        if self.stage not in STAGES:
            raise refused("stage", self.stage, " or ".join(STAGES))
        within("seed", self.seed, 0, 2**32 - 1)
        name = self.feature.get("name") if isinstance(self.feature, Mapping) else self.feature
        if name not in FEATURES:
            raise refused("feature.name", name, " or ".join(FEATURES))
        self.feature = typed(FEATURES[name], OmegaConf.create(dict(self.feature)), under="feature.")

    @property
    def feature_folders(self) -> Path:
        """Where the study keeps what was measured, a folder each."""
        return self.folder / "features"
