"""What is timed: a checkpoint or a Llama with random weights, and pairs from a file or of drawn lengths."""

from __future__ import annotations

import math
import random
import string
from typing import Any, cast

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, LlamaConfig, PreTrainedTokenizerFast

from rm_selection.checkpoint_folder import check_folder
from rm_selection.checkpoints import Checkpoint
from rm_selection.evaluation_sets import read_evaluation
from rm_selection.hardware import device, precision_of
from rm_selection.pooling import reward_class
from rm_selection.preferences import Message, Pair, Source
from rm_selection.reward_model import RewardModel, load
from rm_selection.templates import prepare_tokenizer, template
from rm_selection.throughput_settings import SHAPES, LengthsConfig, ThroughputConfig


def fresh_model(settings: ThroughputConfig) -> RewardModel:
    """The reward model to time, the same weights each time."""
    where = device(settings.hardware)
    precision = precision_of(settings.hardware, where)
    if settings.shape is None:
        source = str(settings.model)
        checkpoint = Checkpoint("local", "pretrained", "local", None, None, None, source, None)
        return load(checkpoint, precision=precision, device=where, max_length=settings.max_length)
    tokenizer = AutoTokenizer.from_pretrained(check_folder(settings.model)) if settings.model else letters()
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
    sizes: dict[str, Any] = dict(zip((*names, "vocab_size"), SHAPES[settings.shape], strict=True))
    pad = prepare_tokenizer(tokenizer)
    sizes["vocab_size"] = max(sizes["vocab_size"], len(tokenizer))
    sizes |= {"num_labels": 1, "pad_token_id": pad}
    config = LlamaConfig(**sizes, max_position_embeddings=settings.max_length)
    torch.manual_seed(0)
    dtype = torch.bfloat16 if precision == "bf16_weights" else torch.float32
    with torch.device(where):
        body = reward_class(LlamaConfig)._from_config(config, dtype=dtype)
    body.score.float()
    return RewardModel(body, template(tokenizer), settings.max_length, precision)


def pairs(settings: ThroughputConfig, needed: int) -> list[Pair]:
    """The pairs of the file, or as many drawn ones as are needed, the same each time."""
    if settings.pairs is not None:
        return read_evaluation(settings.benchmark, Source("jsonl", settings.pairs), settings.limit).rows
    prompts = settings.limit or math.ceil(needed / settings.responses**2)
    return drawn(settings.lengths, prompts, settings.responses)


def drawn(lengths: LengthsConfig, prompts: int, responses: int, seed: int = 0) -> list[Pair]:
    """Random letters: prompts with so many chosen and rejected responses, a pair for each chosen against each rejected.

    Args:
        lengths: of prompts and responses, in letters, each of which is a token of `letters()`.
        prompts: how many.
        responses: chosen ones of a prompt, and rejected ones.
        seed: of letters and lengths.
    """
    rng = random.Random(seed)

    def message(role: str, median: int, spread: float) -> tuple[Message]:
        length = min(max(round(rng.lognormvariate(math.log(median), spread)), 4), lengths.longest)
        return ({"role": role, "content": "".join(rng.choices(string.ascii_lowercase, k=length))},)

    found: list[Pair] = []
    for prompt in range(prompts):
        asked = message("user", lengths.prompt, lengths.prompt_spread)
        chosen, rejected = (
            [message("assistant", lengths.response, lengths.response_spread) for _ in range(responses)] for _ in "cr"
        )
        found += [
            Pair(asked, good, bad, None, None, f"{prompt}-{a}-{b}")
            for a, good in enumerate(chosen)
            for b, bad in enumerate(rejected)
        ]
    return found


def letters() -> Any:
    """A tokenizer of one token a letter."""
    vocabulary = {token: i for i, token in enumerate(("<unk>", "<s>", "</s>", "<pad>", *string.printable))}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = cast(Any, pre_tokenizers.Split(pattern="", behavior="isolated"))
    return cast(Any, PreTrainedTokenizerFast)(tokenizer_object=made, eos_token="</s>", pad_token="<pad>")
