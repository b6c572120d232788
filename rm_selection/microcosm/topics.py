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


def _sentence(words: tuple[str, ...], rng: Random) -> str:
    pattern = rng.choice(PATTERNS)
    return pattern.format(*rng.sample(words, pattern.count("{}")))
