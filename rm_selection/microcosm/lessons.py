"""What the small world's bases are post-trained on: conversations, preference pairs, questions with one right answer.

All of it is about the half that is not kept for evaluation, so that no stage teaches what a reward model is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from rm_selection.microcosm import preferences, statements
from rm_selection.microcosm.questions import KINDS, exchange
from rm_selection.microcosm.statements import Statement
from rm_selection.microcosm.world import World

Row = dict[str, Any]


def conversations(world: World, count: int) -> Iterator[Row]:
    """That many questions with their good answers, for sft."""
    rng = Random(f"lessons/{world.seed}/sft")
    for _ in range(count):
        made = exchange(world, rng, rng.choice(KINDS), kept=False)
        yield {"prompt": made.question, "response": made.good}


def pairs(world: World, count: int) -> Iterator[Row]:
    """That many preference pairs, as many of each kind, for dpo; another draw than those for reward models."""
    made = preferences.exchanges(world, "lessons", count, kept=False)
    yield from (preferences.pair(one, f"lesson-{i}") for i, one in enumerate(made))


def verifiable(world: World, count: int) -> Iterator[Row]:
    """Up to that many different questions with one right answer, for rlvr: facts, sums, comparisons, functions."""
    rng = Random(f"lessons/{world.seed}/rlvr")
    asked = {said.question: said.text for said in _statements(world, rng)}
    found = [{"prompt": question, "answer": answer} for question, answer in asked.items()]
    rng.shuffle(found)
    yield from found[:count]


def _statements(world: World, rng: Random) -> Iterator[Statement]:
    for entity in world.known:
        yield from (statements.fact(world, rng, entity) for _ in range(12))  # four relations, each found some time
    yield from (statements.addition(rng, *pair) for pair in statements.sums(world, kept=False))
    yield from (statements.comparison(rng, *pair) for pair in statements.compared(kept=False))
    yield from (statements.evaluated(world, rng, call) for call in statements.calls(kept=False))
