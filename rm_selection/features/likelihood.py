"""Log-likelihood of documents under a base, without its logits ever being held for a whole batch.

    likelihood = prepared(model, "float32")
    tokens = encoded(model.tokenizer, texts, 2048)
    likelihood.sums([one.ids for one in tokens], tokens_per_batch)    # (n,) sums of log p, nats

sum_i log p(t_i | prefix, t_1 .. t_i-1) over all tokens t of a document, the first one too: the prefix, BOS or, for a
tokenizer without, EOS, stands before it and is not counted itself. The same convention as lm-evaluation-harness.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from rm_selection.batching import cut
from rm_selection.errors import MeasurementError
from rm_selection.features.language_model import LanguageModel
from rm_selection.memory import memory_reported

LOGITS = 2**22  # held at once, whatever the vocabulary: 16 MiB of float32
CHARACTERS, SPARE = 8, 64  # of text a token wanted; tokens beyond those wanted, so that the cut changes none of them
TOLERANCE = {"float32": 1e-4, "bf16": 5e-2, "bf16_weights": 5e-2}  # nats a token, against the model's own logits
_SAMPLE = "It was the best of times, it was the worst of times; 1 + 1 = 2, and so on and so forth until the very end."

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Tokens:
    """The first tokens of a text, the UTF-8 bytes they stand for, and whether the text has more."""

    ids: tuple[int, ...]
    bytes: int
    cut: bool


def encoded(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], most: int) -> list[Tokens]:
    """At most `most` tokens of each text, no special ones added; of a long text only the beginning is tokenized."""
    found: list[Tokens | None] = [None] * len(texts)
    size, left = CHARACTERS * (most + SPARE), list(range(len(texts)))
    while left:
        heads = [texts[index][:size] for index in left]
        offsets = bool(getattr(tokenizer, "is_fast", False))
        made = tokenizer(heads, add_special_tokens=False, return_offsets_mapping=offsets, verbose=False)
        for place, index in enumerate(left):
            ids, whole = made["input_ids"][place], len(heads[place]) == len(texts[index])
            if whole or len(ids) >= most + SPARE:
                ends = made["offset_mapping"][place] if offsets else None
                found[index] = _first(tokenizer, heads[place], ids, ends, most)
        left = [index for index in left if found[index] is None]
        size *= 4
    return [one for one in found if one is not None]


def _first(tokenizer: Any, text: str, ids: list[int], offsets: Any, most: int) -> Tokens:
    if len(ids) <= most:
        return Tokens(tuple(ids), len(text.encode()), False)
    read = text[: offsets[most - 1][1]] if offsets is not None else tokenizer.decode(ids[:most])
    return Tokens(tuple(ids[:most]), len(read.encode(errors="replace")), True)


def prefix(tokenizer: PreTrainedTokenizerBase) -> int:
    """Id of the token that a document's first one is conditioned on: BOS, else EOS.

    Raises:
        MeasurementError: the tokenizer has neither.
    """
    found = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if found is None:
        raise MeasurementError("the tokenizer has neither BOS nor EOS to begin with; name one in tokenizer_config.json")
    return int(found)


@dataclass(frozen=True)
class Likelihood:
    """A model ready to be asked how likely documents are.

    fallback: why its own logits are used, a document at a time; None where hidden states are taken apart in chunks.
    """

    model: LanguageModel
    precision: str
    fallback: str | None = None

    def sums(self, rows: Sequence[Sequence[int]], tokens_per_batch: int) -> Array:
        """Sums of log p, nats, (rows,) float64; they depend on neither the order nor the batches.

        Args:
            rows: tokens of documents without a prefix, one or more each, at most as many as the model reads.
            tokens_per_batch: padded tokens a forward pass; at least one row runs at a time.

        Raises:
            OutOfMemoryError: a batch does not fit the device.
        """
        found = np.zeros(len(rows))
        one = self._whole if self.fallback else self._chunked
        for batch in cut([len(row) for row in rows], budget=1 if self.fallback else tokens_per_batch):
            with memory_reported("measure with a smaller hardware.tokens_per_batch"):
                found[batch] = one([rows[index] for index in batch])
        return found

    @torch.no_grad()
    def _chunked(self, rows: Sequence[Sequence[int]]) -> Array:
        """Padding on the right needs no mask under causal attention, and without one attention is faster."""
        inputs, targets, real = self._padded(rows)
        with self._arithmetic():
            hidden = self.model.model.base_model(input_ids=inputs, use_cache=False).last_hidden_state[real]
        wanted, size = targets[real], max(1, LOGITS // self.model.model.get_output_embeddings().weight.shape[0])
        # one tensor for all results: small ones kept between large ones that are freed would leave holes in memory
        found = torch.empty(len(wanted), dtype=torch.float64, device=wanted.device)
        for start in range(0, len(wanted), size):
            part = slice(start, start + size)
            found[part] = _log_p(self._logits(hidden[part]), wanted[part])
        return np.array([one.sum().item() for one in torch.split(found, [len(row) for row in rows])])

    @torch.no_grad()
    def _whole(self, rows: Sequence[Sequence[int]]) -> Array:
        inputs, targets, real = self._padded(rows)
        with self._arithmetic():
            logits = self.model.model(input_ids=inputs, use_cache=False).logits
        return np.array([_log_p(logits[i][real[i]], targets[i][real[i]]).sum().item() for i in range(len(rows))])

    def _logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """The head on (n, d) hidden states, in the precision of its weights: (n, vocabulary)."""
        head, config = self.model.model.get_output_embeddings(), self.model.model.config.get_text_config()
        logits: torch.Tensor = head(hidden.to(head.weight.dtype)).float()
        if scaling := getattr(config, "logits_scaling", None):  # granite
            logits = logits / scaling
        if cap := getattr(config, "final_logit_softcapping", None):  # gemma 2
            logits = torch.tanh(logits / cap) * cap
        return logits

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What the model reads, what it should say next, and where that is no padding, (rows, longest) each."""
        width, first = max(map(len, rows)), prefix(self.model.tokenizer)
        targets = torch.full((len(rows), width), first)
        for place, row in enumerate(rows):
            targets[place, : len(row)] = torch.tensor(row)
        inputs = torch.cat([torch.full((len(rows), 1), first), targets[:, :-1]], dim=1)
        real = torch.arange(width) < torch.tensor([[len(row)] for row in rows])
        where = self.model.device
        return inputs.to(where), targets.to(where), real.to(where)

    def _arithmetic(self) -> contextlib.AbstractContextManager[object]:
        bf16 = self.precision != "float32"
        return torch.autocast(self.model.device.type, dtype=torch.bfloat16, enabled=bf16)


def _log_p(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """log p of the wanted tokens, (n, vocabulary) and (n,) -> (n,) float64."""
    logits = logits.float()
    chosen = logits.gather(1, wanted[:, None])[:, 0]
    return chosen.double() - logits.logsumexp(1).double()


def prepared(model: LanguageModel, precision: str) -> Likelihood:
    """The model, taken apart into body and head where a text scored so equals what the whole model says of it.

    Raises:
        MeasurementError: its tokenizer has neither BOS nor EOS.
    """
    prefix(model.tokenizer)
    taken = Likelihood(model, precision)
    ids = model.tokenizer(_SAMPLE, add_special_tokens=False)["input_ids"][: model.max_length]
    rows = [ids, ids[: len(ids) // 2 + 1]]  # one is padded, as in a batch
    if model.model.get_output_embeddings() is None or model.model.base_model is model.model:
        return Likelihood(model, precision, "its head cannot be told from its body")
    differences = np.abs(taken.sums(rows, 10**9) - Likelihood(model, precision, "check").sums(rows, 1))
    worst = float((differences / [len(row) for row in rows]).max())
    if worst <= TOLERANCE[precision]:
        return taken
    why = f"its head applied to hidden states differs from its own logits by {worst:.2g} nats a token"
    return Likelihood(model, precision, why)
