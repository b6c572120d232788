"""The pass against transformers' own hidden states and logits, one unpadded response at a time."""

import numpy as np
import pytest
import torch
from tiny_models import CONFIGS, checkpoint

from rm_selection.errors import MeasurementError
from rm_selection.features import response_likelihood
from rm_selection.features.frozen_pass import States, layers, names, passed
from rm_selection.features.language_model import load
from rm_selection.features.responses import Response

torch.set_num_threads(1)
RNG = np.random.default_rng(0)
RESPONSES = [
    Response(tuple(RNG.integers(4, 90, length).tolist()), int(RNG.integers(1, length))) for length in (40, 31, 12, 5, 2)
]


def found(lm, responses=RESPONSES, budget: int = 10**6, **settings) -> States:
    return States.joined(list(passed(lm, responses, "float32", budget, **settings)))


@pytest.mark.parametrize("family", CONFIGS)
def test_states_and_log_p_are_those_of_the_whole_model(family, tmp_path):
    lm = load(checkpoint(tmp_path, family))
    states = found(lm)
    for row, one in enumerate(RESPONSES):
        with torch.no_grad():
            out = lm.model(input_ids=torch.tensor([one.ids]), output_hidden_states=True)
        each = torch.log_softmax(out.logits[0].double(), -1)[range(len(one.ids) - 1), one.ids[1:]]
        assert states.log_p[row] == pytest.approx(each[one.start - 1 :].sum().item(), abs=1e-4)
        assert states.tokens[row] == len(one.ids) - one.start
        hidden = [out.hidden_states[1][0], out.hidden_states[2][0]]
        assert names(2) == (
            "quarter_token",
            "quarter_mean",
            "three_quarters_token",
            "three_quarters_mean",
            *names(2)[4:],
        )
        expected = {"quarter": hidden[0], "last": hidden[1]}  # transformers gives the last layer's after the norm
        for depth, state in expected.items():
            token, mean = (states.views[row, names(2).index(f"{depth}_{pooling}")] for pooling in ("token", "mean"))
            np.testing.assert_allclose(token, state[-1], atol=1e-4)
            np.testing.assert_allclose(mean, state[one.start :].mean(0), atol=1e-4)


def test_nothing_depends_on_the_batch(tmp_path):
    lm = load(checkpoint(tmp_path))
    together, alone = found(lm), found(lm, budget=1)
    np.testing.assert_allclose(together.views, alone.views, atol=1e-5)
    np.testing.assert_allclose(together.log_p, alone.log_p, atol=1e-4)


def test_log_p_alone_needs_no_states(tmp_path):
    lm = load(checkpoint(tmp_path))
    states = found(lm, pooled=False)
    assert states.views.size == 0
    np.testing.assert_array_equal(states.log_p, found(lm).log_p)


def test_logits_are_made_in_pieces(tmp_path, monkeypatch):
    lm = load(checkpoint(tmp_path))
    whole = found(lm).log_p
    sizes, own = [], response_likelihood.logits
    monkeypatch.setattr(response_likelihood, "LOGITS", 7 * lm.model.config.vocab_size)
    monkeypatch.setattr(response_likelihood, "logits", lambda m, h: sizes.append(len(h)) or own(m, h))
    np.testing.assert_allclose(found(lm).log_p, whole, atol=1e-4)
    assert max(sizes) == 7


def test_a_head_that_does_more_than_is_known_is_refused(tmp_path, monkeypatch):
    lm = load(checkpoint(tmp_path))
    monkeypatch.setattr(lm.model.config, "logit_scale", 3.0, raising=False)  # which a Llama does not apply
    with pytest.raises(MeasurementError, match="log p of a llama from its hidden states differs from the model's own"):
        found(lm)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, {"quarter": 1}),
        (2, {"quarter": 1, "three_quarters": 2}),
        (5, {"quarter": 2, "half": 3, "three_quarters": 4}),
        (32, {"quarter": 8, "half": 16, "three_quarters": 24}),
    ],
)
def test_depths_are_shares_of_the_layers_without_repeats(count, expected):
    assert layers(count) == expected
