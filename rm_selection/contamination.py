"""Do prompts of the training data occur among the prompts of an evaluation?

    found = overlap(train, evaluation)
    refuse_overlap(found, threshold=0.01)

A prompt is the words of its user turns, without case and punctuation. An evaluation prompt is taken to be in the
training data if some `n` words in a row of it are in a training prompt (13, as in the check of GPT-3's training data:
Brown et al. 2020, appendix C), or, being shorter than that, if its words are all of a training prompt.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rm_selection.errors import DataError
from rm_selection.preference_rows import Pair, Rating

# Chinese and Japanese write no blanks: every sign is a word.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+")
_UNKNOWN = 0  # number of every word that no evaluation prompt has, and of the gap between two prompts
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplying loses nothing
_BATCH = 4096  # prompts hashed at once
_MOST_EXAMPLES = 5

Words = tuple[str, ...]
Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Overlap:
    """What `overlap` found.

    share: of evaluation prompts that are in the training data, 0 to 1.
    examples: up to five of them, cut to 200 characters.
    found: how many evaluation pairs they are.
    evaluated: how many evaluation pairs were looked for.
    train_ids: training rows that hold one, in their order.
    """

    share: float
    examples: list[str]
    found: int
    evaluated: int
    train_ids: list[str]


def overlap(train: Iterable[Pair | Rating], evaluation: Iterable[Pair], n: int = 13) -> Overlap:
    """Which evaluation prompts the training prompts hold.

    Each run of `n` words is one 64-bit number, so 100,000 prompts are compared with 3,000 in seconds; the chance that
    two different runs share a number is below one in a million for that much text.

    Args:
        train: rows to train on; read once, in batches.
        evaluation: pairs to evaluate on.
        n: words in a row that make an overlap, 2 or more.

    Raises:
        DataError: `n` is below 2, or there is no evaluation pair.
    """
    pairs = list(evaluation)
    if n < 2 or not pairs:
        raise DataError(
            f"{n} words in a row of {len(pairs)} evaluation pairs cannot be looked for; give 2 words or more"
        )
    index = _indexed([_words(pair) for pair in pairs], n)
    hit: set[int] = set()
    train_ids: list[str] = []
    for batch in _batches(train):
        rows, places = index.matches([_words(row) for row in batch])
        hit |= places
        train_ids += [batch[row].id for row in sorted(rows)]
    examples = [_prompt(pairs[place])[:200] for place in sorted(hit)[:_MOST_EXAMPLES]]
    return Overlap(len(hit) / len(pairs), examples, len(hit), len(pairs), train_ids)


def refuse_overlap(overlap: Overlap, threshold: float, part: str = "training") -> None:
    """Do nothing if at most `threshold` (0 to 1) of the evaluation prompts are in a part of the data.

    Raises:
        DataError: more are; share, an example and the way out are told.
    """
    if overlap.share <= threshold:
        return
    example = " ".join(overlap.examples[0].split())[:80]
    raise DataError(
        f"{overlap.share:.1%} of the evaluation prompts ({overlap.found} of {overlap.evaluated}) are in the {part} "
        f"data, such as '{example}'; dataset.drop_overlap=true leaves out the {len(overlap.train_ids)} {part} rows "
        f"that hold them, and dataset.max_overlap={overlap.share:.4f} would accept them"
    )


@dataclass(frozen=True)
class _Index:
    """The evaluation prompts, to be looked up.

    numbers: of each word, 1 and up.
    keys: (words + 1,) one random number a word, the unknown one's first.
    runs: sorted hashes of every run of n words; owners: the prompt each is from.
    short: prompts of less than n words.
    """

    n: int
    numbers: dict[str, int]
    keys: Hashes
    runs: Hashes
    owners: Places
    short: dict[Words, list[int]]

    def matches(self, texts: Sequence[Words]) -> tuple[set[int], set[int]]:
        """Places in `texts` that hold an evaluation prompt, and places of the evaluation prompts they hold."""
        found, rows = _runs(texts, self.numbers, self.keys, self.n)
        left, right = np.searchsorted(self.runs, found, "left"), np.searchsorted(self.runs, found, "right")
        matched = right > left
        held = set(rows[matched].tolist())
        hit: set[int] = set()
        for start, end in set(zip(left[matched].tolist(), right[matched].tolist(), strict=True)):
            hit.update(self.owners[start:end].tolist())
        for row, words in enumerate(texts):
            if words in self.short:
                held.add(row)
                hit.update(self.short[words])
        return held, hit


def _indexed(wanted: Sequence[Words], n: int) -> _Index:
    numbers: dict[str, int] = {}
    short: dict[Words, list[int]] = {}
    for place, words in enumerate(wanted):
        for word in words:
            numbers.setdefault(word, len(numbers) + 1)
        if len(words) < n:
            short.setdefault(words, []).append(place)
    keys = np.random.default_rng(0).integers(0, 2**64, len(numbers) + 1, dtype=np.uint64)
    runs, owners = _runs(wanted, numbers, keys, n)
    order = np.argsort(runs, kind="stable")
    return _Index(n, numbers, keys, runs[order], owners[order], short)


def _runs(texts: Sequence[Words], numbers: dict[str, int], keys: Hashes, n: int) -> tuple[Hashes, Places]:
    """The hash of every run of `n` known words in a row of one text, and the place of that text.

    The hash is sum_k keys[word_k] * _BASE**k modulo 2**64.
    """
    words = [number for text in texts for number in (*(numbers.get(word, _UNKNOWN) for word in text), _UNKNOWN)]
    places = np.repeat(np.arange(len(texts)), [len(text) + 1 for text in texts])
    count = len(words) - n + 1
    if count < 1:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    coded = np.array(words)
    unknown_before = np.concatenate(([0], np.cumsum(coded == _UNKNOWN)))
    known = unknown_before[n:] == unknown_before[:-n]
    key = keys[coded]
    hashes = np.zeros(count, np.uint64)
    for k in range(n):
        hashes = hashes * _BASE + key[n - 1 - k : n - 1 - k + count]
    return hashes[known], places[:count][known]


def _words(row: Pair | Rating) -> Words:
    text = _prompt(row)
    plain = text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
    return tuple(_WORD.findall(plain)) or (plain.strip(),)  # a prompt of signs alone is compared as it is


def _prompt(row: Pair | Rating) -> str:
    return "\n".join(turn["content"] for turn in row.prompt if turn["role"] == "user")


def _batches(rows: Iterable[Pair | Rating]) -> Iterator[list[Pair | Rating]]:
    remaining = iter(rows)
    while batch := list(itertools.islice(remaining, _BATCH)):
        yield batch
