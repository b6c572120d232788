"""Training in sorted micro-batches, against TRL's own trainer in its own order."""

import dataclasses
from types import SimpleNamespace

import pytest
import tiny_models
import torch
from datasets import Dataset
from tiny_training import QUICK, base  # noqa: F401 - base is a fixture
from transformers import TrainerCallback
from trl import RewardConfig, RewardTrainer

from rm_selection import batching, bradley_terry
from rm_selection.batching import ITEMS, MicroBatches, cut
from rm_selection.protocol import Run
from rm_selection.reward_model import load, sharing
from rm_selection.training import trainable

LONG = [
    dataclasses.replace(pair, rejected=({"role": "assistant", "content": "no " * (i * 7 % 23)},))
    for i, pair in enumerate(tiny_models.pairs(320))
]


class Steps(TrainerCallback):
    """The loss of each step, and the gradients of the first."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.gradients: dict[str, torch.Tensor] = {}

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        if not self.gradients:
            self.gradients = {name: one.grad.clone() for name, one in model.named_parameters()}

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "loss" in logs:
            self.losses.append(logs["loss"])


def ours(base, folder, protocol, shares: bool) -> Steps:
    rm, heard = trainable(sharing(load(base), shares), protocol), Steps()
    rows, _ = bradley_terry.rows(rm, LONG, use_margin=False)
    trainer = bradley_terry.trainer(rm, rows, protocol, Run(folder))
    trainer.add_callback(heard)
    trainer.train()
    return heard


@pytest.fixture(scope="module")
def stock(base, tmp_path_factory) -> Steps:
    """TRL's trainer: 20 steps of four micro-batches of four pairs, in the order they are drawn."""
    rm, heard = trainable(load(base), QUICK), Steps()
    rows, _ = bradley_terry.rows(rm, LONG, use_margin=False)
    folder = tmp_path_factory.mktemp("stock")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RewardTrainer, "_send_telemetry", lambda self: None)  # it would ask the network
        settings = {"use_cpu": True, "bf16": False, "report_to": "none", "activation_checkpointing": False}
        settings |= {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4, "logging_steps": 1}
        settings |= {"learning_rate": QUICK.rate, "lr_scheduler_type": "constant_with_warmup", "warmup_steps": 2}
        settings |= {
            "seed": QUICK.seed,
            "max_steps": 20,
            "save_strategy": "no",
            "disable_tqdm": True,
            "max_length": None,
        }
        data = Dataset.from_list(rows)
        args = RewardConfig(folder, **settings)
        trainer = RewardTrainer(rm.model, args, train_dataset=data, processing_class=rm.template.tokenizer)
        trainer.add_callback(heard)
        trainer.train()
    return heard


@pytest.mark.parametrize("shares", [False, True])
@pytest.mark.parametrize("change", [{}, {"micro_batch": 2}, {"micro_tokens": 150}, {"micro_tokens": 10_000}])
def test_losses_and_gradients_are_those_of_stock_trl(base, tmp_path, stock, change, shares):
    found = ours(base, tmp_path, dataclasses.replace(QUICK, **change), shares)
    assert len(found.losses) == 20
    assert found.losses == pytest.approx(stock.losses, abs=1e-4)
    for name, gradient in stock.gradients.items():
        assert (found.gradients[name] - gradient).norm() <= 1e-5 * gradient.norm(), name


def test_batches_hold_the_budget_and_like_lengths():
    assert cut([5, 100, 7, 90, 6, 200], budget=200) == [[5], [1, 3], [2, 4, 0]]


def test_rows_of_like_length_run_together():
    assert cut([3, 9, 5, 9, 1], most=2) == [[1, 3], [2, 0], [4]]


def test_a_budget_holds_for_padded_tokens_and_a_longer_row_runs_alone():
    lengths = [30, 10, 9, 4, 4, 4, 2]
    groups = cut(lengths, most=1, budget=20)
    assert groups == [[0], [1, 2], [3, 4, 5, 6]], "a batch is as wide as its longest row"
    assert all(len(group) * lengths[group[0]] <= 20 for group in groups[1:])


@pytest.mark.parametrize(
    ("count", "parts", "sizes"), [(8, 2, [4, 4]), (9, 2, [4, 2, 2, 1]), (4, 4, [1, 1, 1, 1]), (1, 3, [1, 0, 0])]
)
def test_every_process_gets_as_many_micro_batches(count, parts, sizes):
    groups = cut([1] * count, most=4, parts=parts)
    assert [len(group) for group in groups] == sizes
    assert sorted(place for group in groups for place in group) == list(range(count))


def dealt(monkeypatch, rows: list[dict], processes: int) -> list[list[dict]]:
    """What each process runs of a global batch."""
    collator = MicroBatches(lambda group: {"rows": list(group)}, lambda row: row["n"], len, QUICK.micro_batch)
    monkeypatch.setattr(batching, "world", lambda: processes)
    each = []
    for rank in range(processes):
        monkeypatch.setattr(batching, "rank", lambda mine=rank: mine)
        each.append(list(collator.cut(rows)))
    return each


def test_processes_share_a_global_batch_and_one_without_rows_runs_one_that_weighs_nothing(monkeypatch):
    first, second, third = dealt(monkeypatch, [{"n": 5}, {"n": 7}], 3)
    assert first == [{"rows": [{"n": 7}], ITEMS: 2}]
    assert second == [{"rows": [{"n": 5}], ITEMS: 2}]
    assert third == [{"rows": [{"n": 5}], ITEMS: float("inf")}]


def test_a_row_that_weighs_nothing_moves_nothing(base, tmp_path):
    rm = load(base)
    rows, _ = bradley_terry.rows(rm, LONG[:2], use_margin=False)
    trainer = bradley_terry.trainer(rm, rows, QUICK, Run(tmp_path))
    (batch,) = trainer.data_collator.cut(rows)
    loss = trainer.mean_loss(rm.model(**batch).logits, batch, float("inf"))
    loss.backward()
    assert loss.item() == 0
    assert all(one.grad is None or not one.grad.any() for one in rm.model.parameters())


def test_every_process_reads_the_whole_global_batch(base, tmp_path, monkeypatch):
    rm = load(base)
    rows, _ = bradley_terry.rows(rm, LONG[:40], use_margin=False)
    trainer = bradley_terry.trainer(rm, rows, QUICK, Run(tmp_path))
    sampler = SimpleNamespace(num_processes=2, process_index=1, even_batches=True)
    monkeypatch.setattr(RewardTrainer, "get_train_dataloader", lambda self: SimpleNamespace(batch_sampler=sampler))
    trainer.get_train_dataloader()
    assert vars(sampler) == {"num_processes": 1, "process_index": 0, "even_batches": False}
