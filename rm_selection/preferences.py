"""Any preference data in one schema: pairs, or ratings of single answers, with guards whose drops are counted.

    read = read_pairs(Source("jsonl", "train.jsonl.gz"))
    read.rows, read.counts     # {"read": 2303, "kept": 2298, "dropped_empty_turn": 5, ...}

What is wrong with a row decides what happens:
- its layout (no JSON, a missing or mistyped field, a role other than system, user and assistant, an id that is there
  already): reading stops with a DataError that names file and line, for the other rows are not what they seem either;
- its content (`PAIR_DROPS` and `RATING_DROPS` of `preference_rows`): the row is dropped and counted, for real data hold
  such rows;
- duplicate rows and turns that do not alternate are kept and counted, and a blank system turn is left out.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from rm_selection.errors import DataError
from rm_selection.preference_layouts import UnusableRowError, layout
from rm_selection.preference_rows import (
    PAIR_DROPS,
    RATING_DROPS,
    Message,
    Pair,
    Rating,
    alternates,
    digest,
    dump,
    pair,
    rated,
    rating,
)
from rm_selection.preference_sources import Source, pinned, raw_rows

__all__ = [
    "Message",
    "Pair",
    "Rating",
    "Read",
    "Source",
    "after",
    "hold_out",
    "read_pairs",
    "read_ratings",
    "summed",
    "without",
]

T = TypeVar("T", Pair, Rating)


@dataclass(frozen=True)
class Read(Generic[T]):
    """Rows kept and what became of the others.

    counts: read, kept, dropped_<reason> for every reason, 0 included, duplicates, not_alternating.
    sha256: of the rows kept, in their order.
    revision: commit of the Hub's dataset they come from; None for a file.
    """

    rows: list[T]
    counts: dict[str, int]
    sha256: str
    revision: str | None = None


def read_pairs(source: Source, limit: int | None = None) -> Read[Pair]:
    """The usable pairs of `source`, the first `limit` of them if given.

    A row without an id gets a hash of its content, so that ids stay when a file is reordered.

    Raises:
        DataError: the source cannot be read, a row breaks the layout, or no pair is usable.
    """
    return _read(source, pair, "pair", PAIR_DROPS, limit)


def read_ratings(
    source: Source, attributes: Sequence[str], low: float, high: float, limit: int | None = None
) -> Read[Rating]:
    """The usable ratings of `source`, the first `limit` of them if given.

    An attribute is a field of the row, or of its field `attributes`; absent and null both mean not rated.

    Args:
        source: where they are.
        attributes: names to read, in the order of a model's outputs.
        low: smallest rating allowed.
        high: largest rating allowed.
        limit: most rows to keep.

    Raises:
        DataError: as `read_pairs`; or an attribute is rated in no row.
    """
    if not attributes or not low < high:
        raise DataError(f"dataset.attributes={list(attributes)} from {low} to {high} rate nothing; name attributes")
    seen: dict[str, None] = {}

    def make(raw: Mapping[str, Any], known: Counter[str]) -> Rating:
        seen.update(dict.fromkeys(rated(raw)))
        return rating(raw, known, attributes, low, high)

    read = _read(source, make, "rating", RATING_DROPS, limit)
    for name in attributes:
        if all(row.ratings[name] is None for row in read.rows):
            there = ", ".join(seen) or "none"
            raise DataError(f"no row of {source} is rated for {name}; set dataset.attributes, rated are {there}")
    return read


def hold_out(rows: Sequence[T], share: float) -> tuple[list[T], list[T]]:
    """Rows to train on and rows to validate on, where a dataset has no validation split.

    The prompt's hash decides, so all answers to one prompt fall on one side, in every run and for every base.

    Args:
        rows: all of them.
        share: of prompts to validate on, above 0 and below 1.

    Raises:
        DataError: one side would be empty.
    """
    held = [int(digest(dump(row.prompt)), 16) / 16**64 < share for row in rows]
    sides = ([r for r, h in zip(rows, held, strict=True) if not h], [r for r, h in zip(rows, held, strict=True) if h])
    if not all(sides):
        text = f"{share} of {len(rows)} rows leaves nothing to train or to validate on"
        raise DataError(f"dataset.validation_share={text}; name a file or split as dataset.validation")
    return sides


def without(rows: Iterable[T], ids: Iterable[str]) -> list[T]:
    """The rows whose id is not among `ids`."""
    dropped = frozenset(ids)
    return [row for row in rows if row.id not in dropped]


def summed(rows: Sequence[T], counts: Mapping[str, int], revision: str | None = None) -> Read[T]:
    """`rows` as a Read, with their hash."""
    total = hashlib.sha256()
    for row in rows:
        total.update(dump(vars(row)).encode())
    return Read(list(rows), dict(counts), total.hexdigest(), revision)


def after(before: Read[T], kept: Read[T]) -> Read[T]:
    """What a further guard kept of what was read, counted from the first row that was read."""
    dropped = {name: n + before.counts.get(name, 0) for name, n in kept.counts.items() if name.startswith("dropped_")}
    counts = {"read": kept.counts["read"], **before.counts, **dropped, "kept": kept.counts["kept"]}
    return replace(kept, counts=counts, revision=before.revision)


def _read(
    source: Source,
    make: Callable[[Mapping[str, Any], Counter[str]], T],
    kind: str,
    reasons: Sequence[str],
    limit: int | None,
) -> Read[T]:
    adapt = layout(source.reader, kind).adapt
    if limit is not None and limit < 1:
        raise DataError(f"dataset.limit={limit} is not allowed; give 1 or more, or null for all rows")
    source = pinned(source)
    counts = Counter({"read": 0, "kept": 0, **{f"dropped_{reason}": 0 for reason in reasons}})
    counts.update(duplicates=0, not_alternating=0)
    rows: list[T] = []
    places: dict[str, str] = {}
    known: Counter[str] = Counter()
    for where, raw in raw_rows(source, stream=limit is not None):
        counts["read"] += 1
        try:
            row = make(adapt(raw), known)
        except UnusableRowError as dropped:
            counts[f"dropped_{dropped.reason}"] += 1
            continue
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        if row.id in places:
            raise DataError(
                f"{where}: id {row.id} is there already in {places[row.id]}; leave ids out or make them unique"
            )
        places[row.id] = where
        counts["not_alternating"] += not all(map(alternates, row.conversations))
        rows.append(row)
        if len(rows) == limit:
            break
    counts["kept"] = len(rows)
    counts["duplicates"] = known.total() - len(known)
    if not rows:
        dropped_as = ", ".join(f"{n} {name}" for name, n in counts.items() if n and name.startswith("dropped"))
        raise DataError(f"{source} holds no usable {kind}: {counts['read']} rows read, {dropped_as or 'none dropped'}")
    return summed(rows, counts, source.revision)
