"""Whether a stage improves what it trains on: held-out rows before and after, paired, with a 90% interval.

sft    chat_accuracy         share of the answer's tokens that are the base's first choice, 0-100
dpo    preference_margin     log p(chosen) - log p(rejected), nats
rlvr   verifiable_accuracy   what the reward functions give to sampled answers, a mean a question, 0-100
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rm_selection.analysis.measurement import normal_interval
from rm_selection.batching import cut
from rm_selection.features.language_model import LanguageModel
from rm_selection.features.response_likelihood import LOGITS, logits
from rm_selection.features.responses import Readable, Response
from rm_selection.posttrain_settings import RlvrConfig
from rm_selection.stages.rewards import verified

Array = NDArray[np.float64]
METRICS = {"sft": "chat_accuracy", "dpo": "preference_margin", "rlvr": "verifiable_accuracy"}


@dataclass(frozen=True)
class Improvement:
    """metric: of METRICS. before, after: means over n held-out rows. change: with its 90% interval low to high."""

    metric: str
    before: float
    after: float
    change: float
    low: float
    high: float
    n: int
    improved: bool


def improvement(stage: str, before: Array, after: Array) -> Improvement:
    """What changed from one checkpoint to the next on the same rows, (n,) each; the error is that of the mean change.

    improved: the whole interval lies above 0.
    """
    change = after - before
    error = float(change.std(ddof=1)) / math.sqrt(len(change)) if len(change) > 1 else math.inf
    middle = float(change.mean())
    low, high = normal_interval(middle, error) if math.isfinite(error) else (middle, middle)
    means = float(before.mean()), float(after.mean())
    return Improvement(METRICS[stage], *means, middle, low, high, len(change), bool(low > 0 and math.isfinite(error)))


def figures(stage: str, lm: LanguageModel, rows: Readable[Any], recipe: Any, tokens_per_batch: int) -> Array:
    """The metric of the stage for each row, (n,)."""
    if isinstance(recipe, RlvrConfig):
        said = answers(lm, [one for (one,) in rows.responses], recipe, tokens_per_batch)
        right = [row.response[-1]["content"] for row in rows.rows for _ in range(recipe.generations)]
        given = np.array(verified(recipe.rewards, said, right)).reshape(-1, recipe.generations)
        shares: Array = 100 * given.mean(axis=1) / len(recipe.rewards)
        return shares
    log_p, chosen = told(lm, [one for row in rows.responses for one in row], tokens_per_batch)
    return 100 * chosen if stage == "sft" else log_p[0::2] - log_p[1::2]


@torch.no_grad()
def told(lm: LanguageModel, responses: Sequence[Response], tokens_per_batch: int) -> tuple[Array, Array]:
    """Of each response, the sum of log p of its tokens (nats), and the share that were the first choice: (n,) both."""
    log_p, chosen = np.zeros(len(responses)), np.zeros(len(responses))
    lm.model.eval()
    for batch in cut([len(one.ids) for one in responses], budget=tokens_per_batch):
        ids, mask = _padded([responses[place].ids for place in batch], lm, left=False)
        hidden = lm.model.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        for row, place in enumerate(batch):
            one = responses[place]
            span = slice(one.start - 1, len(one.ids) - 1)
            log_p[place], chosen[place] = _of(lm.model, hidden[row, span], ids[row, one.start : len(one.ids)])
    return log_p, chosen


@torch.no_grad()
def answers(lm: LanguageModel, questions: Sequence[Response], recipe: RlvrConfig, tokens_per_batch: int) -> list[str]:
    """As many sampled answers to each question as the recipe's groups have, one question's behind the other's.

    Drawn as in training, at the recipe's temperature; always the same ones of the same weights.
    """
    prompts = [one.ids[: one.start] for one in questions for _ in range(recipe.generations)]
    said, settings = [""] * len(prompts), {"max_new_tokens": recipe.max_answer, "temperature": recipe.temperature}
    lm.model.eval()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for batch in cut([len(ids) + recipe.max_answer for ids in prompts], budget=tokens_per_batch):
            ids, mask = _padded([prompts[place] for place in batch], lm, left=True)
            made = lm.model.generate(
                input_ids=ids, attention_mask=mask, do_sample=True, top_k=0, pad_token_id=_pad(lm), **settings
            )
            texts = lm.tokenizer.batch_decode(made[:, ids.shape[1] :], skip_special_tokens=True)
            for place, text in zip(batch, texts, strict=True):
                said[place] = text.strip()
    return said


def _of(model: Any, hidden: torch.Tensor, targets: torch.Tensor) -> tuple[float, float]:
    size = max(1, LOGITS // model.get_output_embeddings().weight.shape[0])
    total = right = 0.0
    for part, wanted in zip(torch.split(hidden, size), torch.split(targets, size), strict=True):
        found = logits(model, part)
        spoken = found.gather(1, wanted[:, None])[:, 0].double() - found.logsumexp(1).double()
        total, right = total + float(spoken.sum()), right + float((found.argmax(1) == wanted).sum())
    return total, right / len(targets)


def _padded(rows: Sequence[Sequence[int]], lm: LanguageModel, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, rows))
    gaps = [[_pad(lm)] * (width - len(row)) for row in rows]
    ids = [[*gap, *row] if left else [*row, *gap] for gap, row in zip(gaps, rows, strict=True)]
    ones = [[0] * len(gap) for gap in gaps]
    mask = [[*gap, *[1] * len(row)] if left else [*[1] * len(row), *gap] for gap, row in zip(ones, rows, strict=True)]
    return torch.tensor(ids, device=lm.device), torch.tensor(mask, device=lm.device)


def _pad(lm: LanguageModel) -> int:
    return int(lm.tokenizer.pad_token_id)
