"""The bases that a choice is made from: names of conf/base at a stage, as far as the constraints leave them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd

from rm_selection.checkpoints import MADE, Base, bases, load_base, resolve
from rm_selection.errors import SelectionError
from rm_selection.selection import Constraints, allowed
from rm_selection.vocabularies import of_checkpoint


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
    """What the reward model is for. use: ppo, best_of_n or None. policy: the base that PPO trains.

    same_tokenizer: leave bases alone that read texts as the same tokens as the policy.
    """

    use: str | None = None
    policy: str | None = None
    same_tokenizer: bool = False


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
    return _of_tokenizer([one for one in found if one.name in left], lineage)


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


def _of_tokenizer(found: list[Candidate], lineage: Lineage) -> list[Candidate]:
    """Those whose tokenizer is the policy's; tokenizers come from the Hub or a folder, a few MB each."""
    if not lineage.same_tokenizer or lineage.policy is None:
        return found
    policy = load_base(lineage.policy)
    stage = found[0].stage if Candidate(policy, found[0].stage).there else next(iter(policy.stages))
    wanted = of_checkpoint(resolve(policy, stage))
    kept = [one for one in found if of_checkpoint(resolve(one.base, one.stage)) == wanted]
    if not kept:
        raise SelectionError(
            f"no candidate is left: same_tokenizer=true asks for the tokens of policy={lineage.policy}, which none of "
            f"the {len(found)} has; give same_tokenizer=false, or other candidates="
        )
    return kept
