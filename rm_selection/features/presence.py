"""Presence: how likely a base finds documents of known domains, a trace of what it was trained on.

The score of a document is mean log p, in nats, of its first max_tokens tokens ("A Systematic Analysis of Base Model
Choice for Reward Modeling", EMNLP 2025); that of a domain is the mean over its documents.

    <domain>             per token: compares within one vocabulary only, for a long token is harder to guess
    <domain>_per_byte    the same sum over the UTF-8 bytes that those tokens stand for: compares across vocabularies

Document scores lie in scores.parquet: id, domain, tokens, bytes, cut, log_p (the sum, nats).
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rm_selection import console
from rm_selection.analysis.resampling import LEVEL, percentile_interval
from rm_selection.checkpoint_folder import fingerprint
from rm_selection.checkpoints import Checkpoint
from rm_selection.errors import DataError
from rm_selection.features import Measured, Place, documents, language_model, likelihood
from rm_selection.features.document_scores import SHARD, kept_or_scored, shards, write
from rm_selection.features.documents import PER_BYTE, Document
from rm_selection.measure_settings import PresenceConfig
from rm_selection.preference_sources import Source
from rm_selection.vocabularies import vocabulary

RESAMPLES = 1000


@dataclass
class Reading:
    """What was seen of the documents while they were read."""

    dropped: documents.Dropped = field(default_factory=Counter)
    domains: dict[str, Any] = field(default_factory=dict)  # name -> running hash of its documents

    def noted(self, read: Iterator[Document]) -> Iterator[Document]:
        """The documents, each added to the hash of its domain."""
        for one in read:
            self.domains.setdefault(one.domain, hashlib.sha256()).update(f"{one.text}\0".encode())
            yield one


def measure(checkpoint: Checkpoint, settings: PresenceConfig, place: Place) -> Measured:
    """Score the documents and take means over domains; a domain without a usable document is left out, and why noted.

    Raises:
        DataError: the documents cannot be read, or none of them is usable.
        ModelError: the base cannot be loaded.
        MeasurementError: its tokenizer has no token to begin with, or a score is not finite.
    """
    source: Source | list[Path]
    if settings.path is None:
        source = documents.on_hub(settings.repo, settings.revision, settings.split)
        total = settings.limit * len(documents.SLIMPAJAMA)
    else:  # read twice: a damaged line ends the work before it begins
        source = documents.files(Path(settings.path))
        total = sum(1 for _ in documents.read(source, settings.limit, Counter()))
    model = language_model.load(checkpoint, place.device, place.precision)
    prepared = likelihood.prepared(model, place.precision)
    most = min(settings.max_tokens, model.max_length)
    reading = Reading()
    read = shards(reading.noted(documents.read(source, settings.limit, reading.dropped)))
    key = checkpoint.revision or fingerprint(Path(checkpoint.source))
    parts: list[pd.DataFrame] = []

    def scoring() -> Iterator[str]:
        for shard in read:
            yield f"documents {len(parts) * SHARD + 1}-{len(parts) * SHARD + len(shard)} of {total}, {shard[0].domain}"
            parts.append(kept_or_scored(place.folder / "parts", key, shard, prepared, most, place.tokens_per_batch))

    console.progress(scoring(), max(1, -(-total // SHARD)))
    found = pd.concat(parts) if parts else pd.DataFrame()
    _check_any(found, reading, settings.path or settings.repo)
    usable = found[found["dropped"].isna()].drop(columns="dropped").reset_index(drop=True)
    write(usable, place.folder / "scores.parquet")
    values, intervals = _means(usable, place.seed)
    hashes = {domain: whole.hexdigest()[:8] for domain, whole in reading.domains.items()}
    shutil.rmtree(place.folder / "parts", ignore_errors=True)
    return Measured(
        values=values,
        protocols=protocols(values, hashes, most, place.precision, vocabulary(model.tokenizer)),
        details={
            "source": str(settings.path) if isinstance(source, list) else f"{source}@{source.revision}",
            "tokens_a_document": most,
            "prefix": model.tokenizer.convert_ids_to_tokens(likelihood.prefix(model.tokenizer)),
            "own_logits": prepared.fallback,
            "domains": _counts(found, reading.dropped),
            "intervals": intervals,
            "interval_level": LEVEL,
        },
        tokens=int(usable["tokens"].sum()),
    )


def protocols(
    values: dict[str, float], hashes: dict[str, str], most: int, precision: str, vocabulary_hash: str
) -> dict[str, str]:
    """How each value was measured; the per-token ones end in "; vocabulary <hash>".

    Args:
        values: see `measure`.
        hashes: of the documents of each domain.
        most: tokens of a document.
        precision: of the arithmetic.
        vocabulary_hash: see `vocabulary`.
    """
    told = {}
    for name in values:
        domain = name.removesuffix(PER_BYTE)
        unit = "byte" if name.endswith(PER_BYTE) else "token"
        how = f"mean over documents of log p a {unit}, nats, first {most} tokens after BOS or else EOS"
        told[name] = f"{how}; documents {hashes[domain]}; {precision}"
        told[name] += f"; vocabulary {vocabulary_hash}" if unit == "token" else ""
    return told


def _means(usable: pd.DataFrame, seed: int) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Means over documents a domain, and their percentile intervals over resamples of documents."""
    values, intervals = {}, {}
    for domain, rows in usable.groupby("domain", sort=True):
        scores = np.column_stack([rows["log_p"] / rows["tokens"], rows["log_p"] / rows["bytes"]])
        drawn = _resampled(scores, seed)
        for column, name in enumerate((str(domain), f"{domain}{PER_BYTE}")):
            values[name] = float(scores[:, column].mean())
            intervals[name] = list(percentile_interval(drawn[:, column]))
    return values, intervals


def _resampled(scores: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Means of resampled rows: (n, columns) -> (RESAMPLES, columns)."""
    rng = np.random.default_rng(seed)
    return np.array([scores[rng.integers(len(scores), size=len(scores))].mean(axis=0) for _ in range(RESAMPLES)])


def _check_any(found: pd.DataFrame, reading: Reading, source: str) -> None:
    if not found.empty and found["dropped"].isna().any():
        return
    why = Counter({reason: 0 for _, reason in reading.dropped})
    for (_, reason), count in reading.dropped.items():
        why[reason] += count
    why.update([] if found.empty else found["dropped"])
    told = ", ".join(f"{count} {reason}" for reason, count in why.items()) or "there is none"
    raise DataError(f"{source} has no usable document ({told}); give feature.path documents of two tokens or more")


def _counts(found: pd.DataFrame, unread: documents.Dropped) -> dict[str, Any]:
    """Of each domain: documents scored, those cut at the last token that counts, and those dropped, by reason."""
    counts: dict[str, Any] = {}
    for domain in sorted({*found["domain"], *(domain for domain, _ in unread)}):
        mine = found[found["domain"] == domain]
        used = mine[mine["dropped"].isna()]
        why = {reason: count for (name, reason), count in unread.items() if name == domain}
        why |= {str(reason): int(count) for reason, count in mine["dropped"].value_counts().items()}
        counts[domain] = {"documents": len(used), "cut": int(used["cut"].sum()), "dropped": why}
        if used.empty:
            counts[domain]["absent"] = f"no usable document of {sum(why.values())}"
    return counts
