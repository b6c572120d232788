"""The tokenizer of a world: one token a word, with special tokens and a chat template as published models have them."""

from __future__ import annotations

from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from rm_selection.microcosm.questions import ASSISTANT, END, USER
from rm_selection.microcosm.world import World, vocabulary

UNKNOWN, START, PAD, SYSTEM = "<unk>", "<s>", "<pad>", "<|system|>"
SPECIAL = (UNKNOWN, START, END, PAD, SYSTEM, USER, ASSISTANT)
CHAT = (
    "{{ bos_token }}{% for m in messages %} <|{{ m['role'] }}|> {{ m['content'] }}"
    "{% if m['role'] == 'assistant' %} {{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %} <|assistant|>{% endif %}"
)


def tokenizer(world: World, longest: int) -> Any:
    """A fast tokenizer of whole words; plain text gets a start token in front."""
    words = [*SPECIAL, *vocabulary(world)]
    made = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token=UNKNOWN))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.decoder = decoders.WordPiece(prefix="##")  # words apart, full stops close
    start = (START, words.index(START))
    made.post_processor = processors.TemplateProcessing(single=f"{START} $A", special_tokens=[start])
    named = {"unk_token": UNKNOWN, "bos_token": START, "eos_token": END, "pad_token": PAD}
    kind: Any = PreTrainedTokenizerFast
    return kind(
        tokenizer_object=made,
        additional_special_tokens=[SYSTEM, USER, ASSISTANT],
        model_max_length=longest,
        chat_template=CHAT,
        **named,
    )
