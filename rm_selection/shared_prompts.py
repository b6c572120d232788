"""Responses to one prompt in one pass: the prompt's tokens run once, and no token is padding.

A tree is some rows of tokens with a common start, its stem; the rest of each row is a branch. Trees lie end to end in
one long row. Stem and first branch are a causal row as any other; a further branch attends to the stem and to itself,
and its positions go on from the stem's end. So every token sees what it would see in a row of its own.

Attention is computed row by row with SDPA and each layer's own sliding window; all else is indifferent to company.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "shared_prompts"  # of the attention, among those of transformers
Tokens = Sequence[int]


@dataclass(frozen=True)
class Tree:
    """Tokens of the stem and of each branch, one or more of at least one token."""

    stem: int
    branches: tuple[int, ...]

    @property
    def size(self) -> int:
        """Tokens that run."""
        return self.stem + sum(self.branches)


@dataclass(frozen=True)
class Forest:
    """The trees of one long row, in order. masks: those made so far, by rows, columns and window."""

    trees: tuple[Tree, ...]
    masks: dict[tuple[int, int, int | None], Tensor | None] = field(default_factory=dict)

    def mask(self, rows: int, columns: int, window: int | None, device: torch.device) -> Tensor | None:
        """Which columns the last `rows` of them see: (1, 1, rows, columns) bool; None for plainly causal."""
        key = (rows, columns, window if window is not None and window < columns else None)
        if key not in self.masks:
            self.masks[key] = _mask(*key, device)
        return self.masks[key]


def common(first: Tokens, second: Tokens) -> int:
    """How many tokens two rows have in common from the start, found by halving."""
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if first[low:middle] == second[low:middle] else (low, middle - 1)
    return low


def grown(rows: Sequence[Tokens]) -> Tree:
    """The tree of rows: as long a stem as leaves each a token of its own, for rewards are read there."""
    stem = min(common(rows[0], row) for row in rows) if len(rows) > 1 else 0
    stem = min(stem, min(map(len, rows)) - 1)
    return Tree(stem, tuple(len(row) - stem for row in rows))


def grouped(rows: Sequence[Tokens], most: int) -> Iterator[list[Tokens]]:
    """Rows in the order of their tokens, cut into trees of at most so many tokens, or one row.

    A row joins the one before where they share an eighth of it, and half of what it shares with the next.
    """
    shared = [0, *(common(*two) for two in pairwise(rows)), 0]
    group: list[Tokens] = []
    for place, row in enumerate(rows):
        alike = shared[place] * 8 >= len(row) and shared[place] * 2 >= shared[place + 1]
        if group and not (alike and grown([*group, row]).size <= most):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def packed(trees: Sequence[Sequence[Tokens]]) -> dict[str, Any]:
    """What a reward model takes of trees, each given as its rows.

    Returns:
        input_ids, position_ids, attention_mask (1, tokens); forest; last (rows): where each row's last token lies.
    """
    ids: list[int] = []
    positions: list[int] = []
    last: list[int] = []
    forest = tuple(map(grown, trees))
    for rows, tree in zip(trees, forest, strict=True):
        for index, row in enumerate(rows):
            start = tree.stem if index else 0
            ids += row[start:]
            positions += range(start, len(row))
            last.append(len(ids) - 1)
    lines = {"input_ids": torch.tensor([ids]), "position_ids": torch.tensor([positions])}
    lines["attention_mask"] = torch.ones_like(lines["input_ids"])
    return lines | {"last": torch.tensor(last), "forest": Forest(forest)}


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **settings: Any
) -> tuple[Tensor, None]:
    """SDPA, within the trees where there are some: (1, heads, tokens, size) -> (1, tokens, heads, size).

    Raises:
        ValueError: the layer does not say which window it has.
    """
    forest: Forest | None = settings.pop("forest", None)
    if forest is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **settings)
    window = _window(module, settings)
    found = []
    for own, stem in _spans(forest):
        q, k, v = query[:, :, own], *(_seen(one, own, stem) for one in (key, value))
        mask = forest.mask(q.shape[2], k.shape[2], window, q.device)
        found.append(sdpa_attention_forward(module, q, k, v, mask, **settings)[0])
    return torch.cat(found, dim=1), None


def can_share(model: Any) -> str | None:
    """Why a model cannot run trees, as far as its config tells; None where it may."""
    config = model.config.get_text_config()
    if config._attn_implementation not in ("sdpa", NAME):
        return f"its attention is {config._attn_implementation}"
    if getattr(config, "attention_chunk_size", None):
        return "its attention is chunked"
    rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type")
    if rope in ("dynamic", "longrope"):
        return f"its {rope} positions depend on the longest row beside"
    return None


def _spans(forest: Forest) -> Iterator[tuple[slice, slice | None]]:
    """What runs at once: where it lies, and where the stem lies that it attends to besides."""
    start = 0
    for tree in forest.trees:
        stem = slice(start, start + tree.stem)
        yield slice(start, stem.stop + tree.branches[0]), None
        start = stem.stop + tree.branches[0]
        for size in tree.branches[1:]:
            yield slice(start, start + size), stem
            start += size


def _seen(one: Tensor, own: slice, stem: slice | None) -> Tensor:
    return one[:, :, own] if stem is None else torch.cat([one[:, :, stem], one[:, :, own]], dim=2)


def _mask(rows: int, columns: int, window: int | None, device: torch.device) -> Tensor | None:
    if rows == columns and window is None:
        return None
    back = torch.arange(columns - rows, columns, device=device)[:, None] - torch.arange(columns, device=device)
    seen = back >= 0
    return (seen if window is None else seen & (back < window))[None, None]


def _window(module: Any, settings: dict[str, Any]) -> int | None:
    """The sliding window of this layer, in tokens; None without one."""
    config = getattr(module, "config", None)
    if "sliding_window" not in settings and getattr(config, "sliding_window", None) is not None:
        raise ValueError(f"{type(module).__name__} has a sliding window and does not tell its attention")
    window: int | None = settings.get("sliding_window")
    return window


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
