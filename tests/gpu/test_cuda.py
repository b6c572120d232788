"""What only a CUDA device can show: `make gpu`."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
from tiny_training import QUICK, TRAIN, VALIDATION, base  # noqa: F401 - base is a fixture

from rm_selection import bradley_terry
from rm_selection.errors import OutOfMemoryError
from rm_selection.protocol import Lora, Protocol, Run
from rm_selection.reward_model import PRECISIONS, RewardModel, load, save
from rm_selection.scoring import TOLERANCE, parity_check, score, verify_reload

DEVICE = "cuda"
CHATS = tiny_models.chats(32)


@pytest.fixture
def no_memory(base) -> Iterator[None]:
    """The device has room for the model and next to nothing else."""
    load(base, device=DEVICE)  # its memory stays with the process for the next one
    torch.cuda.set_per_process_memory_fraction(1e-6)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


def dtypes(rm: RewardModel) -> tuple[set[torch.dtype], torch.dtype]:
    """Of the frozen or trained body, and of what the head gives."""
    body = {w.dtype for name, w in rm.model.named_parameters() if "score" not in name and "lora_" not in name}
    with torch.no_grad(), torch.autocast(DEVICE, dtype=torch.bfloat16):
        return body, rm.model(input_ids=torch.tensor([[1, 20, 30]], device=DEVICE)).logits.dtype


@pytest.mark.parametrize(
    ("precision", "lora"), [("bf16", None), ("bf16", Lora(rank=4)), ("bf16_weights", Lora(rank=4))]
)
def test_bf16_training_learns_with_a_float32_head(base, tmp_path, precision, lora):
    rate = 3e-3 if lora is None else 1e-2
    protocol = Protocol(**vars(QUICK) | {"learning_rate": rate, "lora": lora, "epochs": 2.0})
    rm = load(base, precision=precision, device=DEVICE)
    out = bradley_terry.train(rm, TRAIN, VALIDATION, protocol, Run(tmp_path / "run"))
    assert out.evaluations[-1]["validation_accuracy"] > 0.9
    assert dtypes(out.model) == ({torch.bfloat16 if precision == "bf16_weights" else torch.float32}, torch.float32)
    save(out.model, tmp_path / "model")
    verify_reload(out.model, tmp_path / "model", CHATS)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_scores_are_those_of_the_cpu(base, precision):
    here = score(load(base, precision=precision), CHATS).values
    there = score(load(base, precision=precision, device=DEVICE), CHATS).values
    assert np.abs(here - there).max() <= TOLERANCE[precision] * max(1.0, float(np.abs(here).max()))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_company_padding_and_order_do_not_matter(base, precision):
    parity_check(load(base, precision=precision, device=DEVICE), CHATS)


def test_a_killed_run_goes_on_where_it_stopped(base, tmp_path):
    """Its optimiser and its random state come back on the device."""

    def train(folder: Path, **changes: object) -> list[dict[str, float]]:
        rm, protocol = load(base, device=DEVICE), Protocol(**vars(QUICK))
        lines: list[dict[str, float]] = []

        def hear(line: dict[str, float]) -> None:
            lines.append(line)
            if line["step"] == changes.get("stop"):
                raise KeyboardInterrupt

        bradley_terry.train(rm, TRAIN, VALIDATION, protocol, Run(folder, hear, resume=bool(changes.get("resume"))))
        return [line for line in lines if "loss" in line]

    whole = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", stop=5)
    rest = train(tmp_path / "killed", resume=True)
    assert [line["step"] for line in rest] == [4, 5, 6, 7]
    assert [line["loss"] for line in rest] == pytest.approx([line["loss"] for line in whole[3:]], rel=1e-4)


def test_scoring_out_of_memory_says_so(base, no_memory):
    with pytest.raises(OutOfMemoryError, match="the device is out of memory; score with fewer tokens per batch"):
        score(load(base, device=DEVICE), tiny_models.chats(2000), tokens_per_batch=10**9)


def test_training_out_of_memory_names_the_way_out(base, tmp_path, no_memory):
    protocol = Protocol(**vars(QUICK) | {"micro_batch": 16})
    with pytest.raises(OutOfMemoryError, match="the device is out of memory; lower micro_batch"):
        bradley_terry.train(load(base, device=DEVICE), TRAIN, VALIDATION, protocol, Run(tmp_path))
