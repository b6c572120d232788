"""log p of response tokens from the last hidden states, without logits ever being held for a whole batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rm_selection.errors import MeasurementError

LOGITS = 2**22  # held at once, whatever the vocabulary: 16 MiB of float32
TOLERANCE = {"float32": 1e-3, "bf16": 0.5, "bf16_weights": 0.5}  # nats a token, against the model's own logits


def log_p(model: Any, hidden: Tensor, targets: Tensor) -> Tensor:
    """log p, in nats, of each target after the hidden state before it.

    Args:
        model: a causal language model of transformers.
        hidden: (n, d) states after the final norm.
        targets: (n,) the tokens that came next.

    Returns:
        (n,) float64.
    """
    size = max(1, LOGITS // model.get_output_embeddings().weight.shape[0])
    parts = zip(torch.split(hidden, size), torch.split(targets, size), strict=True)
    return torch.cat([_of_logits(logits(model, part), wanted) for part, wanted in parts])


def logits(model: Any, hidden: Tensor) -> Tensor:
    """What the model makes of hidden states (n, d), with what its family does behind the head: (n, vocabulary)."""
    head, config = model.get_output_embeddings(), model.config.get_text_config()
    found: Tensor = head(hidden.to(head.weight.dtype)).float()
    if scale := getattr(config, "logit_scale", None):  # cohere
        found = found * scale
    if divisor := getattr(config, "logits_scaling", None):  # granite
        found = found / divisor
    if cap := getattr(config, "final_logit_softcapping", None):  # gemma 2
        found = torch.tanh(found / cap) * cap
    return found


def check(model: Any, ids: Tensor, precision: str) -> None:
    """Make sure that body, head and what is known of the family are the whole model.

    Args:
        model: a causal language model of transformers.
        ids: (1, tokens) of any text.
        precision: that of the arithmetic around.

    Raises:
        MeasurementError: they are not.
    """
    whole = model(input_ids=ids, use_cache=False).logits[0, :-1]
    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[0, :-1]
    worst = float((_of_logits(whole, ids[0, 1:]) - log_p(model, hidden, ids[0, 1:])).abs().max())
    if not worst <= TOLERANCE[precision]:
        kind = model.config.model_type
        raise MeasurementError(
            f"log p of a {kind} from its hidden states differs from the model's own by {worst:.2g} nats a token; "
            "choose another base, or float32 with hardware.precision"
        )


def _of_logits(found: Tensor, targets: Tensor) -> Tensor:
    found = found.float()
    return found.gather(1, targets[:, None])[:, 0].double() - found.logsumexp(1).double()
