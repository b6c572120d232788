"""What a cell has to run, in tokens, from the settings of conf/: known sizes of Hub data, or the first rows of a file.

    load = of(settings)      # of a TrainConfig; costs.py makes hours and memory of it

Tokens are those of both sides of the pairs. A file's are its texts' bytes over 4, as in English prose; those of the
Hub's data are means of the lengths in conf/lengths, which stand in for theirs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from rm_selection.preference_rows import Turns
from rm_selection.preferences import Source, read_pairs, read_ratings
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
    dataset = for_objective(dataset, objective.name)
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
        return _looked_at(where, [row.conversations for row in read_pairs(source, most).rows])
    if not dataset.attributes or dataset.low is None or dataset.high is None:
        raise ConfigError("ratings need dataset.attributes=[...], dataset.low=... and dataset.high=...")
    rows = read_ratings(source, dataset.attributes, dataset.low, dataset.high, most).rows
    return _looked_at(where, [row.conversations for row in rows])


def _evaluation(name: str, benchmark: str, source: Source, limit: int | None) -> Amount:
    if source.kind == "jsonl":
        rows = read_evaluation(benchmark, source, min(READ, limit or READ)).rows
        found = _looked_at(source.path_or_repo, [row.conversations for row in rows])
    else:
        found = _known(name, "evaluation", None)
    return replace(found, rows=min(found.rows, limit or found.rows))


def _looked_at(where: str, rows: Sequence[tuple[Turns, ...]]) -> Amount:
    """The amount of a file of which these rows are the first."""
    lengths = [sum(len(turn["content"].encode()) for turns in row for turn in turns) / BYTES_PER_TOKEN for row in rows]
    count = len(rows) if len(rows) < READ else _lines(Path(where))
    return Amount(count, sum(lengths) / len(lengths), max(lengths))


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
