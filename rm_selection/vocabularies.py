"""Which bases read texts as the same tokens: what of a tokenizer tells it from others, without the base's weights."""

from __future__ import annotations

from typing import Any

from rm_selection.checkpoints import Checkpoint
from rm_selection.runs import digest


def vocabulary(tokenizer: Any) -> str:
    """Eight digits that stand for its tokens and their numbers."""
    return digest(tokenizer.get_vocab())


def of_checkpoint(checkpoint: Checkpoint) -> str:
    """The same of a checkpoint, of which the tokenizer's files alone are read.

    Raises:
        ModelError: it cannot be loaded; the subclasses say why.
    """
    from transformers import AutoTokenizer

    from rm_selection.refusals import refused

    with refused(checkpoint.source):
        tokenizer = AutoTokenizer.from_pretrained(checkpoint.source, revision=checkpoint.revision)
    return vocabulary(tokenizer)
