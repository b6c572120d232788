"""What conf/posttrain.yaml holds: which stages to make, and a recipe for each (conf/recipe/).

The folder is not called stage: Hydra would take `stage=sft` of the other commands for a file of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rm_selection.checkpoints import CHAIN, Base
from rm_selection.errors import ConfigError
from rm_selection.microcosm_settings import MicrocosmConfig
from rm_selection.settings import StudyConfig, above_zero, in_group, refused, sequence, setting, within
from rm_selection.stages.rewards import REWARDS
from rm_selection.train_settings import HardwareConfig, TrackingConfig


@dataclass
class RecipeConfig:
    """What every recipe says: its data, and how they are learnt."""

    path: str | None = setting("file of JSON lines to read instead of the repository")
    repo: str | None = setting("repository on the Hub; null: a file")
    subset: str | None = setting("folder inside the repository")
    split: str | None = setting("split of the repository")
    revision: str | None = setting("branch, tag or commit of the repository")
    limit: int | None = setting("most rows to read, 1 or more; null: all")
    held_out: float = setting("share of prompts never learnt, which tell what the stage improves; above 0, at most 0.5")
    max_length: int = setting("tokens; longer conversations are left out and counted")
    rate: float = setting("peak learning rate, above 0")
    epochs: float = setting("passes over the data, above 0")
    max_steps: int | None = setting("end after so many optimiser steps; null: as the epochs say")
    global_batch: int = setting("conversations, pairs or answers an optimiser step")
    micro_batch: int = setting("of them at once on the device")
    warmup: float = setting("share of the steps until the peak rate is reached, 0 to 1; then it falls linearly to 0")
    checkpoint_steps: int = setting("steps between checkpoints, from which a killed run goes on")

    def __post_init__(self) -> None:
        name = self.stage
        for key in ("rate", "epochs"):
            above_zero(f"recipe.{name}.{key}", getattr(self, key))
        if self.max_steps is not None:
            within(f"recipe.{name}.max_steps", self.max_steps, 1, 10**9)
        for key, least, most in (("held_out", 0.001, 0.5), ("warmup", 0.0, 1.0)):
            if not least <= getattr(self, key) <= most:
                raise refused(f"recipe.{name}.{key}", getattr(self, key), f"a share from {least:g} to {most:g}")
        for key in ("global_batch", "micro_batch", "checkpoint_steps"):
            within(f"recipe.{name}.{key}", getattr(self, key), 1, 1_000_000)
        within(f"recipe.{name}.max_length", self.max_length, 8, 1_000_000)
        if self.global_batch % self.micro_batch:
            batch = f"a divisor of recipe.{name}.global_batch={self.global_batch}"
            raise refused(f"recipe.{name}.micro_batch", self.micro_batch, batch)
        if (self.path is None) == (self.repo is None):
            raise refused(f"recipe.{name}.path", self.path, f"it or recipe.{name}.repo, one of the two")

    @property
    def stage(self) -> str:
        """Whose recipe it is: its settings are typed as recipe.<stage>.<name>."""
        return type(self).__name__.removesuffix("Config").lower()


@dataclass
class SftConfig(RecipeConfig):
    """conf/recipe/sft.yaml: the last answer of conversations is learnt; TRL's SFTTrainer."""


@dataclass
class DpoConfig(RecipeConfig):
    """conf/recipe/dpo.yaml: the chosen answer over the rejected one; TRL's DPOTrainer."""

    reader: str = setting("layout of a row; `schema` is ours, see the README")
    beta: float = setting("weight of staying near the parent, above 0")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.beta > 0:
            raise refused("recipe.dpo.beta", self.beta, "a number above 0")


@dataclass
class RlvrConfig(RecipeConfig):
    """conf/recipe/rlvr.yaml: answers that a function can verify; TRL's GRPOTrainer."""

    rewards: list[str] = setting("functions that verify an answer, their values added up")
    generations: int = setting("answers to each prompt, compared with each other, 2 or more")
    max_answer: int = setting("tokens of an answer, at most")
    temperature: float = setting("of sampling, above 0")
    beta: float = setting("weight of the divergence from the parent, 0 or more; 0 keeps no copy of it")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.rewards or (unknown := [name for name in self.rewards if name not in REWARDS]):
            raise refused("recipe.rlvr.rewards", unknown[0] if self.rewards else "[]", " or ".join(REWARDS))
        within("recipe.rlvr.generations", self.generations, 2, 1024)
        within("recipe.rlvr.max_answer", self.max_answer, 1, 1_000_000)
        if self.global_batch % self.generations:
            batch = f"a divisor of recipe.rlvr.global_batch={self.global_batch}"
            raise refused("recipe.rlvr.generations", self.generations, batch)
        if not self.temperature > 0 or self.beta < 0:
            raise refused("recipe.rlvr.temperature and beta", f"{self.temperature}, {self.beta}", "above 0, 0 or more")


@dataclass
class RecipesConfig:
    """conf/recipe/: one recipe a stage."""

    sft: SftConfig = setting("fine-tuning on conversations")
    dpo: DpoConfig = setting("direct preference optimisation on pairs")
    rlvr: RlvrConfig = setting("reinforcement learning from verifiable rewards")


@dataclass
class PosttrainConfig(StudyConfig):
    """conf/posttrain.yaml."""

    base: Base = in_group("base model, a name of conf/base; base=local base.path=FOLDER for a pretrained one on disk")
    stage: Any = sequence("stages to make, in order: sft,dpo,rlvr or its beginning, or what comes after made ones")
    recipe: RecipesConfig = in_group("how each stage is made", several=True)
    hardware: HardwareConfig = in_group("auto, cpu or gpu")
    tracking: TrackingConfig = in_group("wandb or off")
    microcosm: MicrocosmConfig = in_group("small world that base=micro-* lies in: full or smoke")
    resume: bool = setting("go on from the last whole checkpoint; false starts anew")
    seed: int = setting("seed of the order of data and of sampling, 0 or more")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.stage = _in_order(self.stage)
        within("seed", self.seed, 0, 2**32 - 1)
        self.hardware.in_one_process("posttrain")


def _in_order(given: Any) -> tuple[str, ...]:
    """The stages as given, where each follows the one before it."""
    stages: Sequence[Any] = given if isinstance(given, (list, tuple)) else [given]
    if not stages or (unknown := [one for one in stages if one not in CHAIN]):
        raise refused("stage", unknown[0] if stages else "[]", f"some of {','.join(CHAIN)}")
    first = CHAIN.index(stages[0])
    if tuple(stages) != (right := CHAIN[first : first + len(stages)]):
        told = ",".join(stages)
        raise ConfigError(
            f"stage={told} is out of order, each starts from the one before; give stage={','.join(right)}"
        )
    return tuple(stages)
