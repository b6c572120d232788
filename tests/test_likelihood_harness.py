"""Log p of documents against lm-evaluation-harness's own, for the same text and model."""

import pytest
import tiny_models
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from rm_selection.features import language_model, likelihood

torch.set_num_threads(1)
TEXTS = ["Tell me more.", "so " * 40 + ".", "One two three, four.\n" * 5, "zebra caf\u00e9"]


def rows_of(model, texts):
    return [one.ids for one in likelihood.encoded(model.tokenizer, texts, 500)]


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_whole_and_conditional_log_p_equal_the_harness(family, tmp_path):
    model = language_model.load(tiny_models.checkpoint(tmp_path, family))
    named = {"pretrained": model.model, "tokenizer": model.tokenizer, "batch_size": 2, "device": "cpu"}
    ours = likelihood.prepared(model, "float32")
    whole = ours.sums(rows_of(model, TEXTS), 300)
    bare = HFLM(**named, add_bos_token=False)  # else it puts BOS before a text that has one, and counts the second
    rolling = [Instance("loglikelihood_rolling", {}, (text,), index) for index, text in enumerate(TEXTS)]
    assert whole == pytest.approx(bare.loglikelihood_rolling(rolling, disable_tqdm=True), abs=1e-4)
    parts = [Instance("loglikelihood", {}, (text[:5], text[5:]), index) for index, text in enumerate(TEXTS[1:])]
    beginnings = ours.sums(rows_of(model, [text[:5] for text in TEXTS[1:]]), 300)
    expected = [log_p for log_p, _ in HFLM(**named).loglikelihood(parts, disable_tqdm=True)]
    assert whole[1:] - beginnings == pytest.approx(expected, abs=1e-4)
