"""One forward pass of a frozen base: of each response the hidden states at several depths, pooled, and its log p.

The states are pooled while the pass goes on, so neither those of all layers nor the logits of a batch are ever held.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rm_selection.errors import MeasurementError
from rm_selection.features import response_likelihood
from rm_selection.features.language_model import LanguageModel
from rm_selection.features.responses import Response
from rm_selection.memory import memory_reported

DEPTHS = {"quarter": 1 / 4, "half": 1 / 2, "three_quarters": 3 / 4}  # after ceil(depth x layers) layers
LAST = "last"  # after all layers and the final norm
POOLINGS = ("token", "mean")  # the last token of the conversation; the mean over the response's tokens


@dataclass(frozen=True)
class States:
    """What the pass found of m responses.

    views: (m, v, d) float32, in the order of `names`, or (m, 0, d).
    log_p: (m,) nats, summed over the response's tokens. tokens: (m,) how many those are.
    """

    views: NDArray[np.float32]
    log_p: NDArray[np.float64]
    tokens: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.log_p)

    def taken(self, places: Sequence[int]) -> States:
        """The responses at these places, which may repeat."""
        return States(self.views[places], self.log_p[places], self.tokens[places])

    @classmethod
    def joined(cls, parts: Sequence[States]) -> States:
        """The responses of all parts, one behind the other."""
        return cls(*(np.concatenate([getattr(one, name) for one in parts]) for name in ("views", "log_p", "tokens")))


def layers(count: int) -> dict[str, int]:
    """The depths that differ in a model of `count` layers, by name; LAST is one more."""
    found: dict[str, int] = {}
    for name, share in DEPTHS.items():
        after = max(1, math.ceil(share * count))
        if after not in found.values():
            found[name] = after
    return found


def names(count: int) -> tuple[str, ...]:
    """The views of a model of `count` layers: `<depth>_<pooling>`."""
    return tuple(f"{depth}_{pooling}" for depth in (*layers(count), LAST) for pooling in POOLINGS)


def passed(
    lm: LanguageModel, responses: Sequence[Response], precision: str, tokens_per_batch: int, pooled: bool = True
) -> Iterator[States]:
    """The states of `responses`, batch by batch in their order; sort them from long to short.

    Args:
        lm: the base.
        responses: those of one batch are padded to the longest.
        precision: float32, bf16 or bf16_weights.
        tokens_per_batch: padded tokens a forward pass; at least one response runs at a time.
        pooled: whether hidden states are wanted; log p always is.

    Raises:
        MeasurementError: the layers, or the head, of the model cannot be told apart.
        OutOfMemoryError: a batch does not fit the device.
    """
    blocks = _blocks(lm.model)
    wanted = [blocks[after - 1] for after in layers(len(blocks)).values()] if pooled else None
    autocast = torch.autocast(lm.device.type, dtype=torch.bfloat16, enabled=precision != "float32")
    checked = False
    for batch in _batches(responses, tokens_per_batch):
        with torch.no_grad(), autocast, memory_reported("measure with a smaller hardware.tokens_per_batch"):
            if not checked:
                sample = torch.tensor([batch[-1].ids[-64:]], device=lm.device)
                response_likelihood.check(lm.model, sample, precision)
                checked = True
            yield _states(lm, wanted, batch)


def _states(lm: LanguageModel, wanted: Sequence[nn.Module] | None, batch: Sequence[Response]) -> States:
    width, device = max(len(one.ids) for one in batch), lm.device
    ids = torch.zeros((len(batch), width), dtype=torch.long)
    for row, one in enumerate(batch):
        ids[row, : len(one.ids)] = torch.tensor(one.ids)
    ends = torch.tensor([len(one.ids) for one in batch], device=device)
    starts = torch.tensor([one.start for one in batch], device=device)
    places = torch.arange(width, device=device)
    inside = (places >= starts[:, None]) & (places < ends[:, None])
    rows = torch.arange(len(batch), device=device)
    ids = ids.to(device)

    def pool(hidden: Tensor) -> Tensor:
        """(rows, tokens, d) -> (rows, poolings, d) float32."""
        mean = torch.einsum("rtd,rt->rd", hidden.float(), inside.float()) / inside.sum(1, keepdim=True)
        return torch.stack([hidden[rows, ends - 1].float(), mean], dim=1)

    found: list[Tensor] = []
    with _listening(wanted or (), lambda hidden: found.append(pool(hidden))):
        # padding on the right needs no mask under causal attention, and without one attention is faster
        last = lm.model.base_model(input_ids=ids, use_cache=False).last_hidden_state
    views = torch.zeros((len(batch), 0, 0)) if wanted is None else torch.cat([*found, pool(last)], dim=1)
    before = inside.roll(-1, dims=1)  # the place before each response token; no response starts at 0
    each = response_likelihood.log_p(lm.model, last[before], ids[inside])
    sums = torch.zeros(len(batch), dtype=torch.float64, device=device)
    sums.index_add_(0, rows[:, None].expand_as(inside)[inside], each)
    return States(views.cpu().numpy(), sums.cpu().numpy(), (ends - starts).cpu().numpy())


@contextlib.contextmanager
def _listening(modules: Sequence[nn.Module], hear: Callable[[Tensor], None]) -> Iterator[None]:
    """Within, `hear` gets the hidden states that leave each module."""

    def hook(_module: nn.Module, _given: Any, left: Any) -> None:
        hear(left[0] if isinstance(left, tuple) else left)

    handles = [module.register_forward_hook(hook) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _blocks(model: Any) -> nn.ModuleList:
    """The decoder layers, in order.

    Raises:
        MeasurementError: no list of as many modules as the config says is there, or no body apart from the head.
    """
    count = model.config.get_text_config().num_hidden_layers
    lists = (module for module in model.base_model.modules() if isinstance(module, nn.ModuleList))
    found = next((one for one in lists if len(one) == count), None)
    if found is None or model.base_model is model or model.get_output_embeddings() is None:
        kind = model.config.model_type
        raise MeasurementError(f"the layers of a {kind} cannot be told apart; choose a decoder of transformers")
    return found


def _batches(responses: Sequence[Response], budget: int) -> Iterator[list[Response]]:
    """Responses in their order, cut so that rows x longest stays within the budget."""
    batch: list[Response] = []
    for one in responses:
        if batch and (len(batch) + 1) * max(len(batch[0].ids), len(one.ids)) > budget:
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch
