"""Pre-training of one tiny base on one core: next-token prediction over packed documents."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

BLOCK = 64  # tokens of a row
ROWS = 16  # of a batch


def packed(tokenizer: Any, texts: Sequence[str]) -> torch.Tensor:
    """(rows, BLOCK) tokens: documents one behind the other, each with a start and an end, cut wherever a row ends."""
    ids = tokenizer(list(texts))["input_ids"]
    stream = [token for one in ids for token in [*one, tokenizer.eos_token_id]]
    return torch.tensor(stream[: len(stream) // BLOCK * BLOCK]).view(-1, BLOCK)


def fit(model: Any, rows: torch.Tensor, rate: float, seed: int) -> float:
    """One pass over `rows`, AdamW with a linear warm-up over a twentieth and a cosine decay; returns the last loss."""
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    batches = order[: len(order) // ROWS * ROWS].view(-1, ROWS)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    model.train()
    loss = torch.tensor(math.nan)
    for step, batch in enumerate(batches):
        done = step / len(batches)
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, 20 * (done + 1 / len(batches)), 0.05 + 0.5 * (1 + math.cos(math.pi * done)))
        tokens = rows[batch]
        logits = model(tokens).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    model.eval()
    return float(loss.detach())
