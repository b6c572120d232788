"""Log-likelihoods by hand: one text at a time, in float64."""

import torch

from rm_selection.features.language_model import LanguageModel


def loglikelihood(language: LanguageModel, context: str, continuation: str) -> float:
    """Sum of log-softmax over the tokens of the continuation."""
    whole = language.tokenizer(context + continuation)["input_ids"]
    start = len(language.tokenizer(context)["input_ids"])
    with torch.no_grad():
        logs = language.model(torch.tensor([whole])).logits[0].double().log_softmax(-1)
    return float(sum(logs[i - 1, whole[i]] for i in range(start, len(whole))))
