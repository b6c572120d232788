"""Which rows go through the model together in training: a global batch sorted by length and cut into micro-batches.

Rows of like length share a micro-batch, so little of it is padding. Each row weighs the same in the mean over the
global batch whatever it runs beside, so the gradient is that of the rows in any other order and cut.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rm_selection import console
from rm_selection.distributed import rank, world
from rm_selection.memory import fitting, lacking, release, room

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
class GlobalBatch:
    """The rows of an optimiser step; not a list, in which accelerate would look at every token for tensors."""

    rows: Sequence[Row]

    def __contains__(self, name: object) -> bool:
        """The Trainer asks for labels to count; it has none."""
        return False


@dataclass
class MicroBatches:
    """What a global batch is cut into, as many for this process as for every other.

    collate: rows to a padded batch. length: tokens of a row, once padded with others. items: losses that rows have.
    most, budget: rows, or rows times longest, of a micro-batch, see `cut`; as the protocol says until memory runs out.
    """

    collate: Callable[[Sequence[Row]], Batch]
    length: Callable[[Row], int]
    items: Callable[[Sequence[Row]], int]
    most: int
    budget: int | None = None
    largest: int = 0  # rows of a micro-batch cut last

    def __call__(self, rows: Sequence[Row]) -> GlobalBatch:
        """The collator of the data loader: rows are cut when they are run, when it is known what fits."""
        return GlobalBatch(rows)

    def cut(self, rows: Sequence[Row]) -> Iterator[Batch]:
        """Sort, cut, deal out and pad."""
        groups = cut([self.length(row) for row in rows], self.most, self.budget, world())
        items = max(self.items(rows), 1)
        self.largest = max(map(len, groups))
        for group in groups[rank() :: world()]:
            yield self._batch([rows[place] for place in group], rows, items)

    def halve(self) -> bool:
        """Run half as much at once from now on; false where it was one row at a time already.

        Processes that share a training wait for each other in the midst of a step, so there it is never done.
        """
        if self.largest < 2 or world() > 1:
            return False
        if self.budget is None:
            self.most = (self.largest + 1) // 2
        else:
            self.budget = max(1, self.budget // 2)
        return True

    def __str__(self) -> str:
        return f"{self.most} rows" if self.budget is None else f"{self.budget:,} tokens"

    def _batch(self, group: Sequence[Row], rows: Sequence[Row], items: float) -> Batch:
        if not group:  # the processes run the model together: one without rows of its own runs one that weighs nothing
            group, items = rows[:1], math.inf
        return self.collate(group) | {ITEMS: items}


class Batched:
    """Placed before a Trainer class: a step is one batch of the data loader, run micro-batch by micro-batch.

    The Trainer class says what is lost: `mean_loss(logits, batch, items)`, a micro-batch's losses summed, over items.
    """

    fills_memory = False  # whether to find how much runs at once, before the first step; CUDA only

    def begin(self) -> None:
        """A step begins, or begins anew."""

    def get_train_dataloader(self: Any) -> Any:
        """As the Trainer's, but each process reads the whole global batch; MicroBatches deals it out."""
        loader = super().get_train_dataloader()  # type: ignore[misc]
        sampler = loader.batch_sampler
        if hasattr(sampler, "process_index"):  # accelerate's, which deals out global batches and repeats rows
            sampler.num_processes, sampler.process_index, sampler.even_batches = 1, 0, False
        return loader

    def training_step(self: Any, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:  # noqa: ARG002
        """Forward and backward of every micro-batch; returns the loss of them all.

        Where memory runs out the step begins anew with micro-batches of half the size: the same gradient.
        """
        if self.fills_memory:
            self.fills_memory = False
            self._fill(model)
        while True:
            self.begin()
            try:
                losses = [super(Batched, self).training_step(model, one) for one in self.data_collator.cut(inputs.rows)]  # type: ignore[misc]
                return torch.stack(losses).sum()
            except (MemoryError, RuntimeError) as error:
                if not (lacking(error) and self.data_collator.halve()):
                    raise
            model.zero_grad(set_to_none=True)  # outside of the except block, which holds on to what was computed
            release()
            console.line(f"out of memory: going on with at most {self.data_collator} at once, the gradient is the same")

    def _fill(self: Any, model: Any) -> None:
        """Measure the peaks of one and of two of the longest rows; what fits besides follows from these.

        Where two do not fit, one is run at a time; where one does not, the error is raised.
        """
        micro: MicroBatches = self.data_collator
        lengths = [micro.length(row) for row in self.train_dataset]
        order = sorted(range(len(lengths)), key=lambda place: -lengths[place])[: self.args.per_device_train_batch_size]
        rows, longest = [self.train_dataset[place] for place in order], lengths[order[0]]

        def peak(tokens: int) -> int:
            torch.cuda.reset_peak_memory_stats()
            batch = micro.collate(rows[: tokens // longest]) | {ITEMS: math.inf}
            super(Batched, self).training_step(model, batch)  # type: ignore[misc]
            model.zero_grad(set_to_none=True)
            return int(torch.cuda.max_memory_allocated())

        peak(longest)  # the libraries' own memory, once
        trained = sum(one.numel() for one in model.parameters() if one.requires_grad)
        micro.budget = None
        try:
            micro.budget = fitting(peak, longest, longest * len(rows), room(self.args.device, trained))
        except (MemoryError, RuntimeError) as error:
            if not lacking(error):
                raise
        if micro.budget is None:
            micro.budget = longest
            model.zero_grad(set_to_none=True)  # outside of the except block, which holds on to what was computed
            release()
        console.line(f"at most {micro} at once fit the device's memory")

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
