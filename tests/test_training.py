import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_training import CHATS, QUICK, TRAIN, base, score_ids, trained  # noqa: F401 - base is a fixture

from rm_selection import bradley_terry, training_state
from rm_selection.errors import ConfigError, DamagedModelError, NonFiniteLossError, OutOfMemoryError
from rm_selection.hardware import device
from rm_selection.protocol import Lora, Objective
from rm_selection.reward_model import load, reload, save
from rm_selection.scoring import score, verify_reload
from rm_selection.train_settings import HardwareConfig
from rm_selection.training import arguments, trainable


def test_tokens_are_counted_once_an_epoch(base, tmp_path):
    out = trained(base, tmp_path / "run", dataclasses.replace(QUICK, epochs=2, checkpoint_every=20))
    rows, _ = bradley_terry.rows(out.model, TRAIN, use_margin=False)
    assert out.tokens == 2 * sum(len(row["chosen_ids"]) + len(row["rejected_ids"]) for row in rows)
    assert out.pad_tokens > 0


def test_max_steps_ends_earlier_but_never_later_than_the_epochs(base, tmp_path):
    for wanted, steps in ((2, 2), (50, 7)):
        out = trained(base, tmp_path, dataclasses.replace(QUICK, max_steps=wanted))
        assert out.evaluations[-1]["step"] == steps


@pytest.mark.parametrize("precision", ["float32", "bf16_weights"])
def test_lora_keeps_its_head_and_its_body(base, tmp_path, precision):
    protocol = dataclasses.replace(QUICK, lora=Lora(rank=4, alpha=8), learning_rate=1e-2, epochs=2)
    out = trained(base, tmp_path / "run", protocol, precision=precision)
    assert out.evaluations[-1]["validation_accuracy"] > 0.9
    save(out.model, tmp_path / "model")
    verify_reload(out.model, tmp_path / "model", CHATS)
    assert not torch.equal(score_ids(out.model, [1, 20, 30]), score_ids(load(base, precision=precision), [1, 20, 30]))
    assert not (tmp_path / "model" / "model.safetensors").exists(), "the frozen body is not copied"


def test_an_adapter_saved_without_our_notes_loads_too(base, tmp_path):
    out = trained(base, tmp_path / "run", dataclasses.replace(QUICK, lora=Lora(rank=2), max_steps=2))
    save(out.model, tmp_path / "model")
    (tmp_path / "model" / "config.json").unlink()
    assert np.array_equal(score(reload(tmp_path / "model"), CHATS).values, score(out.model, CHATS).values)
    (tmp_path / "model" / "adapter_model.safetensors").unlink()
    with pytest.raises(DamagedModelError, match="lacks a file, maybe its safetensors; download or convert it"):
        reload(tmp_path / "model")


def test_lora_trains_adapters_and_head_only(base):
    rm = trainable(load(base), dataclasses.replace(QUICK, lora=Lora()))
    names = [name for name, weights in rm.model.named_parameters() if weights.requires_grad]
    assert all("lora_" in name or "score.modules_to_save" in name for name in names)
    assert any("score.modules_to_save" in name for name in names)


@pytest.mark.parametrize("lora", [None, Lora(rank=2)])
def test_the_rate_is_multiplied_in_full_training_and_with_adapters(base, tmp_path, lora):
    rates: list[float] = []
    protocol = dataclasses.replace(QUICK, learning_rate=1e-4, rate_factor=10.0, lora=lora, warmup_steps=0, max_steps=1)
    trained(base, tmp_path, protocol, on_log=lambda line: rates.append(line.get("learning_rate", 1e-3)))
    assert rates == pytest.approx([1e-3, 1e-3])


def test_gradient_checkpointing_changes_no_loss(base, tmp_path):
    logs: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    for recompute, lines in logs.items():
        protocol = dataclasses.replace(QUICK, gradient_checkpointing=recompute, lora=Lora(rank=2), max_steps=3)
        trained(base, tmp_path / str(recompute), protocol, on_log=lines.append)
    assert [line.get("loss", 0) for line in logs[False]] == pytest.approx([line.get("loss", 0) for line in logs[True]])


def test_bf16_arithmetic_learns_and_leaves_float32_as_it_was(base, tmp_path):
    out = trained(base, tmp_path / "run", precision="bf16")
    assert out.evaluations[-1]["validation_accuracy"] > 0.9
    assert {weights.dtype for weights in out.model.model.parameters()} == {torch.float32}
    exact = score(out.model, CHATS).values
    whole = dataclasses.replace(out.model, precision="float32")
    assert not np.array_equal(exact, score(whole, CHATS).values), "its own scores are made in bf16"
    assert np.array_equal(score(whole, CHATS).values, score(whole, CHATS[::-1]).values[::-1])


def test_bf16_weights_are_not_trained_in_full(base, tmp_path):
    with pytest.raises(
        ConfigError, match=r"hardware\.precision=bf16_weights rounds away full training; give hardware\.prec"
    ):
        trained(base, tmp_path, precision="bf16_weights")


def test_a_loss_that_is_no_number_stops_with_its_step(base, tmp_path):
    with pytest.raises(NonFiniteLossError, match=r"(loss|grad_norm) is (nan|inf) at step \d+; lower objective\.rates"):
        trained(base, tmp_path, dataclasses.replace(QUICK, learning_rate=1e30, warmup_steps=0))
    assert training_state.last_whole(tmp_path, {}) is None, "no checkpoint of it must stay"


def test_running_out_of_memory_names_the_way_out(base, tmp_path, monkeypatch):
    def full(*_args: object, **_inputs: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(bradley_terry._Trainer, "compute_loss", full)
    with pytest.raises(OutOfMemoryError, match=r"out of memory; lower dataset\.max_length"):
        trained(base, tmp_path)


@pytest.mark.parametrize(("more", "best"), [(True, 4), (False, 2)])
def test_the_earliest_of_equal_checkpoints_is_best(more, best):
    values = [(2, 0.1), (4, 0.9), (6, 0.1), (8, 0.9)]
    evaluations = tuple({"step": step, "v": value} for step, value in values)
    assert Objective(lambda rm: {}, "v", more).best(evaluations[::-1]) == best


def test_the_trainer_is_not_let_take_more_devices_than_one(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    with pytest.raises(ConfigError, match="4 CUDA devices are visible and one is used; choose it: CUDA_VISIBLE_DEV"):
        arguments(SimpleNamespace(device=torch.device("cuda")), QUICK, tmp_path, rows=64)


def test_threads_are_as_many_as_asked_for():
    before = torch.get_num_threads()
    try:
        device(HardwareConfig("cpu", "cpu", "float32", 16_384, 2, False, micro_tokens=None, shared_prompts=False))
        assert torch.get_num_threads() == 2
        device(HardwareConfig("cpu", "cpu", "float32", 16_384, None, False, micro_tokens=None, shared_prompts=False))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_several_processes_for_one_cell_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"works in one process; .* give hardware=fsdp"):
        device(HardwareConfig("cpu", "cpu", "float32", 16_384, None, False, micro_tokens=None, shared_prompts=False))
