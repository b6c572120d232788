"""Multi-attribute regression: one output a rated attribute; on the Trainer of transformers.

Loss: the mean squared error over the ratings there are, in float32; a missing rating moves nothing. The checkpoint with
the lowest validation loss wins, the earliest of equals. What makes one reward of the outputs is found by merge.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import Trainer, TrainingArguments

from rm_selection.batching import Batched, MicroBatches
from rm_selection.errors import ConfigError
from rm_selection.protocol import Objective, Protocol, Run, Trained
from rm_selection.reward_model import RewardModel
from rm_selection.scoring import score_tokens, tokens
from rm_selection.sharding import Shardable
from rm_selection.shared_prompts import packed
from rm_selection.training import arguments, fit, trainable

if TYPE_CHECKING:
    from rm_selection.preferences import Rating

METRIC = "validation_loss"
MISSING = -100.0  # the label where there is no rating
Labels = NDArray[np.float64]
Row = dict[str, Any]  # input_ids, and labels: a rating an output, MISSING where there is none


class _Trainer(Batched, Shardable, Trainer):
    """That of transformers, or spread over processes, with our loss."""

    def mean_loss(self, logits: Tensor, batch: dict[str, Any], items: float) -> Tensor:
        """The sum of the squared errors over `items`."""
        return masked_mse(logits, batch["labels"], items)


@dataclass(frozen=True)
class Collator:
    """Rows to a batch padded on the right: input_ids, attention_mask (rows, tokens), labels (rows, outputs) float32."""

    pad: int

    def __call__(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        """Pad to the longest row."""
        ids = [torch.tensor(row["input_ids"]) for row in rows]
        mask = [torch.ones_like(one) for one in ids]
        return {
            "input_ids": torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=self.pad),
            "attention_mask": torch.nn.utils.rnn.pad_sequence(mask, batch_first=True),
            "labels": torch.tensor([row["labels"] for row in rows], dtype=torch.float32),
        }


def packed_rows(rows: Sequence[Row]) -> dict[str, Any]:
    """Rows end to end instead of padded, each a tree of its own; labels as the Collator's."""
    labels = torch.tensor([row["labels"] for row in rows], dtype=torch.float32)
    return packed([[row["input_ids"]] for row in rows]) | {"labels": labels}


def train(
    rm: RewardModel, ratings: Sequence[Rating], validation: Sequence[Rating], protocol: Protocol, run: Run
) -> Trained:
    """Train on ratings of the attributes that name the model's outputs; `rm.model` is changed.

    Args:
        rm: its outputs are the attributes.
        ratings: those longer than rm.max_length, or without any rating, are left out and counted.
        validation: scored at each checkpoint, all of them.
        protocol: how.
        run: where, and whether to go on with what is there.

    Raises:
        ConfigError: the settings contradict the data.
        TrainingError: the loss is no number, or memory ran out.
    """
    for name, setting, off in (("center_rewards_coefficient", "centering", "null"), ("use_margin", "margin", "false")):
        if getattr(protocol, name):
            typed = f"objective.{setting}"
            raise ConfigError(f"{typed} belongs to bradley_terry; for regression give {typed}={off}")
    if not np.isfinite(_labels(rm, validation)).any():
        raise ConfigError(
            "regression picks its checkpoint by validation loss; give ratings of its attributes as dataset.validation"
        )
    rm = trainable(rm, protocol)
    data, counts = rows(rm, ratings)
    objective = Objective(evaluator(rm, validation, protocol.tokens_per_batch), METRIC, more_is_better=False)
    return fit(trainer(rm, data, protocol, run), rm, protocol, run, objective, counts)


def trainer(rm: RewardModel, data: Sequence[Row], protocol: Protocol, run: Run) -> Trainer:
    """The Trainer over rows."""
    collate = packed_rows if rm.shares_prompts else Collator(rm.pad)
    return _Trainer(
        model=rm.model,
        args=TrainingArguments(**arguments(rm, protocol, run.folder, len(data))),
        data_collator=cast(Any, MicroBatches(collate, _length, _rated, protocol.micro_batch, protocol.micro_tokens)),
        train_dataset=list(data),
        processing_class=rm.template.tokenizer,
    )


def masked_mse(logits: Tensor, labels: Tensor, items: float | None = None) -> Tensor:
    """Squared errors of the ratings there are, over how many.

    Args:
        logits: of the model, (rows, outputs).
        labels: (rows, outputs), MISSING where there is no rating.
        items: ratings in the global batch, of which these rows may be a part; None: those of these rows.
    """
    there = labels != MISSING
    errors = torch.where(there, logits.float() - labels.float(), 0.0)
    return errors.square().sum() / (there.sum().clamp(min=1) if items is None else items)


def _length(row: Row) -> int:
    return len(row["input_ids"])


def _rated(rows: Sequence[Row]) -> int:
    """How many ratings rows have."""
    return sum(value != MISSING for row in rows for value in row["labels"])


def rows(rm: RewardModel, ratings: Sequence[Rating]) -> tuple[list[Row], dict[str, int]]:
    """Ratings as the collator's rows, and how many were kept and left out.

    Raises:
        ConfigError: none is left.
    """
    labels = _labels(rm, ratings)
    ids = tokens(rm, [rating.conversations[0] for rating in ratings])
    kept: list[Row] = []
    counts = {"read": len(ratings), "kept": 0, "dropped_over_long": 0, "dropped_unrated": 0}
    for one, values in zip(ids, labels, strict=True):
        if len(one) > rm.max_length:
            counts["dropped_over_long"] += 1
        elif not np.isfinite(values).any():
            counts["dropped_unrated"] += 1
        else:
            kept.append({"input_ids": one, "labels": np.nan_to_num(values, nan=MISSING).tolist()})
    if not kept:
        wanted = ", ".join(rm.outputs)
        raise ConfigError(
            f"none of {len(ratings)} ratings has {wanted} and fits in {rm.max_length} tokens; raise "
            "dataset.max_length, or give other ratings"
        )
    return kept, counts | {"kept": len(kept)}


def evaluator(
    rm: RewardModel, ratings: Sequence[Rating], tokens_per_batch: int
) -> Callable[[RewardModel], dict[str, float]]:
    """What gives a model's mean squared error over all validation ratings, and for each attribute that has any.

    The ratings are tokenized here, once.
    """
    ids = tokens(rm, [rating.conversations[0] for rating in ratings])
    return partial(_evaluate, ids=ids, labels=_labels(rm, ratings), tokens_per_batch=tokens_per_batch)


def _evaluate(rm: RewardModel, ids: Sequence[Sequence[int]], labels: Labels, tokens_per_batch: int) -> dict[str, float]:
    squares = (score_tokens(rm, ids, tokens_per_batch).values - labels) ** 2
    each = {
        f"{METRIC}_{name}": float(np.nanmean(squares[:, index]))
        for index, name in enumerate(rm.outputs)
        if np.isfinite(labels[:, index]).any()
    }
    return {METRIC: float(np.mean(squares[np.isfinite(labels)]))} | each


def _labels(rm: RewardModel, ratings: Sequence[Rating]) -> Labels:
    """(ratings, outputs) float64, NaN where an attribute was not rated."""
    values = [[rating.ratings.get(name) for name in rm.outputs] for rating in ratings]
    return np.array([[math.nan if one is None else one for one in row] for row in values]).reshape(-1, len(rm.outputs))
