"""Which rows go through the model together in training: a global batch sorted by length and cut into micro-batches.

Rows of like length share a micro-batch, so little of it is padding. Each row weighs the same in the mean over the
global batch whatever it runs beside, so the gradient is that of the rows in any other order and cut.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rm_selection.distributed import rank, world
from rm_selection.protocol import Protocol

ITEMS = "items"  # in a micro-batch: how many losses the global batch has, which its own are divided by
Row = dict[str, Any]
Batch = dict[str, Any]


def cut(lengths: Sequence[int], most: int | None = None, budget: int | None = None, parts: int = 1) -> list[list[int]]:
    """Places of rows in batches, from long to short; rows of equal length in the order given.

    Args:
        lengths: tokens of each row.
        most: rows of a batch; None: any number.
        budget: rows times longest of a batch, at most; in place of `most`. One row may exceed it.
        parts: the number of batches is a multiple of it; where rows are too few for that, some are empty.
    """
    groups: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if not groups or _full(len(groups[-1]), lengths[groups[-1][0]], most, budget):
            groups.append([])
        groups[-1].append(place)
    while len(groups) % parts:
        largest = max(range(len(groups)), key=lambda index: (len(groups[index]), index))
        half = (len(groups[largest]) + 1) // 2
        groups[largest : largest + 1] = [groups[largest][:half], groups[largest][half:]]
    return groups


def _full(rows: int, width: int, most: int | None, budget: int | None) -> bool:
    if budget is not None:
        return (rows + 1) * width > budget
    return most is not None and rows >= most


@dataclass(frozen=True)
class MicroBatches:
    """Collator of a global batch: its micro-batches, of which this process gets as many as every other.

    collate: rows to a padded batch. length: tokens of a row, once padded with others. items: losses that rows have.
    """

    collate: Callable[[Sequence[Row]], Batch]
    length: Callable[[Row], int]
    items: Callable[[Sequence[Row]], int]
    protocol: Protocol

    def __call__(self, rows: Sequence[Row]) -> list[Batch]:
        """Sort, cut, deal out and pad."""
        lengths = [self.length(row) for row in rows]
        groups = cut(lengths, self.protocol.micro_batch, self.protocol.micro_tokens, world())
        items = max(self.items(rows), 1)
        return [self._batch([rows[place] for place in group], rows, items) for group in groups[rank() :: world()]]

    def _batch(self, group: Sequence[Row], rows: Sequence[Row], items: float) -> Batch:
        if not group:  # the processes run the model together: one without rows of its own runs one that weighs nothing
            group, items = rows[:1], math.inf
        return self.collate(group) | {ITEMS: items}


class Batched:
    """Placed before a Trainer class: a step is one batch of the data loader, run micro-batch by micro-batch.

    The Trainer class says what is lost: `mean_loss(logits, batch, items)`, a micro-batch's losses summed, over items.
    """

    def get_train_dataloader(self: Any) -> Any:
        """As the Trainer's, but each process reads the whole global batch; MicroBatches deals it out."""
        loader = super().get_train_dataloader()  # type: ignore[misc]
        sampler = loader.batch_sampler
        if hasattr(sampler, "process_index"):  # accelerate's, which deals out global batches and repeats rows
            sampler.num_processes, sampler.process_index, sampler.even_batches = 1, 0, False
        return loader

    def training_step(self: Any, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:  # noqa: ARG002
        """Forward and backward of every micro-batch; returns the loss of them all."""
        losses: list[Tensor] = []
        for batch in inputs:
            losses.append(super().training_step(model, batch))  # type: ignore[misc]
        return torch.stack(losses).sum()

    def compute_loss(
        self: Any,
        model: Any,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: Any = None,  # noqa: ARG002 - known to the micro-batch
    ) -> Any:
        """A micro-batch's part of the mean over the global batch; the Trainer takes the mean over processes."""
        items = inputs.pop(ITEMS)
        outputs = model(**inputs)
        loss = self.mean_loss(outputs.logits, inputs, items) * world()
        return (loss, outputs) if return_outputs else loss

    def floating_point_ops(self, inputs: Any) -> int:  # noqa: ARG002
        """Not counted: the Trainer would guess them from one batch."""
        return 0
