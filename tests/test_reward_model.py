import dataclasses
import json
import shutil
from pathlib import Path

import httpx
import numpy as np
import pytest
import tiny_models
import torch
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
from transformers import AutoModelForSequenceClassification, CohereConfig, GraniteConfig, OlmoeConfig

from rm_selection import reward_model, scoring
from rm_selection.checkpoints import Checkpoint
from rm_selection.errors import (
    ConfigError,
    DamagedModelError,
    GatedModelError,
    MissingModelError,
    ModelError,
    OutOfMemoryError,
    ParityError,
    UnsafeModelError,
)
from rm_selection.pooling import last_real
from rm_selection.refusals import refused
from rm_selection.reward_model import RewardModel, load, reload, save
from rm_selection.scoring import accuracy, parity_check, rewards, score, verify_reload

torch.set_num_threads(1)
CHATS = tiny_models.chats(32)


def at(folder: Path) -> Checkpoint:
    return Checkpoint("tiny", "pretrained", "tiny", None, None, None, str(folder), None)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Checkpoint:
    return tiny_models.checkpoint(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def tiny(base) -> RewardModel:
    return load(base)


@pytest.fixture
def copy(base, tmp_path) -> Path:
    return Path(shutil.copytree(base.source, tmp_path / "copy"))


@pytest.mark.parametrize("pad", tiny_models.PADS)
@pytest.mark.parametrize("family", tiny_models.CONFIGS)
def test_company_padding_and_order_change_no_score(tmp_path, family, pad):
    rm = load(tiny_models.checkpoint(tmp_path, family, pad))
    alone = np.concatenate([score(rm, [one]).values for one in CHATS])
    together = score(rm, CHATS, tokens_per_batch=10**9).values
    turned = score(rm, CHATS[::-1], tokens_per_batch=600).values[::-1]
    assert np.abs(alone - together).max() < 1e-5
    assert np.abs(alone - turned).max() < 1e-5
    assert np.std(alone) > 0.1, "scores that are all alike would agree anyhow"
    assert parity_check(rm, CHATS) < 1e-5


@pytest.mark.parametrize("family", tiny_models.CONFIGS)
def test_a_score_is_the_head_on_the_hidden_state_of_the_last_token(tmp_path, family):
    rm = load(tiny_models.checkpoint(tmp_path, family, "pad is eos"))
    ids = torch.tensor([rm.template.ids(CHATS[3])])
    with torch.no_grad():
        hidden = rm.model.eval().base_model(ids).last_hidden_state[0, -1]
        expected = float(hidden @ rm.model.score.weight[0])
    assert score(rm, CHATS[:5]).values[3, 0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("pad", tiny_models.PADS)
def test_plain_transformers_loads_what_is_saved_and_scores_the_same(tmp_path, pad):
    rm = load(tiny_models.checkpoint(tmp_path / "base", "qwen2", pad))
    save(rm, tmp_path / "model")
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    batch = rm.template.tokenizer.pad({"input_ids": [rm.template.ids(one) for one in CHATS]}, return_tensors="pt")
    with torch.no_grad():
        found = plain(**batch).logits.numpy()
    assert np.abs(found - score(rm, CHATS).values).max() < 1e-5


@pytest.mark.parametrize("precision", reward_model.PRECISIONS)
def test_a_reloaded_model_scores_the_same_to_the_last_bit(base, tmp_path, precision):
    rm = load(base, ("help", "length"), precision, max_length=40)
    rm = dataclasses.replace(rm, weights=(1.0, -0.05))
    save(rm, tmp_path / "model")
    verify_reload(rm, tmp_path / "model", CHATS)
    again = reload(tmp_path / "model")
    assert (again.outputs, again.weights, again.max_length, again.precision) == (
        ("help", "length"),
        (1.0, -0.05),
        40,
        precision,
    )
    assert again.model.score.weight.dtype == torch.float32


def test_the_gate_notices_a_model_that_was_not_saved_as_it_is(tiny, tmp_path):
    save(tiny, tmp_path / "model")
    other = load(at(tmp_path / "model"))
    torch.nn.init.normal_(other.model.score.weight)
    with pytest.raises(ParityError, match="model scores otherwise than the model saved there, by"):
        verify_reload(other, tmp_path / "model", CHATS[:2])


def otherwise_rounded(monkeypatch, by: float) -> None:
    """Every second scoring differs by so much, as the same weights may at another place in memory."""
    real, calls = scoring.forward, iter(range(1_000_000))
    monkeypatch.setattr(scoring, "forward", lambda rm, inputs: real(rm, inputs) + np.float32(by * (next(calls) % 2)))


def test_the_gate_lets_the_same_weights_round_otherwise(tiny, tmp_path, monkeypatch):
    save(tiny, tmp_path / "model")
    otherwise_rounded(monkeypatch, 1e-6)
    verify_reload(tiny, tmp_path / "model", CHATS[:2])
    otherwise_rounded(monkeypatch, 1e-3)
    with pytest.raises(ParityError, match="model scores otherwise"):
        verify_reload(tiny, tmp_path / "model", CHATS[:2])


def test_the_gate_lets_no_other_weights_pass_however_little_they_differ(base, tmp_path):
    rm = load(base)
    save(rm, tmp_path / "model")
    with torch.no_grad():
        rm.model.score.weight[0, 0] += 1e-6
    with pytest.raises(ParityError, match="model scores otherwise"):
        verify_reload(rm, tmp_path / "model", CHATS[:2])


def test_the_gate_notices_padding_that_leaks(tiny, monkeypatch):
    monkeypatch.setattr("rm_selection.pooling.last_real", lambda mask: torch.full((len(mask),), mask.shape[1] - 1))
    with pytest.raises(ParityError, match=r"differ by .* between alone and in a batch, .* is allowed; give"):
        parity_check(tiny, CHATS)


def test_the_head_depends_on_the_seed_and_on_nothing_else(base):
    heads = [load(base, seed=seed).model.score.weight for seed in (1, 1, 2)]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_bf16_keeps_the_head_and_the_scores_in_float32(base):
    rm = load(base, precision="bf16_weights")
    assert rm.model.score.weight.dtype == torch.float32
    values = score(rm, CHATS).values[:, 0]
    assert (torch.tensor(values).bfloat16().float().numpy() != values).mean() > 0.9, "rewards rounded to bf16 tie"
    assert np.abs(values - score(load(base), CHATS).values[:, 0]).max() < 0.1
    parity_check(rm, CHATS)


def test_equal_conversations_run_once(tiny):
    found = score(tiny, [CHATS[0], CHATS[1], CHATS[0]])
    assert found.distinct == 2
    assert found.values[0] == found.values[2]
    lengths = [len(tiny.template.ids(one)) for one in CHATS[:2]]
    assert (found.tokens, found.pad_tokens) == (sum(lengths), abs(lengths[0] - lengths[1]))


def test_a_long_conversation_loses_the_oldest_tokens_and_is_counted(tiny):
    short = dataclasses.replace(tiny, max_length=30)
    ids = tiny.template.ids(CHATS[4])
    assert scoring.shortened(short, ids) == (1, *ids[-29:])
    found = score(short, [CHATS[4], tiny_models.chat("a", "b")])
    assert (found.truncated, len(found.values)) == (1, 2)


def test_max_length_is_no_more_than_the_body_reads(base):
    assert load(base, max_length=10**6).max_length == tiny_models.SHAPE["max_position_embeddings"]


def test_nothing_to_score_gives_no_scores(tiny):
    assert score(tiny, []).values.shape == (0, 1)


def test_the_merge_vector_makes_one_reward_of_several_outputs(tiny):
    several = dataclasses.replace(tiny, outputs=("a", "b"), weights=(1.0, -0.5))
    assert rewards(several, np.array([[1.0, 2.0], [3.0, 1.0]], dtype=np.float32)).tolist() == [0.0, 2.5]
    with pytest.raises(ConfigError, match="a model with 2 outputs needs weights to give one reward; search"):
        rewards(dataclasses.replace(several, weights=None), np.zeros((1, 2), dtype=np.float32))


def test_ties_count_half():
    assert accuracy(np.array([1.0, 2.0, 0.0]), np.array([1.0, 1.0, 3.0])) == (0.5, 1)


@pytest.mark.parametrize(("mask", "last"), [([1, 1, 0], 1), ([0, 1, 1], 2), ([1, 0, 1], 2), ([1, 0, 0], 0)])
def test_the_last_real_token_is_found_on_either_side_of_padding(mask, last):
    assert last_real(torch.tensor([mask])).item() == last


@pytest.mark.parametrize("config", [GraniteConfig, CohereConfig, OlmoeConfig])
def test_families_without_a_class_in_transformers_work_too(tmp_path, config, monkeypatch):
    small = {"num_experts": 4, "num_experts_per_tok": 2} if config is OlmoeConfig else {}
    monkeypatch.setitem(tiny_models.CONFIGS, "other", config(**tiny_models.SHAPE, **small))
    rm = load(tiny_models.checkpoint(tmp_path / "base", "other"))
    assert parity_check(rm, CHATS[:8]) < 1e-5
    save(rm, tmp_path / "model")
    verify_reload(rm, tmp_path / "model", CHATS[:8])


def truncated(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def rewritten(**changes: object):
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))

    return change


@pytest.mark.parametrize(
    ("spoil", "kind", "message"),
    [
        (truncated, DamagedModelError, r"has a weights file that is cut short or damaged \(.*\); get it again"),
        (pickled, UnsafeModelError, r"has its weights pickled \(pytorch_model.bin\), which can run code"),
        (lambda folder: (folder / "model.safetensors").unlink(), DamagedModelError, "download the weights too"),
        (lambda folder: (folder / "config.json").write_text("{"), DamagedModelError, "config.json is no JSON"),
        (lambda folder: (folder / "tokenizer.json").unlink(), DamagedModelError, "has no tokenizer that loads"),
        (rewritten(model_type="new", auto_map={"AutoConfig": "a.B"}), UnsafeModelError, "wants to run code of its own"),
        (rewritten(model_type="new"), ModelError, "is of an architecture this transformers does not know"),
        (rewritten(model_type="t5"), ModelError, "'t5' is not a text decoder|has a head that is not one linear map"),
        (rewritten(num_hidden_layers=3), DamagedModelError, r"lacks \d+ of its weights, model.layers.2"),
        (rewritten(hidden_size=16), DamagedModelError, "has weights of other shapes than its config says"),
        (shutil.rmtree, MissingModelError, "does not exist; give the folder of a checkpoint"),
    ],
)
def test_a_spoilt_checkpoint_is_refused_in_one_sentence(copy, spoil, kind, message):
    spoil(copy)
    with pytest.raises(kind, match=message) as refusal:
        load(at(copy))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("cause", "kind", "message"),
    [
        (GatedRepoError, GatedModelError, "a/b is gated; accept its licence on the Hub and log in"),
        (
            RepositoryNotFoundError,
            MissingModelError,
            "a/b is no repository that you can see; check its name",
        ),
        (RevisionNotFoundError, MissingModelError, "a/b has no such revision; name one that its repository has"),
    ],
)
def test_what_the_hub_refuses_is_told_in_one_sentence(cause, kind, message):
    wrapped = OSError("as transformers wraps it")
    wrapped.__cause__ = cause("no", response=httpx.Response(404, request=httpx.Request("GET", "https://hub")))
    with pytest.raises(kind, match=message), refused("a/b"):
        raise wrapped


def test_other_failures_are_told_with_their_reason():
    with pytest.raises(ModelError, match="a/b cannot be loaded: something new"), refused("a/b"):
        raise RuntimeError("something\n new")
    with pytest.raises(MissingModelError, match="/no/folder is no folder; give the folder of a model"):
        reload("/no/folder")


def test_a_language_model_is_no_reward_model(base):
    with pytest.raises(ModelError, match="has no reward head; train one on it, or name a reward model"):
        reload(base.source)


def test_a_changed_chat_template_is_noticed(tiny, tmp_path):
    save(tiny, tmp_path / "model")
    template = tmp_path / "model" / "chat_template.jinja"
    template.write_text(template.read_text().replace("': '", "' says '").replace(": {{", " says {{"))
    with pytest.raises(DamagedModelError, match="renders chats otherwise than when it was saved"):
        reload(tmp_path / "model")


def test_an_unknown_precision_is_refused(base):
    with pytest.raises(ConfigError, match="precision is 'fp8'; it is one of float32, bf16, bf16_weights"):
        load(base, precision="fp8")


def test_running_out_of_memory_names_the_way_out(tiny, monkeypatch):
    def full(*_args: object, **_inputs: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(tiny.model, "forward", full)
    with pytest.raises(OutOfMemoryError, match="the device is out of memory; score with fewer tokens per batch"):
        score(tiny, CHATS)
