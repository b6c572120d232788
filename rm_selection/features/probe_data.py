"""Rows to probe on: chosen by seed from a file or a dataset of conf/dataset, the same ones for every base."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Generic

import numpy as np
from omegaconf import DictConfig, OmegaConf

from rm_selection.config import CONF, typed
from rm_selection.errors import ConfigError, DataError
from rm_selection.preference_lengths import common_subset
from rm_selection.preference_rows import digest, dump, rated
from rm_selection.preference_sources import Source, json_lines
from rm_selection.preferences import Pair, Rating, Read, T, read_pairs, read_ratings, summed
from rm_selection.train_settings import DatasetConfig
from rm_selection.training_data import for_objective, source

LOOKED_AT = 1000  # rows of a file in which its attributes are looked for
NO_ATTRIBUTES = ("margin", "id")


@dataclass(frozen=True)
class Chosen(Generic[T]):
    """Rows and where they come from.

    name: of the dataset or file. sha256: of the rows. counts: of the reading. revision: of the Hub's dataset.
    """

    rows: list[T]
    name: str
    sha256: str
    counts: dict[str, int]
    revision: str | None

    def __str__(self) -> str:
        return f"{len(self.rows)} rows of {self.name} (sha256 {self.sha256[:12]})"


def pairs(where: str, limit: int, max_length: int, seed: int) -> Chosen[Pair]:
    """At most `limit` pairs of a file, or of the training part of a dataset.

    Args:
        where: a name of conf/dataset, else a file.
        limit: most of them; whole prompts are drawn.
        max_length: tokens; rows longer in bytes than so many tokens usually are, are left out for every base alike.
        seed: of the choice.

    Raises:
        DataError: the pairs cannot be read, or none is left.
        ConfigError: the dataset holds none.
    """
    dataset = _dataset(where, "bradley_terry")
    origin = Source("jsonl", where) if dataset is None else source(dataset, "train", dataset.train)
    return _chosen(read_pairs(origin), _name(where, dataset), limit, max_length, seed)


def ratings(
    where: str, attributes: Sequence[str] | None, limit: int, max_length: int, seed: int
) -> tuple[Chosen[Rating], tuple[str, ...]]:
    """At most `limit` rated answers of a file or dataset, and the attributes they are rated for.

    Args:
        where: a name of conf/dataset, else a file.
        attributes: those to read; None for the dataset's own, or all that the file's first rows hold.
        limit: as in `pairs`.
        max_length: as in `pairs`.
        seed: as in `pairs`.

    Raises:
        DataError: the ratings cannot be read, none is left, or no attribute is rated.
        ConfigError: the dataset holds none.
    """
    dataset = _dataset(where, "regression")
    if dataset is None:
        origin, low, high = Source("jsonl", where), -math.inf, math.inf
        names = tuple(attributes or _attributes(where))
    else:
        origin = source(dataset, "train", dataset.train)
        low, high = (-math.inf if dataset.low is None else dataset.low, dataset.high or math.inf)
        names = tuple(attributes or dataset.attributes or ())
    read = read_ratings(origin, names, low, high)
    return _chosen(read, _name(where, dataset), limit, max_length, seed), names


def prompts(rows: Sequence[Pair] | Sequence[Rating]) -> list[str]:
    """What stands for the prompt of each row: rows of one prompt never part in a split."""
    return [digest(dump(row.prompt))[:16] for row in rows]


def _dataset(where: str, objective: str) -> DatasetConfig | None:
    path = CONF / "dataset" / f"{where}.yaml"
    if Path(where).name != where or not path.is_file():
        return None
    content = DictConfig(OmegaConf.load(path))
    if content.train is None:
        raise ConfigError(f"{where} of conf/dataset names no data of its own; give the file itself")
    return for_objective(typed(DatasetConfig, content, under="dataset."), objective)


def _name(where: str, dataset: DatasetConfig | None) -> str:
    return Path(where).name if dataset is None else dataset.name


def _attributes(where: str) -> list[str]:
    found: dict[str, None] = {}
    for _, raw in islice(json_lines(Path(where)), LOOKED_AT):
        found.update(dict.fromkeys(name for name in rated(raw) if name not in NO_ATTRIBUTES))
    if not found:
        raise DataError(
            f"no row of {where} is rated: a rating is a number in a field of its own, or of the field attributes; "
            "give another file as feature.ratings, or pairs as feature.pairs"
        )
    return list(found)


def _chosen(read: Read[T], name: str, limit: int, max_length: int, seed: int) -> Chosen[T]:
    short = common_subset(read.rows, max_length)
    rows = _drawn(short.rows, limit, seed)
    counts = {**read.counts, "dropped_over_long_in_bytes": short.counts["dropped_over_long"], "drawn": len(rows)}
    return Chosen(rows, name, summed(rows, {}).sha256, counts, read.revision)


def _drawn(rows: Sequence[T], limit: int, seed: int) -> list[T]:
    """At most `limit` rows in their order: prompts are drawn, and all rows of each taken while there is room."""
    if len(rows) <= limit:
        return list(rows)
    known, of = np.unique(prompts(rows), return_inverse=True)
    place = np.random.default_rng(seed).permutation(len(known))[of]
    return [rows[index] for index in sorted(np.argsort(place, kind="stable")[:limit])]
