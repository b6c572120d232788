"""Where the rows of a dataset come from: conf/dataset, or files of the user's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rm_selection.config import CONF, in_context, typed
from rm_selection.contamination import Overlap, overlap, refuse_overlap
from rm_selection.errors import ConfigError, DataError
from rm_selection.preferences import Pair, Read, Source, T, summed, without
from rm_selection.train_settings import DatasetConfig

NEEDED = {"bradley_terry": "pairs", "regression": "ratings"}
CHOICES = ("max_length", "common_subset", "limit", "max_overlap", "drop_overlap")  # the user's, whatever the data


def for_objective(dataset: DatasetConfig, objective: str, context: Mapping[str, Any] | None = None) -> DatasetConfig:
    """`dataset`, or its counterpart where the objective learns from the other kind: one sweep then takes both.

    context: settings that the counterpart's file may name; None: as shipped.

    Raises:
        ConfigError: there is no counterpart.
    """
    kind = NEEDED[objective]
    if dataset.kind == kind:
        return dataset
    if dataset.counterpart is None:
        raise ConfigError(
            f"objective={objective} learns from {kind}, and dataset={dataset.name} holds {dataset.kind}; "
            f"choose another dataset, or dataset.kind={kind} for files of your own"
        )
    other = typed(DatasetConfig, content(dataset.counterpart, context))
    return replace(other, **{name: getattr(dataset, name) for name in CHOICES})


def content(name: str, context: Mapping[str, Any] | None = None) -> DictConfig:
    """What conf/dataset/<name>.yaml holds; context: settings that it may name, None: as shipped."""
    return in_context(DictConfig(OmegaConf.load(CONF / "dataset" / f"{name}.yaml")), context)


def apart(read: Read[T], evaluated: Sequence[Pair], dataset: DatasetConfig, part: str) -> tuple[Read[T], Overlap]:
    """The rows apart from the prompts that are evaluated on, and what overlap there was.

    Args:
        read: rows to train on, to pick checkpoint and rate by, or to choose the merge vector by.
        evaluated: pairs of all benchmarks.
        dataset: says whether rows are left out, or how much overlap is allowed.
        part: what an error calls the rows.

    Raises:
        DataError: there is more overlap than that, or every row would be left out.
    """
    found = overlap(read.rows, evaluated)
    if not (dataset.drop_overlap and found.train_ids):
        refuse_overlap(found, dataset.max_overlap, part)
        return read, found
    kept = without(read.rows, found.train_ids)
    if not kept:
        raise DataError(
            f"dataset.drop_overlap=true leaves none of the {len(read.rows)} {part} rows, for all hold an evaluation "
            "prompt; give others"
        )
    counts = read.counts | {"dropped_overlap": len(read.rows) - len(kept)}
    return summed(kept, counts, read.revision), found


def source(dataset: DatasetConfig, part: str, where: str | None) -> Source:
    """The source of one part (train or validation) of a dataset: a split of its repository, or a file.

    Raises:
        ConfigError: it is not named.
    """
    if where is None:
        raise ConfigError(f"dataset.{part} is null; name a file of JSON lines, or choose another dataset=")
    if dataset.repo is None:
        return Source("jsonl", where, reader=dataset.reader)
    return Source("hub", dataset.repo, where, dataset.revision, dataset.reader, dataset.subset)


def merge_source(dataset: DatasetConfig) -> Source:
    """The pairs that choose the merge vector of a regression: a file, or the validation split of a named dataset.

    Raises:
        ConfigError: dataset.pairs names neither.
    """
    name = dataset.pairs
    if name is None:
        raise ConfigError("regression merges its outputs by pairs; give dataset.pairs=FILE or a name of conf/dataset")
    path = CONF / "dataset" / f"{name}.yaml"
    if not path.is_file():
        return Source("jsonl", name)
    other = OmegaConf.load(path)
    return Source("hub", other.repo, other.validation, other.revision, other.reader, other.subset)
