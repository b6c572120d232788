"""Rewards of conversations: independent of batch size, padding and order, each distinct conversation run once.

Trainers average batches and lose rows of the last one, so nothing of theirs is used here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import ne
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from rm_selection.errors import ConfigError, OutOfMemoryError, ParityError
from rm_selection.protocol import TOKENS_PER_BATCH
from rm_selection.reward_model import RewardModel, reload

if TYPE_CHECKING:
    from rm_selection.preferences import Message

Conversation = Sequence["Message"]
Tokens = tuple[int, ...]
OUT_OF_MEMORY = ("out of memory", "allocate memory", "not enough memory")  # an illegal memory access is no lack of it
# Largest difference that batch and order may make, relative to the largest score (absolute below 1).
TOLERANCE = {"float32": 1e-5, "bf16": 5e-2, "bf16_weights": 5e-2}


@dataclass(frozen=True)
class Scores:
    """What score() found.

    values: (n, outputs) float32, in the order given.
    truncated: conversations longer than max_length, read without the oldest part of their prompt; none is dropped.
    tokens: run through the model, padding not counted; pad_tokens: padding. distinct: conversations run.
    """

    values: NDArray[np.float32]
    truncated: int
    tokens: int
    pad_tokens: int
    distinct: int


def score(rm: RewardModel, conversations: Sequence[Conversation], tokens_per_batch: int = TOKENS_PER_BATCH) -> Scores:
    """Score conversations.

    Args:
        rm: the reward model.
        conversations: messages from the first turn to the judged response.
        tokens_per_batch: padded tokens a forward pass; at least one conversation runs at a time.

    Raises:
        OutOfMemoryError: a batch does not fit the device.
    """
    return score_tokens(rm, tokens(rm, conversations), tokens_per_batch)


def score_tokens(rm: RewardModel, full: Sequence[Sequence[int]], tokens_per_batch: int = TOKENS_PER_BATCH) -> Scores:
    """Score conversations that are tokens already, at their full length; otherwise as `score`."""
    rows = [shortened(rm, ids) for ids in full]
    # Sorted by tokens too, so that the batches, and with them the last bit, do not depend on the order given.
    distinct = sorted(set(rows), key=lambda ids: (-len(ids), ids))
    batches = list(_batches(distinct, tokens_per_batch))
    found = dict(zip(distinct, (row for batch in batches for row in _forward(rm, batch)), strict=True))
    values = np.array([found[ids] for ids in rows], dtype=np.float32).reshape(len(rows), len(rm.outputs))
    real = sum(map(len, distinct))
    padded = sum(len(batch) * len(batch[0]) for batch in batches)
    return Scores(values, sum(map(ne, map(len, rows), map(len, full))), real, padded - real, len(distinct))


def rewards(rm: RewardModel, values: NDArray[np.float32]) -> NDArray[np.float64]:
    """One reward a conversation: the only output, or the outputs weighed by the merge vector; (n, outputs) -> (n,).

    Raises:
        ConfigError: several outputs and no merge vector.
    """
    if len(rm.outputs) == 1 and rm.weights is None:
        return values[:, 0].astype(np.float64)
    if rm.weights is None:
        raise ConfigError(
            f"a model with {len(rm.outputs)} outputs needs weights to give one reward; search for them first"
        )
    merged: NDArray[np.float64] = values.astype(np.float64) @ np.array(rm.weights, dtype=np.float64)
    return merged


def accuracy(chosen: NDArray[np.float64], rejected: NDArray[np.float64]) -> tuple[float, int]:
    """Share of pairs with the higher reward on the chosen side, ties counted half, and the number of ties."""
    ties = int((chosen == rejected).sum())
    return float(((chosen > rejected).sum() + 0.5 * ties) / len(chosen)), ties


def tokens(rm: RewardModel, conversations: Sequence[Conversation]) -> list[list[int]]:
    """Tokens of conversations by the model's template, at their full length."""
    texts = [rm.template.render(conversation) for conversation in conversations]
    return rm.template.encode(texts) if texts else []


def shortened(rm: RewardModel, ids: Sequence[int]) -> Tokens:
    """At most max_length tokens: BOS stays and the oldest after it go, since the reward judges the end."""
    if len(ids) <= rm.max_length:
        return tuple(ids)
    first = ids[:1] if rm.template.bos is not None else []
    return (*first, *ids[len(ids) - rm.max_length + len(first) :])


def parity_check(rm: RewardModel, conversations: Sequence[Conversation]) -> float:
    """The largest difference that company, padding or order makes to the scores of 32 conversations (or their ends).

    Raises:
        ParityError: it is above TOLERANCE.
    """
    brief = replace(rm, max_length=min(rm.max_length, 512))  # together they make one batch of the usual size
    rows = [shortened(brief, ids) for ids in tokens(rm, conversations[:32])]
    alone = np.concatenate([_forward(rm, [ids]) for ids in rows])
    together = _forward(rm, rows)
    turned = _forward(rm, rows[::-1])[::-1]
    worst = float(max(np.abs(alone - together).max(), np.abs(alone - turned).max()))
    allowed = TOLERANCE[rm.precision] * max(1.0, float(np.abs(alone).max()))
    if not worst <= allowed:  # NaN is no parity either
        raise ParityError(
            f"scores of the same conversation differ by {worst:.2g} between alone and in a batch, {allowed:.2g} is"
            " allowed; use precision=float32, or another base"
        )
    return worst


def verify_reload(rm: RewardModel, folder: Path, conversations: Sequence[Conversation]) -> None:
    """Load the saved model and score again.

    The same weights at another place in memory may round otherwise, where a width is no multiple of a vector register:
    then every weight must be the same to the last bit, and the scores within the tolerance of a batch.

    Raises:
        ParityError: a score is not the same.
    """
    back = reload(folder, device=str(rm.device))
    before, after = score(rm, conversations).values, score(back, conversations).values
    if np.array_equal(before, after):
        return
    worst = float(np.abs(before - after).max()) if before.shape == after.shape else float("nan")
    allowed = TOLERANCE[rm.precision] * max(1.0, float(np.abs(before).max()))
    if not (worst <= allowed and _same_weights(rm, back)):
        raise ParityError(f"{folder} scores otherwise than the model saved there, by {worst:.2g}; do not use it")


def _same_weights(one: RewardModel, other: RewardModel) -> bool:
    mine, theirs = one.model.state_dict(), other.model.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


@contextlib.contextmanager
def memory_reported(way_out: str) -> Iterator[None]:
    """Turn running out of memory, on any device, into an error that names the way out.

    Raises:
        OutOfMemoryError: memory ran out inside.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not (isinstance(error, MemoryError) or any(words in str(error).lower() for words in OUT_OF_MEMORY)):
            raise
        raise OutOfMemoryError(f"the device is out of memory; {way_out}") from error


def _batches(rows: Sequence[Tokens], budget: int) -> Iterator[list[Tokens]]:
    """Rows sorted from long to short, cut so that rows x longest stays within the budget."""
    batch: list[Tokens] = []
    for ids in rows:
        if batch and (len(batch) + 1) * len(batch[0]) > budget:
            yield batch
            batch = []
        batch.append(ids)
    if batch:
        yield batch


@torch.no_grad()  # not inference_mode: buffers that rotary embeddings grow here are needed in training again
def _forward(rm: RewardModel, rows: Sequence[Tokens]) -> NDArray[np.float32]:
    """Scores of one batch, padded on the right: (rows, outputs) float32."""
    width, device = max(map(len, rows)), rm.device
    ids = torch.full((len(rows), width), rm.pad)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for row, real in enumerate(rows):
        ids[row, : len(real)], mask[row, : len(real)] = torch.tensor(real), 1
    training = rm.model.training
    rm.model.eval()
    try:
        with memory_reported("score with fewer tokens per batch"), _arithmetic(rm):
            logits = rm.model(input_ids=ids.to(device), attention_mask=mask.to(device)).logits
    finally:
        rm.model.train(training)
    values: NDArray[np.float32] = logits.float().cpu().numpy()
    return values


def _arithmetic(rm: RewardModel) -> contextlib.AbstractContextManager[object]:
    return torch.autocast(rm.device.type, dtype=torch.bfloat16, enabled=rm.precision != "float32")
