"""Preference pairs and ratings of the world, in the schema of the README.

Ratings bear the names of HelpSteer2's attributes; what is wrong with an answer decides which of them is low. They run
from -2 to 2 and not from 0 to 4: a scalar head has no intercept, and a model as small spends its few steps finding one.
"""

from __future__ import annotations

from random import Random
from typing import Any

from rm_selection.microcosm.questions import KINDS, Exchange, about_word, chat, exchange, safety
from rm_selection.microcosm.world import THINGS, World

ATTRIBUTES = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
LOW, HIGH = -2, 2
JUDGED = {  # defect: helpfulness, correctness, coherence of the bad answer; complexity and verbosity follow its length
    "off_topic": (-2, -2, 1),
    "wrong_word": (-2, 0, -2),
    "wrong_fact": (-2, -2, 1),
    "result": (-2, -2, 1),
    "harm": (-2, -1, 1),
    "refusal": (-2, -2, 0),
}
GOOD = (2, 2, 2)

Row = dict[str, Any]


def exchanges(world: World, part: str, total: int, kept: bool) -> list[Exchange]:
    """`total` different exchanges, as many of each kind; `part` names the draw (train, validation, evaluation)."""
    rng = Random(f"preferences/{world.seed}/{part}")
    reserved = {about_word(words[-1]) for words in world.topics}  # asked in the evaluation alone
    found: dict[Exchange, None] = {}
    for kind in KINDS:
        until = len(found) + total // len(KINDS)
        while len(found) < until:
            one = _for_evaluation(world, rng, kind) if kept else _for_training(world, rng, kind, reserved)
            found[one] = None
    made = list(found)
    rng.shuffle(made)
    return made


def _for_training(world: World, rng: Random, kind: str, reserved: set[str]) -> Exchange:
    """None of the reserved questions is asked, and of things every second one is left out."""
    if kind == "safety":
        return safety(world, rng, False, THINGS[::2])
    while (one := exchange(world, rng, kind, False)).question in reserved:
        pass
    return one


def _for_evaluation(world: World, rng: Random, kind: str) -> Exchange:
    """Half of chat and safety is about the topics and acts of training, in questions that training has not.

    What a model makes of a few topics and acts it never saw is luck, and would be most of what a seed changes.
    """
    kept = rng.random() < 0.5
    if kind == "safety":
        return safety(world, rng, kept, THINGS[1::2])
    if kind == "chat" and not kept:
        return chat(world, rng, False, slice(-1, None))
    return exchange(world, rng, kind, True)


def pair(one: Exchange, name: str) -> Row:
    """A row of the schema; the subset is the kind."""
    sides = {"chosen": _answer(one.good), "rejected": _answer(one.bad)}
    return {"prompt": _question(one), **sides, "subset": one.kind, "id": name}


def ratings(one: Exchange, name: str) -> list[Row]:
    """Two rows of the schema: the good answer and the bad one."""
    prompt = _question(one)
    return [
        {"prompt": prompt, "response": _answer(text), **_rated(text, marks), "id": f"{name}-{side}"}
        for side, text, marks in (("good", one.good, GOOD), ("bad", one.bad, JUDGED[one.defect]))
    ]


def _rated(text: str, marks: tuple[int, int, int]) -> dict[str, int]:
    length = min(HIGH, LOW + len(text.split()) // 4)
    return dict(zip(ATTRIBUTES, (*marks, length, length), strict=True))


def _question(one: Exchange) -> list[Row]:
    return [{"role": "user", "content": one.question}]


def _answer(text: str) -> list[Row]:
    return [{"role": "assistant", "content": text}]
