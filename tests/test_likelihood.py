"""Log p of documents against the model's own logits, a plain loop in float64, and lm-evaluation-harness."""

import math
from dataclasses import replace

import numpy as np
import pytest
import tiny_models
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, CohereConfig, GraniteConfig

from rm_selection.errors import MeasurementError
from rm_selection.features import language_model, likelihood

torch.set_num_threads(1)
TEXTS = ["ab", "Tell me more.", "so " * 40, "x", "One two three, four.\n" * 5, "zebra"]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    def load(family: str = "llama"):
        return language_model.load(tiny_models.checkpoint(tmp_path_factory.mktemp(family), family))

    return load


def rows_of(model, texts=TEXTS, most=100):
    return [one.ids for one in likelihood.encoded(model.tokenizer, texts, most)]


@torch.no_grad()
def plain_sums(model, rows):
    """One document at a time, in float64, by the model's own logits."""
    own, found = model.model.double(), []
    for row in rows:
        ids = torch.tensor([[likelihood.prefix(model.tokenizer), *row]])
        log_p = own(input_ids=ids).logits[0, :-1].double().log_softmax(-1)
        found.append(float(log_p.gather(1, ids[0, 1:, None]).sum()))
    own.float()
    return np.array(found)


@pytest.mark.parametrize("family", tiny_models.CONFIGS)
def test_every_family_equals_a_plain_loop_in_float64(loaded, family):
    model = loaded(family)
    rows = rows_of(model)
    taken = likelihood.prepared(model, "float32")
    assert taken.fallback is None
    lengths = [len(row) for row in rows]
    assert taken.sums(rows, 300) / lengths == pytest.approx(plain_sums(model, rows) / lengths, abs=1e-5)


def test_neither_batches_nor_order_nor_chunks_change_a_score(loaded, monkeypatch):
    model = loaded("mistral")
    taken, rows = likelihood.prepared(model, "float32"), rows_of(model)
    lengths = np.array([len(row) for row in rows])
    alone = taken.sums(rows, 1) / lengths
    assert taken.sums(rows, 10**6) / lengths == pytest.approx(alone, abs=1e-5)
    assert taken.sums(rows[::-1], 250)[::-1] / lengths == pytest.approx(alone, abs=1e-5)
    monkeypatch.setattr(likelihood, "LOGITS", 1)  # a position at a time
    assert taken.sums(rows, 250) / lengths == pytest.approx(alone, abs=1e-5)


def test_granites_scaled_logits_are_chunked_too(loaded, tmp_path):
    model = replace(
        loaded(), model=AutoModelForCausalLM.from_config(GraniteConfig(**tiny_models.SHAPE, logits_scaling=3.0)).eval()
    )
    taken, rows = likelihood.prepared(model, "float32"), rows_of(model)
    assert taken.fallback is None
    assert taken.sums(rows, 300) == pytest.approx(plain_sums(model, rows), abs=1e-3)


def test_a_head_that_is_more_than_a_linear_map_falls_back_to_the_models_own_logits(loaded):
    model = replace(loaded(), model=AutoModelForCausalLM.from_config(CohereConfig(**tiny_models.SHAPE)).eval())
    taken, rows = likelihood.prepared(model, "float32"), rows_of(model)
    assert "differs from its own logits by" in taken.fallback
    assert taken.sums(rows, 300) == pytest.approx(plain_sums(model, rows), abs=1e-3)


def test_only_a_chunk_of_logits_is_held(loaded, monkeypatch):
    model = loaded()
    taken, seen = likelihood.prepared(model, "float32"), []
    model.model.get_output_embeddings().register_forward_hook(lambda head, given, made: seen.append(made.numel()))
    monkeypatch.setattr(likelihood, "LOGITS", 1000)
    taken.sums(rows_of(model), 10**6)
    assert max(seen) <= 1000


@settings(max_examples=30, deadline=None)
@given(st.text(alphabet="ab é\n~\u20ac", max_size=900), st.integers(1, 9))
def test_cutting_the_text_first_changes_no_token(text, most):
    tokenizer = tiny_models.tokenizer()
    [found] = likelihood.encoded(tokenizer, [text], most)
    whole = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert list(found.ids) == whole[:most]
    assert found.cut == (len(whole) > most)
    assert found.bytes == len(text[:most].encode())  # a letter a token


def test_ten_megabytes_cost_no_more_than_their_beginning():
    tokenizer = tiny_models.tokenizer()
    seen = []

    class Counting:
        is_fast = True

        def __call__(self, texts, **options):
            seen.extend(map(len, texts))
            return tokenizer(texts, **options)

    [found] = likelihood.encoded(Counting(), ["word " * 2**21], 2048)
    assert (len(found.ids), found.cut) == (2048, True)
    assert sum(seen) < 20_000


def test_eos_stands_in_for_bos_and_neither_is_refused():
    tokenizer = tiny_models.tokenizer()
    assert likelihood.prefix(tokenizer) == tokenizer.bos_token_id
    tokenizer.bos_token = None
    assert likelihood.prefix(tokenizer) == tokenizer.eos_token_id
    tokenizer.eos_token = None
    with pytest.raises(MeasurementError, match="neither BOS nor EOS to begin with; name one in"):
        likelihood.prefix(tokenizer)


def test_uniform_logits_cost_the_logarithm_of_the_vocabulary(loaded):
    model = loaded()
    with torch.no_grad():
        model.model.get_output_embeddings().weight.zero_()
    rows = rows_of(model)
    expected = [-len(row) * math.log(tiny_models.SHAPE["vocab_size"]) for row in rows]
    assert likelihood.Likelihood(model, "float32").sums(rows, 300) == pytest.approx(expected)
