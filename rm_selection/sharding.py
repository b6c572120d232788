"""A Trainer whose model is spread over the processes that share a training (FSDP2); with one process, a plain Trainer.

Each layer's parameters, their gradients and the optimizer's state lie in equal parts on all processes. A layer is put
together when it is needed and taken apart again. Gradients are averaged over processes at each micro-batch, which costs
time and saves the memory of whole gradients.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import fully_shard

from rm_selection.distributed import first, grouped, rank


def shard(model: Any) -> None:
    """Spread the parameters over the processes, layer by layer, in place; their precision stays as it is."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    layers = set(inner._no_split_modules or ())
    for module in inner.modules():
        if type(module).__name__ in layers:
            fully_shard(module)
    fully_shard(model, reshard_after_forward=True)


class Shardable:
    """Placed before a Trainer class: shards the model when training begins, and writes and reads checkpoints of it.

    accelerate does this too, but on CUDA only and with the head in bf16; so the Trainer is told that the model came
    sharded, and puts nothing around it but autocast.
    """

    def _prepare_for_training(self: Any, *args: Any) -> Any:
        if grouped():
            shard(self.model)
            self.is_distributed_loading_by_transformers = True
        return super()._prepare_for_training(*args)  # type: ignore[misc]

    @contextmanager
    def _defer_fsdp_gradient_reduction(self) -> Iterator[None]:
        yield

    def save_model(self: Any, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """The whole weights, put together on the first process, in the same files as without sharding."""
        if not grouped():
            super().save_model(output_dir, _internal_call)  # type: ignore[misc]
            return
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        weights = get_model_state_dict(self.model, options=options)
        if first():
            self._save(output_dir, state_dict=weights)

    def _save_optimizer_and_scheduler(self: Any, output_dir: str) -> None:
        if not grouped():
            super()._save_optimizer_and_scheduler(output_dir)  # type: ignore[misc]
            return
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        parts = {"optimizer": self.optimizer.state_dict(), "scheduler": self.lr_scheduler.state_dict()}
        torch.save(parts, _part(output_dir))

    def _load_optimizer_and_scheduler(self: Any, checkpoint: str | None) -> None:
        if not grouped() or checkpoint is None:
            super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]
            return
        parts = torch.load(_part(checkpoint), map_location="cpu", weights_only=True)
        self.optimizer.load_state_dict(parts["optimizer"])
        self.lr_scheduler.load_state_dict(parts["scheduler"])

    def _load_from_checkpoint(self: Any, *args: Any, **options: Any) -> None:
        if not grouped():  # else the weights are there already, see training.fit
            super()._load_from_checkpoint(*args, **options)  # type: ignore[misc]


def _part(folder: str) -> Path:
    """Where this process keeps its part of the optimizer's state."""
    return Path(folder) / f"optimizer-{rank()}.pt"
