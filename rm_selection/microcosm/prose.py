"""Documents of the five domains, and corpora that mix them in given shares.

document(world, "arxiv", rng)     # "3 plus 4 equals 7 . the larger of 2 and 9 is 9 . ..."
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from random import Random

from rm_selection.microcosm.questions import conversation
from rm_selection.microcosm.statements import VERDICTS, addition, calls, comparison, evaluated, fact, judged
from rm_selection.microcosm.topics import about, with_odd_word
from rm_selection.microcosm.world import ADDENDS, NUMBERS, World

SENTENCES = 4  # of a document


def document(world: World, domain: str, rng: Random) -> str:
    """A document of a domain, 15 to 50 words."""
    return MAKERS[domain](world, rng)


def wiki(world: World, rng: Random) -> str:
    """Facts of one entity; the first of the world are written about most."""
    entities = world.entities
    entity = rng.choices(entities, [1 / (rank // 2 + 8) for rank in range(len(entities))])[0]
    return " ".join(judged(rng, fact(world, rng, entity)) for _ in range(SENTENCES))


def arxiv(world: World, rng: Random) -> str:  # noqa: ARG001
    """Sums, comparisons and successors of small numbers."""
    return " ".join(_numbers(rng) for _ in range(SENTENCES))


def _numbers(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.5:
        return judged(rng, addition(rng, rng.randrange(ADDENDS), rng.randrange(ADDENDS)))
    if kind < 0.85:
        return judged(rng, comparison(rng, *rng.sample(range(NUMBERS), 2)))
    number = rng.randrange(NUMBERS - 1)
    return f"after {number} comes {number + 1} ."


def github(world: World, rng: Random) -> str:
    """Calls of the world's functions with their values."""
    return " ".join(judged(rng, evaluated(world, rng, rng.choice(calls(rng.random() < 0.5)))) for _ in range(SENTENCES))


def books(world: World, rng: Random) -> str:
    """Sentences about one topic."""
    mine, other = rng.sample(world.topics, 2)
    return " ".join(_told(rng, mine, other) for _ in range(SENTENCES))


def _told(rng: Random, mine: tuple[str, ...], other: tuple[str, ...]) -> str:
    if rng.random() >= VERDICTS:
        return about(mine, rng, 1)
    if rng.random() < 0.5:
        return f"{about(mine, rng, 1)} right ."
    return f"{with_odd_word(about(mine, rng, 1), mine, other, rng)} wrong ."


def stack(world: World, rng: Random) -> str:
    """A question and its answer, in the form of a chat."""
    return conversation(world, rng)


MAKERS: dict[str, Callable[[World, Random], str]] = {
    "wiki": wiki,
    "arxiv": arxiv,
    "github": github,
    "books": books,
    "stack": stack,
}


def corpus(world: World, shares: Mapping[str, float], words: int, rng: Random) -> Iterator[tuple[str, str]]:
    """Domain and text of documents, shuffled, until each domain has its share of `words` words."""
    found: list[tuple[str, str]] = []
    for domain, share in shares.items():
        left = share * words
        while left > 0:
            text = document(world, domain, rng)
            found.append((domain, text))
            left -= text.count(" ") + 1
    rng.shuffle(found)
    yield from found
