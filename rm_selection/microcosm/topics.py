"""Sentences whose content words all belong to one topic."""

from __future__ import annotations

from random import Random

PATTERNS = (
    "the {} near the {} has a {} {} .",
    "a {} with its {} comes over the {} .",
    "the {} and the {} take a {} under the {} .",
    "in the {} of {} is a {} .",
)


def about(words: tuple[str, ...], rng: Random, sentences: int) -> str:
    """That many sentences about the topic of `words`."""
    return " ".join(_sentence(words, rng) for _ in range(sentences))


def with_odd_word(sentence: str, mine: tuple[str, ...], other: tuple[str, ...], rng: Random) -> str:
    """The sentence with one of its topic's words replaced by a word of another topic."""
    word = rng.choice([one for one in sentence.split() if one in mine])
    odd = rng.choice(other)
    return " ".join(odd if one == word else one for one in sentence.split())


def _sentence(words: tuple[str, ...], rng: Random) -> str:
    pattern = rng.choice(PATTERNS)
    return pattern.format(*rng.sample(words, pattern.count("{}")))
