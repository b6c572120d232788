"""Which bases there are: the zoo as a table, a line a base.

Bases of a `group` share family, size and number of tokens and differ in mixture alone; each group has an even one.
"""

from __future__ import annotations

from dataclasses import dataclass

from rm_selection.microcosm.world import DOMAINS

OVERWEIGHT = 3.0  # times the share of each other domain


@dataclass(frozen=True)
class Recipe:
    """A base. words: of pre-training. over: the domain with three times the share of each other; None: an even mix."""

    family: str
    size: str
    words: int
    over: str | None

    @property
    def name(self) -> str:
        """As in conf/base: micro-<family>-<size>-<mixture>-<thousands of words>k."""
        return f"micro-{self.family}-{self.size}-{self.over or 'even'}-{self.words // 1000}k"

    @property
    def shares(self) -> dict[str, float]:
        """Share of each domain in the corpus, in words."""
        raw = {domain: OVERWEIGHT if domain == self.over else 1.0 for domain in DOMAINS}
        return {domain: share / sum(raw.values()) for domain, share in raw.items()}


GROUPS = {
    ("llama", "s", 150_000): (None, "wiki", "stack"),
    ("qwen3", "s", 400_000): (None, "arxiv"),
    ("mistral", "m", 300_000): (None, "github", "books"),
    ("gemma2", "m", 500_000): (None, "stack"),
    ("qwen3", "m", 600_000): (None, "wiki", "github"),
    ("llama", "l", 700_000): (None, "stack", "wiki"),
}
RECIPES = tuple(Recipe(*group, over) for group, mixtures in GROUPS.items() for over in mixtures)
