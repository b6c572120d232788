"""The model class of a reward model: any decoder of transformers, read at the last real token, head in float32.

transformers reads the reward at the last token that is not the pad token, one token early where pad is end of turn, and
in the precision of the body, where close rewards tie. The classes here keep names, weights and saved files as they are.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import torch
from torch import Tensor
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoModelForSequenceClassification,
)
from transformers.modeling_layers import GenericForSequenceClassification
from transformers.modeling_outputs import SequenceClassifierOutputWithPast

from rm_selection.errors import ModelError
from rm_selection.shared_prompts import NAME, Forest


def last_real(attention_mask: Tensor) -> Tensor:
    """Position of the last attended token of each row: (rows, tokens) of 0 and 1 -> (rows,)."""
    positions = torch.arange(attention_mask.shape[1], device=attention_mask.device)
    return (attention_mask.long() * positions).argmax(dim=1)


class LastRealToken:
    """Placed before a sequence-classification class: its forward pools by mask and applies `score` in float32."""

    _keep_in_fp32_modules_strict = ("score",)  # rewards in bf16 tie: one step is 0.4% of the reward

    def forward(
        self: Any,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,  # noqa: ARG002 - named so that the Trainer passes it on to the loss
        forest: Forest | None = None,
        position_ids: Tensor | None = None,
        last: Tensor | None = None,
        **_others: Any,  # use_cache, margin and what else trainers send along
    ) -> SequenceClassifierOutputWithPast:
        """Rewards of a padded batch or of packed trees: input_ids (rows, tokens) -> logits (rows, outputs) float32."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        rows: Any = last_real(mask) if last is None else last
        body = getattr(self, self.base_model_prefix)
        # Multimodal Gemma 3 refuses to train without token types; text is type 0.
        more: dict[str, Any] = (
            {"token_type_ids": torch.zeros_like(input_ids)} if self.config.model_type == "gemma3" else {}
        )
        if forest is not None:
            if self.config.get_text_config()._attn_implementation != NAME:
                raise ModelError("the model's attention would see across trees; set it with reward_model.sharing")
            mask = torch.ones(1, 1, 1, 1, device=input_ids.device)  # of four dimensions, so that none is made
            more |= {"forest": forest, "position_ids": position_ids}
        hidden = body(input_ids=input_ids, attention_mask=mask, use_cache=False, **more).last_hidden_state
        rows = rows.to(hidden.device)
        pooled = (
            hidden[0, rows] if forest is not None else hidden[torch.arange(len(hidden), device=hidden.device), rows]
        )
        with torch.autocast(device_type=hidden.device.type, enabled=False):
            logits = self.score(pooled.float())
        return SequenceClassifierOutputWithPast(logits=logits)


@cache
def reward_class(config_class: Any) -> Any:
    """The class to load a checkpoint of this configuration with.

    It bears the name of the transformers class, so that what it saves loads there.

    Raises:
        ModelError: transformers has no decoder for the configuration.
    """
    stock: Any = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING.get(config_class, None) or _missing_class(config_class)
    return type(stock.__name__, (LastRealToken, stock), {"__module__": stock.__module__})


def _missing_class(config_class: Any) -> Any:
    """Sequence classification for a decoder that transformers has none for (granite, cohere, olmoe...), registered."""
    causal: Any = MODEL_FOR_CAUSAL_LM_MAPPING.get(config_class, None)
    if causal is None:
        raise ModelError(f"{config_class.model_type!r} is not a text decoder of transformers; choose another base")
    module = sys.modules[causal.__module__]
    body = next(kind for kind in causal.__mro__ if kind.__name__.endswith("PreTrainedModel"))
    name = causal.__name__.replace("ForCausalLM", "ForSequenceClassification")
    made = type(name, (GenericForSequenceClassification, body), {"__module__": module.__name__})
    AutoModelForSequenceClassification.register(config_class, made, exist_ok=True)
    return made
