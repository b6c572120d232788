"""What each stage learns from: conversations, preference pairs, or questions whose answers can be verified.

A row of a file, one JSON object a line:

    sft   {"messages": [{"role", "content"}...]}, or {"prompt", "response"}; the last answer is learnt
    dpo   {"prompt", "chosen", "rejected"}, or what a reader of conf/dataset reads
    rlvr  {"prompt", "answer"}, or {"messages", "ground_truth"}; the answer is what a reward function compares with

`prompt`, `response` may be a text or a list of turns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic

from rm_selection.errors import DataError
from rm_selection.posttrain_settings import DpoConfig, RecipeConfig
from rm_selection.preference_rows import Pair, Rating, Turns, digest, dump, messages
from rm_selection.preference_sources import Source, pinned, raw_rows
from rm_selection.preferences import Read, T, hold_out, read_pairs, summed


@dataclass(frozen=True)
class Rows(Generic[T]):
    """Rows to learn and rows held out, by prompt; `read` tells of all of them."""

    learnt: list[T]
    held_out: list[T]
    read: Read[T]

    @property
    def about(self) -> dict[str, Any]:
        """Counts, hash and revision, for the record."""
        told = {"counts": self.read.counts | {"learnt": len(self.learnt), "held_out": len(self.held_out)}}
        return told | {"sha256": self.read.sha256} | ({"revision": self.read.revision} if self.read.revision else {})


def rows(stage: str, recipe: RecipeConfig) -> Rows[Any]:
    """The rows of a stage: Pair for dpo, Rating without ratings for sft and rlvr (its response is the right answer).

    Raises:
        DataError: the data cannot be had, a row breaks the layout, or one side would be empty.
    """
    found: Read[Any] = _pairs(recipe) if isinstance(recipe, DpoConfig) else _answers(stage, recipe)
    try:
        learnt, held = hold_out(found.rows, recipe.held_out)
    except DataError as error:
        share = f"recipe.{stage}.held_out={recipe.held_out} of {len(found.rows)} rows"
        raise DataError(f"{share} leaves nothing to learn or to hold out; give more rows or another share") from error
    return Rows(learnt, held, found)


def _source(recipe: RecipeConfig, reader: str = "schema") -> Source:
    if recipe.path is not None:
        return Source("jsonl", recipe.path, reader=reader)
    return Source("hub", recipe.repo or "", recipe.split, recipe.revision, reader, recipe.subset)


def _pairs(recipe: DpoConfig) -> Read[Pair]:
    return read_pairs(_source(recipe, recipe.reader), recipe.limit)


def _answers(stage: str, recipe: RecipeConfig) -> Read[Rating]:
    source = pinned(_source(recipe))
    counts, found = Counter({"read": 0, "kept": 0, "dropped_no_answer": 0, "dropped_duplicate": 0}), {}
    for where, raw in raw_rows(source):
        counts["read"] += 1
        prompt, answer = _parts(raw, f"{where} of {stage}")
        if not prompt or not answer or not answer[-1]["content"].strip():
            counts["dropped_no_answer"] += 1
        elif (name := digest(dump([prompt, answer]))) in found:
            counts["dropped_duplicate"] += 1
        else:
            found[name] = Rating(prompt, answer, {}, name)
        if recipe.limit is not None and len(found) >= recipe.limit:
            break
    if not found:
        raise DataError(f"no row of {source} has a prompt and an answer; see the README for the layout of {stage}")
    counts["kept"] = len(found)
    return summed(list(found.values()), counts, source.revision)


def _parts(raw: Mapping[str, Any], where: str) -> tuple[Turns, Turns]:
    """Prompt and answer."""
    right = raw.get("answer", raw.get("ground_truth"))

    def said(name: str) -> Turns:
        return messages(raw.get(name), f"{where}: {name}", "assistant" if name == "response" else "user")

    if right is not None:
        return said("messages") or said("prompt"), ({"role": "assistant", "content": str(right)},)
    if turns := said("messages"):
        return (turns[:-1], turns[-1:]) if turns[-1]["role"] == "assistant" else ((), ())
    return said("prompt"), said("response")
