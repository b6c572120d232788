"""Log p of every document, shard by shard: what a killed measurement has scored, the next one finds.

A shard is SHARD documents in a row. Its table is named by all that decides it (weights, settings, texts), so that one
made otherwise is never taken for it.

    parts/<hash>.parquet    columns of COLUMNS, a row a document read
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from rm_selection.errors import MeasurementError
from rm_selection.features.documents import Document
from rm_selection.features.likelihood import Likelihood, encoded

SHARD = 256
COLUMNS = (
    "id",
    "domain",
    "tokens",
    "bytes",
    "cut",
    "log_p",
    "dropped",
)  # log_p: sum over tokens, nats; or dropped: why


def shards(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """SHARD documents at a time, in their order."""
    rest = iter(documents)
    while shard := list(islice(rest, SHARD)):
        yield shard


def kept_or_scored(
    folder: Path, key: str, shard: Sequence[Document], likelihood: Likelihood, most: int, tokens_per_batch: int
) -> pd.DataFrame:
    """The shard's table from `folder`, or scored and put there whole.

    Args:
        folder: of the parts.
        key: what else decides the scores: weights and settings.
        shard: documents.
        likelihood: of the model.
        most: tokens of a document.
        tokens_per_batch: padded tokens a forward pass.

    Raises:
        MeasurementError: the model finds a document not finitely likely.
    """
    whole = hashlib.sha256(f"{key}\0{most}\0{likelihood.precision}".encode())
    for one in shard:
        whole.update(f"\0{one.id}\0{one.domain}\0{one.text}".encode())
    path = folder / f"{whole.hexdigest()[:32]}.parquet"
    if not path.exists():
        table = scored(shard, likelihood, most, tokens_per_batch)
        folder.mkdir(parents=True, exist_ok=True)
        write(table, path)
    return pd.read_parquet(path)


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table under a temporary name, then rename it."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    table.to_parquet(part, index=False)
    part.replace(path)


def scored(documents: Sequence[Document], likelihood: Likelihood, most: int, tokens_per_batch: int) -> pd.DataFrame:
    """A row a document, with the columns COLUMNS; log_p is missing where the document is dropped.

    Raises:
        MeasurementError: log p of a document is not finite.
    """
    tokenizer = likelihood.model.tokenizer
    tokens = encoded(tokenizer, [one.text for one in documents], most)
    dropped = [_unusable(one.ids, tokenizer.unk_token_id) for one in tokens]
    used = [place for place, reason in enumerate(dropped) if reason is None]
    log_p = np.full(len(documents), np.nan)
    log_p[used] = likelihood.sums([tokens[place].ids for place in used], tokens_per_batch)
    for place in used:
        if not np.isfinite(log_p[place]):
            way = "use hardware.precision=float32, or another base"
            raise MeasurementError(f"log p of document {documents[place].id} is {log_p[place]}; {way}")
    about = [(one.id, one.domain) for one in documents]
    rows = [(*a, len(t.ids), t.bytes, t.cut) for a, t in zip(about, tokens, strict=True)]
    return pd.DataFrame(rows, columns=list(COLUMNS[:5])).assign(log_p=log_p, dropped=pd.Series(dropped, dtype=object))


def _unusable(ids: Sequence[int], unknown: int | None) -> str | None:
    if len(ids) < 2:  # a single token says what a text may begin with, not how likely its kind is
        return "fewer than two tokens"
    return "only unknown tokens" if unknown is not None and set(ids) == {unknown} else None
