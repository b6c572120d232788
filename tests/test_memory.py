"""Memory that runs out: the same result with less at once."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny_training import CHATS, QUICK, TRAIN, base, trained  # noqa: F401 - base is a fixture

from rm_selection import batching, bradley_terry, distributed
from rm_selection.batching import MicroBatches
from rm_selection.errors import OutOfMemoryError
from rm_selection.memory import fitting, lacking
from rm_selection.protocol import Lora, Run
from rm_selection.reward_model import load
from rm_selection.scoring import score
from rm_selection.training import way_out


@pytest.fixture
def small_device(monkeypatch):
    """Memory for so many rows in a forward pass of a Llama; a backward pass half done has left gradients."""

    def of(rows: int) -> None:
        from transformers import LlamaModel

        real = LlamaModel.forward

        def forward(self, *args, **inputs):
            ids = inputs.get("input_ids", args[0] if args else None)
            if len(ids) > rows:
                if self.training:
                    for one in self.parameters():
                        one.grad = torch.full_like(one, 100.0)
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            return real(self, *args, **inputs)

        monkeypatch.setattr(LlamaModel, "forward", forward)

    return of


@pytest.mark.parametrize("change", [{"micro_batch": 16}, {"micro_tokens": 10_000}])
def test_training_goes_on_with_half_as_much_and_the_same_losses(base, tmp_path, small_device, capsys, change):
    protocol = dataclasses.replace(QUICK, **change)
    steps: list[dict] = []
    trained(base, tmp_path / "whole", protocol, on_log=steps.append)
    small_device(10)  # five pairs, and a validation row by row
    halved: list[dict] = []
    trained(base, tmp_path / "small", dataclasses.replace(protocol, tokens_per_batch=100), on_log=halved.append)
    assert [one["loss"] for one in halved if "loss" in one] == pytest.approx(
        [one["loss"] for one in steps if "loss" in one], abs=1e-5
    )
    said = capsys.readouterr().out
    assert "out of memory: going on with at most" in said
    assert said.count("going on") < 12, "what was found out in one step holds for the next"


def test_one_row_that_does_not_fit_ends_the_training_with_the_way_out(base, tmp_path, small_device):
    small_device(1)
    with pytest.raises(OutOfMemoryError, match=r"the device is out of memory; lower dataset\.max_length"):
        trained(base, tmp_path)


def test_processes_that_share_a_training_do_not_halve(monkeypatch):
    micro = MicroBatches(lambda rows: {"rows": list(rows)}, lambda row: row["n"], len, 4)
    list(micro.cut([{"n": 3}] * 8))
    monkeypatch.setattr(batching, "world", lambda: 2)
    assert not micro.halve()


@pytest.mark.parametrize(("most", "budget", "left"), [(64, None, [4, 4]), (64, 24, [4, 4]), (1, None, [1] * 8)])
def test_halving_is_of_what_was_run(most, budget, left):
    """Most rows of a micro-batch may be more than there are."""
    micro = MicroBatches(lambda rows: {"rows": list(rows)}, lambda row: row["n"], len, most, budget)
    rows = [{"n": 3}] * 8
    list(micro.cut(rows))
    assert micro.halve() == (most > 1)
    assert [len(batch["rows"]) for batch in micro.cut(rows)] == left


def test_scoring_goes_on_with_half_as_much_and_the_same_scores(base, small_device):
    rm = load(base)
    whole = score(rm, CHATS, tokens_per_batch=10**6)
    small_device(3)
    halved = score(rm, CHATS, tokens_per_batch=10**6)
    assert np.abs(whole.values - halved.values).max() < 1e-5
    assert (halved.tokens, halved.distinct) == (whole.tokens, whole.distinct)


def test_what_fits_lies_on_the_line_through_two_peaks():
    def peak(tokens: int) -> int:
        return 1000 + 3 * tokens

    assert fitting(peak, least=100, most=10_000, bytes_there=4000) == 1000
    assert fitting(peak, least=100, most=500, bytes_there=4000) == 500, "more there are not"
    assert fitting(peak, least=100, most=10_000, bytes_there=50) == 100, "one row is run in any case"
    assert fitting(lambda _tokens: 1, least=100, most=150, bytes_there=0) == 100


def test_before_the_first_step_it_is_measured_how_much_fits(base, tmp_path, monkeypatch):
    """The device is played: each padded token takes a thousand bytes, and there are 1.2 million."""
    ran: list[int] = []
    real = bradley_terry._Trainer.mean_loss

    def mean_loss(self, logits, batch, items):
        ran.append(len(logits) // 2)
        return real(self, logits, batch, items)

    rm = load(base)
    rows, _ = bradley_terry.rows(rm, TRAIN, use_margin=False)
    longest = max(max(len(row["chosen_ids"]), len(row["rejected_ids"])) for row in rows)
    monkeypatch.setattr(bradley_terry._Trainer, "mean_loss", mean_loss)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 1000 * ran[-1] * longest)
    monkeypatch.setattr(batching, "room", lambda _device, _trained: 1000 * 7 * longest)
    protocol = dataclasses.replace(QUICK, max_steps=2)
    trainer = bradley_terry.trainer(rm, rows, protocol, Run(tmp_path))
    trainer.fills_memory, trainer.current_gradient_accumulation_steps = True, 1
    before = {name: one.clone() for name, one in rm.model.named_parameters()}
    first = trainer.training_step(rm.model, trainer.data_collator(rows[:16]))
    assert ran[:3] == [1, 1, 2], "once for the libraries' own memory, then for the line"
    assert trainer.data_collator.budget == 7 * longest
    assert max(ran[3:]) >= 7
    assert sum(ran[3:]) == 16
    assert all(torch.equal(one, before[name]) for name, one in rm.model.named_parameters())
    again = bradley_terry.trainer(load(base), rows, protocol, Run(tmp_path))
    again.current_gradient_accumulation_steps = 1
    expected = again.training_step(again.model, again.data_collator(rows[:16]))
    assert first.item() == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize("fits", [0, 1])
def test_where_two_of_the_longest_rows_do_not_fit_one_runs_at_a_time(base, tmp_path, monkeypatch, fits):
    """The device is played: it has memory for one of the longest rows, or for less."""
    real, ran = bradley_terry._Trainer.mean_loss, []
    rm = load(base)
    rows, _ = bradley_terry.rows(rm, TRAIN, use_margin=False)
    longest = max(max(len(row["chosen_ids"]), len(row["rejected_ids"])) for row in rows)

    def mean_loss(self, logits, batch, items):
        if batch["input_ids"].numel() // 2 > fits * longest:
            for one in self.model.parameters():
                one.grad = torch.full_like(one, 100.0)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        ran.append(len(logits) // 2)
        return real(self, logits, batch, items)

    expected = bradley_terry.trainer(load(base), rows, QUICK, Run(tmp_path))
    expected.current_gradient_accumulation_steps = 1
    wanted = expected.training_step(expected.model, expected.data_collator(rows[:16]))
    monkeypatch.setattr(bradley_terry._Trainer, "mean_loss", mean_loss)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 1000)
    monkeypatch.setattr(batching, "room", lambda _device, _trained: 10**6)
    trainer = bradley_terry.trainer(rm, rows, QUICK, Run(tmp_path))
    trainer.fills_memory, trainer.current_gradient_accumulation_steps = True, 1
    if fits == 0:
        with pytest.raises(torch.OutOfMemoryError):
            trainer.training_step(rm.model, trainer.data_collator(rows[:16]))
        return
    loss = trainer.training_step(rm.model, trainer.data_collator(rows[:16]))
    assert trainer.data_collator.budget == longest
    assert sum(ran[2:]) == 16
    assert loss.item() == pytest.approx(wanted.item(), abs=1e-6)
    gradients = zip(rm.model.parameters(), expected.model.parameters(), strict=True)
    assert all(torch.allclose(one.grad, other.grad, atol=1e-6) for one, other in gradients)


def test_the_way_out_names_what_is_not_done_yet(monkeypatch):
    assert way_out(QUICK) == (
        "lower dataset.max_length, give training.gradient_checkpointing=true, or choose training=lora"
    )
    monkeypatch.setattr(distributed, "world", lambda: 2)
    done = dataclasses.replace(QUICK, gradient_checkpointing=True, lora=Lora())
    assert way_out(done) == "lower training.micro_batch, lower dataset.max_length, or choose a smaller base"


def test_only_lack_of_memory_is_taken_for_it():
    assert lacking(torch.OutOfMemoryError("CUDA out of memory"))
    assert lacking(RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"))
    assert not lacking(RuntimeError("CUDA error: an illegal memory access was encountered"))
    assert not lacking(ValueError("out of memory"))
