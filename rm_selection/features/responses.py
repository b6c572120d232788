"""Preference pairs and rated answers as the tokens a base reads, with the place where the response begins.

The rows are chosen before any tokenizer is asked, so that every base is measured on the same ones; those that this base
cannot read whole are left out and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from operator import eq
from typing import Generic

from rm_selection.errors import DataError, TemplateError
from rm_selection.preference_rows import Message, Turns
from rm_selection.preferences import Pair, Rating, T
from rm_selection.templates import Template


@dataclass(frozen=True, order=True)
class Response:
    """A templated conversation as tokens. start: of the first token that the prompt does not determine, 1 or more."""

    ids: tuple[int, ...]
    start: int


@dataclass(frozen=True)
class Readable(Generic[T]):
    """Rows that a base reads whole, with the responses of each (two of a pair, one of a rating), and the counts."""

    rows: list[T]
    responses: list[tuple[Response, ...]]
    counts: dict[str, int]


def readable(rows: Sequence[T], template: Template, max_length: int) -> Readable[T]:
    """The rows that `template` writes in at most `max_length` tokens; none is truncated.

    Counted: read, kept, dropped_not_renderable, dropped_over_long, dropped_equal_tokens (the sides of a pair).

    Raises:
        DataError: no row is left.
    """
    counts = Counter(dict.fromkeys(("dropped_not_renderable", "dropped_over_long", "dropped_equal_tokens"), 0))
    kept: list[T] = []
    responses: list[tuple[Response, ...]] = []
    for batch in _batches(rows):
        for row, found in zip(batch, _encoded(batch, template), strict=True):
            if reason := _unreadable(found, max_length):
                counts[f"dropped_{reason}"] += 1
            else:
                kept.append(row)
                responses.append(found)
    if not kept:
        why = ", ".join(f"{n} {name}" for name, n in counts.items() if n)
        raise DataError(f"this base reads none of {len(rows)} rows whole ({why}, {max_length} tokens); give other rows")
    return Readable(kept, responses, {"read": len(rows), "kept": len(kept), **counts})


def _batches(rows: Sequence[T], size: int = 512) -> Iterator[list[T]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, size)):
        yield batch


def _unreadable(found: tuple[Response, ...], max_length: int) -> str | None:
    if not found:
        return "not_renderable"
    if max(len(one.ids) for one in found) > max_length:
        return "over_long"
    return "equal_tokens" if len(found) == 2 and found[0].ids == found[1].ids else None


def _encoded(rows: Sequence[T], template: Template) -> list[tuple[Response, ...]]:
    """The responses of each row, none where the template refuses one; all rows are tokenized at once."""
    texts: list[list[str]] = []
    for row in rows:
        try:
            texts.append([template.render(turns) for turns in _to_compare(row)])
        except TemplateError:
            texts.append([])
    tokens = iter(template.encode([text for group in texts for text in group]))
    groups = [[next(tokens) for _ in group] for group in texts]
    return [_responses(group, len(row.conversations)) for group, row in zip(groups, rows, strict=True)]


def _to_compare(row: Pair | Rating) -> list[Turns]:
    """The conversations of a row and, last, one that goes another way from the first letter of the response on.

    Of most pairs the other side does, and need not be written twice. Letters beyond ASCII may share a token.
    """
    place: int = len(row.prompt)
    begun = [(whole[place]["role"], whole[place]["content"].lstrip()[:1]) for whole in row.conversations]
    (role, letter), (role_too, letter_too) = begun[0], begun[-1]
    if role == role_too and letter != letter_too and (letter + letter_too).isascii():
        return list(row.conversations)
    new = next(letter for letter in "1A?" if all(letter != other for _, other in begun))
    whole = row.conversations[0]
    other: Message = {"role": role, "content": new}
    return [*row.conversations, (*whole[:place], other, *whole[place + 1 :])]


def _responses(tokens: list[list[int]], count: int) -> tuple[Response, ...]:
    """The first `count` rows of tokens, each compared with the last one, which is itself compared with the first."""
    return tuple(_response(ids, tokens[-1] if ids is not tokens[-1] else tokens[0]) for ids in tokens[:count])


def _response(ids: list[int], other: list[int]) -> Response:
    """`ids`, of which those that both rows begin with are the prompt's; the first one has nothing to be told from."""
    shared = sum(1 for _ in takewhile(bool, map(eq, ids, other)))
    return Response(tuple(ids), min(max(shared, 1), len(ids) - 1))
