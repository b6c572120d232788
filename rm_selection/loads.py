"""What a cell has to run, in tokens, from the settings of conf/: known sizes of Hub data, or the first rows of a file.

    load = of(settings)      # of a TrainConfig; costs.py makes hours and memory of it

Tokens are those of both sides of the pairs. A file's are its texts' bytes over 4, as in English prose; those of the
Hub's data are means of the lengths in conf/lengths, which stand in for theirs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import NormalDist
from typing import Any
from typing import Protocol as Interface

from omegaconf import OmegaConf

from rm_selection import cost_tables
from rm_selection.config import CONF
from rm_selection.costs import Load
from rm_selection.errors import ConfigError
from rm_selection.evaluation_sets import EvaluationConfig, read_evaluation, sources
from rm_selection.features.documents import SLIMPAJAMA, files
from rm_selection.measure_settings import BenchmarksConfig, MeasureConfig, PresenceConfig, ProbeConfig
from rm_selection.preference_sources import json_lines
from rm_selection.preferences import Pair, Rating, Source, read_pairs, read_ratings
from rm_selection.protocol import steps
from rm_selection.settings import ObjectiveConfig
from rm_selection.train_settings import DatasetConfig, HardwareConfig, TrainingConfig
from rm_selection.training_data import for_objective

READ = 1000  # rows of a file whose lengths are looked at
BYTES_PER_TOKEN = 4  # of English prose; preference_lengths.py, which must not let a long row through, counts 3
PROBED = 1000  # pairs that a probe runs at most


class Settings(Interface):
    """What of a TrainConfig counts here."""

    dataset: DatasetConfig
    objective: ObjectiveConfig
    training: TrainingConfig
    hardware: HardwareConfig
    evaluation: EvaluationConfig

    @property
    def context(self) -> dict[str, Any]:
        """Settings that a file of conf/dataset may name."""


@dataclass(frozen=True)
class Amount:
    """rows: how many. tokens: mean of a row, all its responses. longest: tokens of the longest row."""

    rows: float
    tokens: float
    longest: float


def of(settings: Settings, until: float = 1.0) -> Load:
    """What one cell has to run, all its learning rates; until: share of the steps that is trained.

    Raises:
        ConfigError: the objective cannot learn from the dataset, or nothing tells how much it holds.
        DataError: a file cannot be read.
    """
    dataset, objective, how = settings.dataset, settings.objective, settings.training
    dataset = for_objective(dataset, objective.name, settings.context)
    train, validation = _split(dataset)
    count = steps(math.ceil(train.rows), objective.epochs, how.global_batch, how.max_steps)
    trained = min(train.rows * objective.epochs, count * how.global_batch)
    scored = [_evaluation(name, *one) for name, one in sources(settings.evaluation).items()]
    return Load(
        train=trained * train.tokens,
        validation=math.ceil(count / how.checkpoint_steps) * validation.rows * validation.tokens,
        scored=sum(one.rows * one.tokens for one in scored),
        probe=min(PROBED, train.rows) * train.tokens,
        row=math.ceil(train.longest),
        rates=len(objective.rates),
        search=objective.search,
        until=until,
        lora_rank=how.lora_rank,
        checkpointing=how.gradient_checkpointing,
        precision=settings.hardware.precision,
    )


def measured(settings: MeasureConfig) -> Load | None:
    """What one measurement has to run; None for benchmarks, whose tokens nothing tells before they are run.

    Raises:
        ConfigError: nothing tells how much the probe's data hold.
        DataError: a file cannot be read.
    """
    feature = settings.feature
    if isinstance(feature, PresenceConfig):
        most = len(SLIMPAJAMA) * feature.limit * feature.max_tokens
        held = math.inf if feature.path is None else sum(_texts(Path(feature.path))) / BYTES_PER_TOKEN
        return _frozen(min(most, held), feature.max_tokens, settings)
    if isinstance(feature, BenchmarksConfig):
        return None
    parts = [_probed(feature, name, kind) for name, kind in ((feature.pairs, "pairs"), (feature.ratings, "ratings"))]
    there = [part for part in parts if part is not None]
    passes = 1 if feature.reference is None else 2
    tokens = passes * sum(part.rows * part.tokens for part in there)
    return _frozen(tokens, max((part.longest for part in there), default=0), settings)


def _frozen(tokens: float, row: float, settings: MeasureConfig) -> Load:
    return Load(
        train=0, validation=0, scored=0, probe=tokens, row=math.ceil(row), precision=settings.hardware.precision
    )


def _probed(feature: ProbeConfig, name: str | None, kind: str) -> Amount | None:
    """The rows of a file, or of a dataset of conf/dataset, that a probe runs; None where it has no such rows."""
    if name is None:
        return None
    responses = 2 if kind == "pairs" else 1
    if Path(name).is_file():
        found = _looked_at(name, [_sides(raw, responses) for _, raw in islice(json_lines(Path(name)), READ)])
    else:
        found = _known(name, "train", feature.max_length)
    longest = min(found.longest, responses * feature.max_length)
    return replace(found, rows=min(found.rows, feature.limit), longest=longest)


def _sides(raw: Mapping[str, Any], responses: int) -> float:
    """Bytes of a row as it stands in a file of the schema, the prompt once a response."""
    return responses * _bytes(raw.get("prompt")) + sum(_bytes(raw.get(n)) for n in ("chosen", "rejected", "response"))


def _bytes(value: Any) -> int:
    """Of a text, or of the messages of a conversation."""
    if isinstance(value, str):
        return len(value.encode())
    return sum(_bytes(turn.get("content")) for turn in value or () if isinstance(turn, dict))


def _split(dataset: DatasetConfig) -> tuple[Amount, Amount]:
    """What is trained on and what is validated on."""
    train = _part(dataset, "train", dataset.train)
    if dataset.validation is not None:
        return train, _part(dataset, "validation", dataset.validation)
    share = dataset.validation_share or 0.0
    return replace(train, rows=train.rows * (1 - share)), replace(train, rows=train.rows * share)


def _part(dataset: DatasetConfig, part: str, where: str | None) -> Amount:
    found = _file(dataset, str(where)) if dataset.repo is None else _known(dataset.name, part, dataset.max_length)
    rows = found.rows if dataset.limit is None else min(found.rows, dataset.limit)
    responses = 2 if dataset.kind == "pairs" else 1
    return replace(found, rows=rows, longest=min(found.longest, responses * dataset.max_length))


def _file(dataset: DatasetConfig, where: str) -> Amount:
    source, most = Source("jsonl", where, reader=dataset.reader), min(READ, dataset.limit or READ)
    if dataset.kind == "pairs":
        return _looked_at(where, _read(read_pairs(source, most).rows))
    if not dataset.attributes or dataset.low is None or dataset.high is None:
        raise ConfigError("ratings need dataset.attributes=[...], dataset.low=... and dataset.high=...")
    rows = read_ratings(source, dataset.attributes, dataset.low, dataset.high, most).rows
    return _looked_at(where, _read(rows))


def _evaluation(name: str, benchmark: str, source: Source, limit: int | None) -> Amount:
    if source.kind == "jsonl":
        rows = read_evaluation(benchmark, source, min(READ, limit or READ)).rows
        found = _looked_at(source.path_or_repo, _read(rows))
    else:
        found = _known(name, "evaluation", None)
    return replace(found, rows=min(found.rows, limit or found.rows))


def _read(rows: Sequence[Pair] | Sequence[Rating]) -> list[float]:
    return [float(sum(map(_bytes, row.conversations))) for row in rows]


def _looked_at(where: str, sizes: Sequence[float]) -> Amount:
    """The amount of a file of which the first rows have so many bytes."""
    count = len(sizes) if len(sizes) < READ else _lines(Path(where))
    return Amount(count, sum(sizes) / len(sizes) / BYTES_PER_TOKEN, max(sizes) / BYTES_PER_TOKEN)


def _texts(path: Path) -> Iterator[int]:
    """Bytes of each document of a file or folder."""
    for file in files(path):
        yield from (_bytes(raw.get("text")) for _, raw in json_lines(file))


def _lines(path: Path) -> int:
    import gzip

    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else path.open("rb") as lines:
        return sum(1 for line in lines if line.strip())


def _known(name: str, part: str, max_length: int | None) -> Amount:
    rows = [row for row in cost_tables.sizes() if row.part == part]
    row = next((row for row in rows if row.data == name), None)
    if row is None:
        raise ConfigError(
            f"nothing tells how much {name} holds, so its cost is unknown; name a file, or one of "
            f"{', '.join(sorted(row.data for row in rows))}"
        )
    lengths: Any = OmegaConf.load(CONF / "lengths" / f"{row.lengths}.yaml")
    longest = max_length or 2 * lengths.longest
    tokens = mean_length(lengths.prompt, lengths.prompt_spread, lengths.longest)
    tokens += mean_length(lengths.response, lengths.response_spread, lengths.longest)
    return Amount(row.rows, row.responses * tokens, row.responses * longest)


def mean_length(median: float, spread: float, longest: float) -> float:
    """The mean of a log-normal length cut off at the longest: E min(X, c) = m e^(s2/2) F(d - s) + c (1 - F(d)).

    Where d = ln(c / m) / s and F is the normal distribution.

    Args:
        median: m, tokens.
        spread: s, standard deviation of the logarithm.
        longest: c, tokens.
    """
    normal, cut = NormalDist(), math.log(longest / median) / spread
    return median * math.exp(spread**2 / 2) * normal.cdf(cut - spread) + longest * (1 - normal.cdf(cut))
