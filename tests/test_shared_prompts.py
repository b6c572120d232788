"""One pass for all responses to a prompt, against a pass a response by plain transformers."""

import dataclasses
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_models
import torch
from tiny_training import CHATS, QUICK, TRAIN, VALIDATION, base  # noqa: F401 - base is a fixture
from transformers import AutoModelForSequenceClassification

from rm_selection import bradley_terry, multi_attribute
from rm_selection.errors import ModelError
from rm_selection.protocol import Lora, Run
from rm_selection.reward_model import load, save, sharing
from rm_selection.scoring import TOLERANCE, score, score_tokens, share_prompts, tokens, verify_reload
from rm_selection.shared_prompts import Forest, Tree, attend, can_share, common, grouped, grown, packed

SHARING = ("llama", "qwen2", "mistral", "phi3", "olmo2")
RESPONSES = [
    tiny_models.chat(f"Tell me of {'x' * (i * 9)}", f"well {'so ' * j}{j}") for i in range(4) for j in range(5)
]


def one_by_one(rm, conversations) -> np.ndarray:
    rows = tokens(rm, conversations)
    with torch.no_grad():
        return np.array([rm.model(torch.tensor([row])).logits[0].numpy() for row in rows])


@pytest.mark.parametrize("family", SHARING)
def test_scores_are_those_of_each_response_alone(family, tmp_path):
    """Windows of 16 tokens (Mistral) are shorter than the prompts, which are 20 to 70 tokens long."""
    rm = load(tiny_models.checkpoint(tmp_path, family))
    expected = one_by_one(rm, CHATS + RESPONSES)
    rm, reason = share_prompts(rm, tokens(rm, CHATS))
    assert reason is None
    assert np.abs(one_by_one(rm, CHATS + RESPONSES) - expected).max() < 1e-5, "plain batches are as before"
    for budget in (200, 16_384):
        found = score(rm, CHATS + RESPONSES, budget)
        assert np.abs(found.values - expected).max() < 1e-5
        assert found.pad_tokens == 0


@pytest.mark.parametrize("precision", ["bf16", "bf16_weights"])
def test_lower_precision_shares_too(base, precision):
    rm = load(base, precision=precision)
    expected = score(rm, RESPONSES).values
    rm, reason = share_prompts(rm, tokens(rm, CHATS))
    assert reason is None
    assert rm.precision == precision
    assert np.abs(score(rm, RESPONSES).values - expected).max() < TOLERANCE[precision] * max(1, np.abs(expected).max())


@pytest.mark.parametrize(
    ("family", "why"), [("gemma2", "its attention is eager"), ("stablelm", r"scores would differ by \d")]
)
def test_families_that_cannot_share_score_as_before_and_say_why(family, why, tmp_path):
    rm = load(tiny_models.checkpoint(tmp_path, family))
    expected = score(rm, RESPONSES).values
    rm, reason = share_prompts(rm, tokens(rm, CHATS))
    assert not rm.shares_prompts
    assert re.match(why, reason)
    assert np.array_equal(score(rm, RESPONSES).values, expected)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"attention_chunk_size": 8}, "its attention is chunked"),
        ({"rope_parameters": {"rope_type": "longrope"}}, "its longrope positions depend on the longest row beside"),
    ],
)
def test_what_depends_on_company_does_not_share(base, changes, why):
    model = load(base).model
    for name, value in changes.items():
        setattr(model.config, name, value)
    assert can_share(model) == why


def test_without_rows_to_check_it_on_nothing_is_shared(base):
    rm, reason = share_prompts(load(base), [[1, 2]])
    assert (rm.shares_prompts, reason) == (False, "there are no rows to check it on")


def test_a_layer_that_hides_its_window_is_refused():
    layer = SimpleNamespace(config=SimpleNamespace(sliding_window=16))
    one = torch.zeros(1, 1, 2, 4)
    with pytest.raises(ValueError, match="has a sliding window and does not tell its attention"):
        attend(layer, one, one, one, None, forest=Forest((Tree(1, (1,)),)))


def test_six_responses_make_nine_pairs_and_their_prompt_runs_once(base):
    """As RM-Bench: each of three chosen against each of three rejected responses."""
    rm = sharing(load(base))
    prompt, answers = [1, *range(10, 50)], [[60 + i] * (3 + i) for i in range(6)]
    rows = [prompt + answers[side] for i in range(3) for j in range(3) for side in (i, 3 + j)]
    found = score_tokens(rm, rows)
    assert (len(found.values), found.distinct) == (18, 6)
    assert found.tokens == len(prompt) + sum(map(len, answers))


def test_a_tree_leaves_each_row_a_token_of_its_own():
    assert grown([[1, 2, 3, 4], [1, 2, 3]]) == Tree(2, (2, 1))
    assert grown([[1, 2, 3]]) == Tree(0, (3,))
    assert grown([[1], [1, 2]]) == Tree(0, (1, 2))


def test_positions_go_on_from_the_stem():
    made = packed([[[1, 2, 3, 4], [1, 2, 5]], [[6, 7]]])
    assert made["input_ids"].tolist() == [[1, 2, 3, 4, 5, 6, 7]]
    assert made["position_ids"].tolist() == [[0, 1, 2, 3, 2, 0, 1]]
    assert made["last"].tolist() == [3, 4, 6]


def test_rows_are_grouped_by_prompt_not_by_the_words_all_begin_with():
    rows = [(0, 0, prompt, *([prompt] * 20), answer, answer) for prompt in (1, 2) for answer in (3, 4, 5)]
    assert list(grouped(rows, 1000)) == [rows[:3], rows[3:]]
    assert list(grouped(rows, 27)) == [rows[:2], rows[2:3], rows[3:5], rows[5:]], "no tree is above the budget"


@pytest.mark.parametrize(("first", "second", "count"), [("abcd", "abxd", 2), ("abc", "abcd", 3), ("", "a", 0)])
def test_the_common_start_of_two_rows(first, second, count):
    assert common(tuple(first), tuple(second)) == count


def curve(base, folder, shares: bool, **changes) -> list[float]:
    lines: list[dict[str, float]] = []
    protocol = dataclasses.replace(QUICK, **changes)
    bradley_terry.train(sharing(load(base), shares), TRAIN, VALIDATION, protocol, Run(folder, lines.append))
    return [
        line[name] for line in lines for name in ("loss", "grad_norm", "margin", "validation_accuracy") if name in line
    ]


@pytest.mark.parametrize(
    "changes",
    [{"lora": Lora(rank=2)}, {"gradient_checkpointing": True}, {"lora": Lora(rank=2), "gradient_checkpointing": True}],
)
def test_adapters_and_recomputed_activations_learn_the_same(base, tmp_path, changes):
    changes |= {"max_steps": 4, "center_rewards_coefficient": 0.01}
    apart, together = (curve(base, tmp_path / str(shares), shares, **changes) for shares in (False, True))
    assert together == pytest.approx(apart, abs=1e-4)


def test_margins_count_and_another_attention_is_refused(base, tmp_path):
    rows, _ = bradley_terry.rows(load(base), tiny_models.pairs(3, margin=0.7), use_margin=True)
    losses, batches = [], []
    for shares in (False, True):
        rm = sharing(load(base), shares)
        trainer = bradley_terry.trainer(rm, rows, QUICK, Run(tmp_path))
        (batch,) = trainer.data_collator.cut(rows)
        batches.append(dict(batch))
        losses.append(trainer.compute_loss(rm.model, batch).item())
    assert losses[1] == pytest.approx(losses[0], abs=1e-6)
    with pytest.raises(ModelError, match="would see across trees; set it with reward_model"):
        load(base).model(**batches[1])


def test_a_regression_learns_the_same_without_padding(tmp_path):
    checkpoint, losses = tiny_models.checkpoint(tmp_path / "base"), []
    protocol = dataclasses.replace(QUICK, max_steps=4)
    for shares in (False, True):
        rm = sharing(load(checkpoint, ("help", "length")), shares)
        lines: list[dict[str, float]] = []
        data = tiny_models.ratings(64), tiny_models.ratings(10, start=1000)
        out = multi_attribute.train(rm, *data, protocol, Run(tmp_path / str(shares), lines.append))
        losses.append([line.get("loss", line.get("validation_loss")) for line in lines])
        assert (out.pad_tokens == 0) is shares
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_a_killed_run_ends_with_the_same_scores_to_the_last_bit(base, tmp_path):
    def hear(line: dict[str, float]) -> None:
        if line["step"] == 5:
            raise KeyboardInterrupt

    def trained(run: Run):
        return bradley_terry.train(sharing(load(base)), TRAIN, VALIDATION, QUICK, run)

    whole = trained(Run(tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        trained(Run(tmp_path / "cut", hear))
    again = trained(Run(tmp_path / "cut", resume=True))
    assert np.array_equal(score(whole.model, CHATS).values, score(again.model, CHATS).values)
    assert again.evaluations == whole.evaluations


def test_what_is_saved_knows_nothing_of_it(base, tmp_path):
    rm = sharing(load(base))
    save(rm, tmp_path / "model")
    verify_reload(rm, tmp_path / "model", CHATS)
    assert "shared_prompts" not in json.dumps(json.loads((tmp_path / "model" / "config.json").read_text()))
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model")
    assert plain.config._attn_implementation == "sdpa"
