"""The bases that a choice is made from: names of conf/base at a stage, as far as the constraints leave them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd

from rm_selection.checkpoints import MADE, Base, bases, load_base
from rm_selection.errors import SelectionError
from rm_selection.selection import Constraints, allowed


@dataclass(frozen=True)
class Candidate:
    """A stage of a base."""

    base: Base
    stage: str

    @property
    def name(self) -> str:
        """As in tables and run ids: <base>@<stage>."""
        return f"{self.base.name}@{self.stage}"

    @property
    def repo(self) -> str | None:
        """Where it is published; None where it is made here."""
        source = self.base.stages.get(self.stage)
        return None if source is None else source.repo

    @property
    def there(self) -> bool:
        """Whether the base has that stage, published or in a folder of its own."""
        return self.repo is not None or self.base.folder is not None or self.stage in MADE


@dataclass(frozen=True)
class Lineage:
    """What the reward model is for. use: ppo, best_of_n or None. policy: the base that PPO trains."""

    use: str | None = None
    policy: str | None = None


def candidates(named: Sequence[str], stage: str, constraints: Constraints, lineage: Lineage) -> list[Candidate]:
    """Those that are left, by name.

    Args:
        named: names of conf/base, some with * or with @stage; none: every base that publishes the stage.
        stage: of those that name none.
        constraints: size, licence and family.
        lineage: with PPO only bases of the policy's own family are left: a reward model that shares the policy's
            lineage serves it better, while best-of-n does not care (RewardBench 2, arXiv 2506.01937).

    Raises:
        ConfigError: a name is of no base.
        SelectionError: a base lacks the stage, or none is left, and the constraint that removed the last is named.
    """
    found = [one for word in named or ("*",) for one in _meant(word, stage, everything=not named)]
    found = list({one.name: one for one in found}.values())
    if not found:
        raise SelectionError(f"no base of conf/base publishes a stage {stage}; give another stage= or candidates=")
    facts = [(one.name, one.base.family, one.base.params_b or np.nan, one.base.licence) for one in found]
    table = pd.DataFrame(facts, columns=["model", "family", "params_b", "licence"])
    left = set(_of_lineage(allowed(table, constraints), lineage)["model"])
    return [one for one in found if one.name in left]


def _meant(word: str, stage: str, everything: bool) -> list[Candidate]:
    name, _, own = word.partition("@")
    if "*" not in name:
        chosen = Candidate(load_base(name), own or stage)
        if not chosen.there:
            has = " or ".join(f"{name}@{one}" for one in chosen.base.stages)
            raise SelectionError(f"{chosen.name} is not published; give {has} in candidates=")
        return [chosen]
    found = [Candidate(load_base(one), own or stage) for one in bases() if fnmatchcase(one, name)]
    if not found:
        raise SelectionError(f"candidates={word} matches no base of conf/base")
    return [one for one in found if one.there and not (everything and one.base.folder)]


def _of_lineage(table: pd.DataFrame, lineage: Lineage) -> pd.DataFrame:
    if lineage.use != "ppo" or lineage.policy is None:
        return table
    family = load_base(lineage.policy).family
    kept = table[table["family"] == family]
    if kept.empty:
        there = ", ".join(sorted(table["family"].unique()))
        raise SelectionError(
            f"no candidate is left: use=ppo policy={lineage.policy} asks for its lineage, {family}, and there are "
            f"{there}; add bases of {family} to candidates=, or choose by use=best_of_n"
        )
    return kept
