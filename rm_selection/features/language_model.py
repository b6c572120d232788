"""A base as the language model it is: loaded from safetensors alone, for features that need no head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from rm_selection.checkpoint_folder import check_folder
from rm_selection.checkpoints import Checkpoint
from rm_selection.errors import DamagedModelError
from rm_selection.refusals import refused


@dataclass(frozen=True)
class LanguageModel:
    """A frozen base in evaluation mode, its tokenizer as it came, and the tokens it can read at once."""

    model: Any  # PreTrainedModel, which is not typed
    tokenizer: PreTrainedTokenizerBase
    max_length: int

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""
        device: torch.device = next(iter(self.model.parameters())).device
        return device


def load(checkpoint: Checkpoint, device: str = "cpu", precision: str = "float32") -> LanguageModel:
    """The causal language model of a checkpoint.

    Args:
        checkpoint: where it is.
        device: cpu, cuda or cuda:N.
        precision: float32, bf16 (float32 weights, for autocast) or bf16_weights.

    Raises:
        ModelError: it cannot be loaded; the subclasses say why.
    """
    source, revision = checkpoint.source, checkpoint.revision
    if revision is None:
        source = str(check_folder(source).resolve())
    dtype = torch.bfloat16 if precision == "bf16_weights" else torch.float32
    with refused(source):
        config = AutoConfig.from_pretrained(source, revision=revision)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source, revision=revision, config=config, dtype=dtype, use_safetensors=True, output_loading_info=True
        )
        model, report = loaded
        tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
    if lost := sorted(report["missing_keys"]):  # transformers would fill them with random numbers and go on
        raise DamagedModelError(f"{source} lacks {len(lost)} of its weights, {lost[0]} first; download it again")
    limit = int(getattr(config.get_text_config(), "max_position_embeddings", None) or 4096)
    return LanguageModel(model.eval().to(device), tokenizer, limit)
