"""Preference pairs and ratings of the world, in the schema of the README.

Ratings bear the names of HelpSteer2's attributes; what is wrong with an answer decides which of them is low. They run
from -2 to 2 and not from 0 to 4: a scalar head has no intercept, and a model as small spends its few steps finding one.
"""

from __future__ import annotations

from random import Random
from typing import Any

from rm_selection.microcosm.questions import KINDS, Exchange, chat, exchange, safety
from rm_selection.microcosm.world import THINGS, WORDS, World

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
ASKED, ASKED_LAST = slice(0, WORDS - 1), slice(WORDS - 1, None)  # words of a topic that training asks for, or not

Row = dict[str, Any]


def exchanges(world: World, part: str, total: int, kept: bool) -> list[Exchange]:
    """`total` different exchanges, as many of each kind; `part` names the draw (train, validation, evaluation)."""
    rng = Random(f"preferences/{world.seed}/{part}")
    found: dict[Exchange, None] = {}
    for kind in KINDS:
        until = len(found) + total // len(KINDS)
        while len(found) < until:
            found[_drawn(world, rng, kind, kept)] = None
    made = list(found)
    rng.shuffle(made)
    return made


def _drawn(world: World, rng: Random, kind: str, kept: bool) -> Exchange:
    """Half of chat and safety is evaluated on the topics and acts of training, in questions that training has not.

    What a model makes of a few topics and acts it never saw is luck, and would be most of what a seed changes.
    """
    if kind == "chat":
        of_training = not kept or rng.random() < 0.5
        asked = slice(None) if not of_training else ASKED_LAST if kept else ASKED
        return chat(world, rng, not of_training, asked)
    if kind == "safety":
        return safety(world, rng, kept and rng.random() < 0.5, THINGS[int(kept) :: 2])
    return exchange(world, rng, kind, kept)


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
