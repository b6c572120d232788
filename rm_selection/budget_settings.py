"""What conf/recommend_budget.yaml holds: how reward models would be trained, and what may be spent on choosing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from omegaconf import OmegaConf

from rm_selection.checkpoints import Base
from rm_selection.config import CONF
from rm_selection.settings import PUBLISHED, names, refused, sequence, setting, within
from rm_selection.train_settings import TrainConfig

USES = ("ppo", "best_of_n")
PROBE = "probe"


@dataclass
class BudgetConfig(TrainConfig):
    """conf/recommend_budget.yaml: all that `train` takes but for base and until, which the plan chooses."""

    ELSEWHERE: ClassVar = dict.fromkeys(
        ("category", "family_rule", "results", "mix_protocols"),
        "a ranking without a budget takes it; under one the score of counts=NAME on evaluation= decides",
    )

    budget_gpu_hours: float = setting("device-hours to spend in all, what the study has spent already included")
    dry_run: bool = setting("print the plan and its cost, and run nothing")
    candidates: Any = sequence(
        "bases to choose from, names of conf/base, some with * or @stage: [a,b]; null: all published"
    )
    probe: str | None = setting("feature of conf/feature that probes a base; null: none")
    counts: str | None = setting("benchmark whose score counts, where evaluation names several; null: the only one")
    worth: float = setting("points of regret that an hour must be expected to save, or the plan ends; 0: spend it all")
    device: str | None = setting("what to reckon with, a name of data/devices.csv; null: what is here")
    policy: str | None = setting("base of the policy that the reward model will train; null: not known")
    use: str | None = setting(
        "what the reward model is for: ppo or best_of_n; with ppo only the policy's lineage is left"
    )
    same_tokenizer: bool = setting("leave only bases that read texts as the same tokens as the policy")
    second_dataset: str | None = setting("another dataset of conf/dataset, to see whether the ranking moves")
    max_params_b: float | None = setting("largest size, billions of parameters; null: any")
    min_params_b: float | None = setting("smallest size, billions of parameters; null: any")
    licence: Any = setting("licences to allow, one or [a,b]; null: any")
    exclude_family: Any = setting("families to leave out, one or [a,b]; null: none")
    top: int = setting("rows to print, of the ranking or of a dry run's plan, 1 or more")

    def __post_init__(self) -> None:
        if self.study == PUBLISHED:
            self.study = f"choose-{self.dataset.name}"
        super().__post_init__()
        if self.until != 1:
            raise refused("until", self.until, "it to train; here the plan says how far each training goes")
        if not (math.isfinite(self.budget_gpu_hours) and self.budget_gpu_hours > 0):
            raise refused("budget_gpu_hours", self.budget_gpu_hours, "device-hours, above 0")
        if not (math.isfinite(self.worth) and self.worth >= 0):
            raise refused("worth", self.worth, "points an hour, 0 or more")
        within("top", self.top, 1, 100_000)
        self.candidates = _listed(self.candidates)
        self.licence = names("licence", self.licence)
        self.exclude_family = names("exclude_family", self.exclude_family)
        self._check_use()
        self._check_figures()

    def cell(self, base: Base, stage: str, seed: int) -> TrainConfig:
        """The settings of one training of a candidate."""
        known = {f.name: getattr(self, f.name) for f in fields(TrainConfig)}
        return TrainConfig(**known | {"base": base, "stage": stage, "seed": seed})

    def _check_use(self) -> None:
        if self.use is not None and self.use not in USES:
            raise refused("use", self.use, " or ".join(USES))
        if self.policy is not None and self.use is None:
            way = "ppo (then only bases of the policy's own lineage are left) or best_of_n (then all are)"
            raise refused("use", None, f"what the reward model is for beside policy={self.policy}: {way}")
        if (self.use == "ppo" or self.same_tokenizer) and self.policy is None:
            raise refused("policy", None, "the base of the policy that PPO trains, a name of conf/base")

    def _check_figures(self) -> None:
        if self.probe is not None and self.probe not in (known := _probes()):
            raise refused("probe", self.probe, f"{' or '.join(known)}, or null for none")
        there = sorted(self.evaluation.sets)
        if self.counts is None and len(there) > 1:
            raise refused("counts", None, f"the one that decides: {' or '.join(there)}")
        if self.counts is not None and self.counts not in there:
            raise refused("counts", self.counts, f"a benchmark of evaluation=: {' or '.join(there)}")


def _probes() -> list[str]:
    """Files of conf/feature that are a probe, or that begin as one."""
    files = sorted((CONF / "feature").glob("*.yaml"))
    loaded = {path.stem: OmegaConf.to_container(OmegaConf.load(path)) for path in files}
    return [
        name
        for name, one in loaded.items()
        if isinstance(one, dict) and PROBE in (one.get("name"), *one.get("defaults", []))
    ]


def _listed(given: Any) -> tuple[str, ...]:
    if given is None or given == ():
        return ()
    values: Sequence[Any] = given if isinstance(given, (list, tuple)) else [given]
    if not values or not all(isinstance(one, str) and one.strip() for one in values):
        raise refused("candidates", given, "names of conf/base, as [a,b]")
    return tuple(values)
