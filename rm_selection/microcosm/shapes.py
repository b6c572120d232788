"""Architectures of the zoo: four families in three sizes, as configs of plain transformers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transformers import Gemma2Config, LlamaConfig, MistralConfig, PreTrainedConfig, Qwen3Config

LONGEST = 256  # positions


@dataclass(frozen=True)
class Size:
    """width: of the hidden state. layers: blocks."""

    width: int
    layers: int


SIZES = {"s": Size(32, 2), "m": Size(48, 2), "l": Size(64, 3)}
HEAD = 16  # width of an attention head


def shape(family: str, size: str, vocabulary: int) -> PreTrainedConfig:
    """The config of a family's model of a size (s, m or l) over so many tokens; input and output embeddings tied."""
    chosen = SIZES[size]
    common: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": chosen.width,
        "intermediate_size": 2 * chosen.width,
        "num_hidden_layers": chosen.layers,
        "num_attention_heads": chosen.width // HEAD,
        "num_key_value_heads": chosen.width // HEAD,
        "max_position_embeddings": LONGEST,
        "tie_word_embeddings": True,
        "initializer_range": 0.08,  # at the usual 0.02 so narrow a model hardly learns to attend
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 3,
    }
    if family == "llama":
        return LlamaConfig(**common)
    if family == "qwen3":
        return Qwen3Config(**common, head_dim=HEAD)  # with the type qwen2 AutoTokenizer takes Qwen2's own tokenizer
    if family == "mistral":
        return MistralConfig(**common, sliding_window=None)
    return Gemma2Config(**common, head_dim=HEAD, query_pre_attn_scalar=HEAD, sliding_window=64)
