"""Rewards of conversations: independent of batch size, padding and order, each distinct conversation run once.

Trainers average batches and lose rows of the last one, so nothing of theirs is used here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import ne
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from rm_selection.batching import cut
from rm_selection.errors import ConfigError, OutOfMemoryError, ParityError
from rm_selection.memory import memory_reported, release
from rm_selection.protocol import TOKENS_PER_BATCH
from rm_selection.reward_model import RewardModel, reload, sharing
from rm_selection.shared_prompts import can_share, grouped, grown, packed

if TYPE_CHECKING:
    from rm_selection.preferences import Message

Conversation = Sequence["Message"]
Tokens = tuple[int, ...]
Inputs = dict[str, Any]  # what a model's forward takes
UNSHARED = "hardware.shared_prompts=false"
# Largest difference that batch and order may make, relative to the largest score (absolute below 1).
TOLERANCE = {"float32": 1e-5, "bf16": 5e-2, "bf16_weights": 5e-2}
# Likewise for shared prompts; the depth of large models adds up roundings.
SHARED_TOLERANCE = {"float32": 1e-4, "bf16": 1e-4, "bf16_weights": 5e-2}


@dataclass(frozen=True)
class Scores:
    """What score() found.

    values: (n, outputs) float32, in the order given.
    truncated: conversations longer than max_length, read without the oldest part of their prompt; none is dropped.
    tokens: run through the model, padding not counted and a shared prompt counted once; pad_tokens: padding.
    distinct: conversations run.
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
    found: dict[Tokens, NDArray[np.float32]] = {}
    real = size = 0
    while left := [ids for ids in distinct if ids not in found]:
        try:
            for batch, inputs in _batches(rm, left, tokens_per_batch):
                found.update(zip(batch, forward(rm, inputs), strict=True))
                real, size = real + int(inputs["attention_mask"].sum()), size + inputs["attention_mask"].numel()
            continue
        except OutOfMemoryError:
            if tokens_per_batch <= len(left[0]):  # the longest
                raise
        release()  # outside of the except block, which holds on to what was computed
        tokens_per_batch //= 2
    values = np.array([found[ids] for ids in rows], dtype=np.float32).reshape(len(rows), len(rm.outputs))
    return Scores(values, sum(map(ne, map(len, rows), map(len, full))), real, size - real, len(distinct))


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
    alone = np.concatenate([forward(rm, padded(rm, [ids])) for ids in rows])
    together = forward(rm, padded(rm, rows))
    turned = forward(rm, padded(rm, rows[::-1]))[::-1]
    worst = float(max(np.abs(alone - together).max(), np.abs(alone - turned).max()))
    allowed = _allowed(rm, alone)
    if not worst <= allowed:  # NaN is no parity either
        raise ParityError(
            f"scores of the same conversation differ by {worst:.2g} between alone and in a batch, {allowed:.2g} is"
            " allowed; give hardware.precision=float32, or another base"
        )
    return worst


def share_prompts(rm: RewardModel, rows: Sequence[Sequence[int]]) -> tuple[RewardModel, str | None]:
    """The model set to run a prompt once for all its responses, or, where its scores would change, as it was and why.

    16 rows of tokens (or their ends) each make a tree with a likeness of theirs, and the scores in one row of these
    trees must be those that each row has on its own. Float32 weights are checked in float32, for bf16 would hide much.
    """
    rm = sharing(rm, shares=False)
    if reason := can_share(rm.model):
        return rm, reason
    brief = replace(rm, max_length=min(rm.max_length, 512))
    if rm.precision == "bf16":
        brief = replace(brief, precision="float32")
    ends = [shortened(brief, ids) for ids in rows[:16] if len(ids) > 2]
    if not ends:
        return rm, "there are no rows to check it on"
    trees = [(ids, ids[: len(ids) // 2] + ids[: len(ids) // 2 - 1 : -1]) for ids in ends]
    alone = np.concatenate([forward(brief, padded(brief, [ids])) for tree in trees for ids in tree])
    shares = sharing(rm)
    try:
        worst = float(np.abs(forward(brief, packed(trees)) - alone).max())
    except (TypeError, ValueError, RuntimeError) as error:
        return sharing(shares, shares=False), f"it cannot run them: {error}"
    if worst <= SHARED_TOLERANCE[rm.precision] * max(1.0, float(np.abs(alone).max())):
        return shares, None
    return sharing(shares, shares=False), f"scores would differ by {worst:.2g}"


def sharing_told(apart: str | None) -> dict[str, object]:
    """What a record says of shared prompts, given why they were not shared."""
    return {"used": True} if apart is None else {"used": False, "reason": apart}


def _allowed(rm: RewardModel, scores: NDArray[np.float32]) -> float:
    return TOLERANCE[rm.precision] * max(1.0, float(np.abs(scores).max()))


def verify_reload(rm: RewardModel, folder: Path, conversations: Sequence[Conversation]) -> None:
    """Load the saved model and score again.

    The same weights at another place in memory may round otherwise, where a width is no multiple of a vector register:
    then every weight must be the same to the last bit, and the scores within the tolerance of a batch.

    Raises:
        ParityError: a score is not the same.
    """
    back = sharing(reload(folder, device=str(rm.device)), rm.shares_prompts)
    before, after = score(rm, conversations).values, score(back, conversations).values
    if np.array_equal(before, after):
        return
    worst = float(np.abs(before - after).max()) if before.shape == after.shape else float("nan")
    if not (worst <= _allowed(rm, before) and _same_weights(rm, back)):
        raise ParityError(f"{folder} scores otherwise than the model saved there, by {worst:.2g}; do not use it")


def _same_weights(one: RewardModel, other: RewardModel) -> bool:
    mine, theirs = one.model.state_dict(), other.model.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def _batches(rm: RewardModel, rows: Sequence[Tokens], budget: int) -> Iterator[tuple[list[Tokens], Inputs]]:
    """Rows and what the model takes of them, as many at once as stay within the budget of padded tokens."""
    if not rm.shares_prompts:
        for places in cut(list(map(len, rows)), budget=budget):
            batch = [rows[place] for place in places]
            yield batch, padded(rm, batch)
        return
    trees = list(grouped(sorted(rows), budget))
    for places in cut([grown(tree).size for tree in trees], budget=budget):
        together = [trees[place] for place in places]
        yield [tuple(row) for tree in together for row in tree], packed(together)


def padded(rm: RewardModel, rows: Sequence[Tokens]) -> Inputs:
    """Rows padded on the right."""
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), rm.pad)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for row, real in enumerate(rows):
        ids[row, : len(real)], mask[row, : len(real)] = torch.tensor(real), 1
    return {"input_ids": ids, "attention_mask": mask}


@torch.no_grad()  # not inference_mode: buffers that rotary embeddings grow here are needed in training again
def forward(rm: RewardModel, inputs: Inputs) -> NDArray[np.float32]:
    """Scores of one batch: (rows, outputs) float32."""
    here = {name: one.to(rm.device) if isinstance(one, torch.Tensor) else one for name, one in inputs.items()}
    training = rm.model.training
    rm.model.eval()
    try:
        with memory_reported("score with fewer tokens per batch"), _arithmetic(rm):
            logits = rm.model(**here).logits
    finally:
        rm.model.train(training)
    values: NDArray[np.float32] = logits.float().cpu().numpy()
    return values


def _arithmetic(rm: RewardModel) -> contextlib.AbstractContextManager[object]:
    return torch.autocast(rm.device.type, dtype=torch.bfloat16, enabled=rm.precision != "float32")
