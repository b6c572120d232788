"""conf/microcosm/: the small world of which bases, data and benchmarks named micro are made."""

from __future__ import annotations

from dataclasses import dataclass

from rm_selection.settings import StudyConfig, in_group, refused, setting, within


@dataclass
class MicrocosmConfig:
    """conf/microcosm/: which world, and how large."""

    name: str = setting("full or smoke")
    seed: int = setting("seed of the world, 0 or more; another seed is another world")
    folder: str = setting("where the world lies")
    scale: float = setting("times the words of pre-training, above 0")
    bases: list[str] | None = setting("bases to build, names of conf/base; null: all")
    pairs: int = setting("preference pairs to train on")
    validation: int = setting("preference pairs to choose a checkpoint by")
    evaluation: int = setting("held-out pairs a category")
    items: int = setting("questions a benchmark")
    documents: int = setting("documents a domain for presence scores")

    def __post_init__(self) -> None:
        within("microcosm.seed", self.seed, 0, 2**32 - 1)
        if not 0 < self.scale <= 100:
            raise refused("microcosm.scale", self.scale, "a number above 0, at most 100")
        for name in ("pairs", "validation", "evaluation", "items", "documents"):
            within(f"microcosm.{name}", getattr(self, name), 4, 100_000)
        if not self.folder.strip():
            raise refused("microcosm.folder", self.folder, "a folder")


@dataclass
class BuildConfig(StudyConfig):
    """conf/microcosm.yaml."""

    microcosm: MicrocosmConfig = in_group("full or smoke")
    jobs: int = setting("processes to use, 1 or more")

    def __post_init__(self) -> None:
        super().__post_init__()
        within("jobs", self.jobs, 1, 1024)
