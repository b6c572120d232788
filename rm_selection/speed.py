"""Training and scoring timed: each repeat runs every way once, so that a busy machine slows all of them.

train: stock (TRL's RewardTrainer), sorted, shared; the same weights, pairs and order, so the losses must be the same.
score: stock (a padded loop in the order of the pairs), sorted, shared.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from datasets import Dataset  # type: ignore[import-untyped]
from transformers import PrinterCallback
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import RewardTrainer

from rm_selection import bradley_terry, console
from rm_selection.errors import ConfigError
from rm_selection.hardware import device_name
from rm_selection.protocol import Protocol, Run
from rm_selection.refusals import quiet
from rm_selection.reward_model import RewardModel, sharing
from rm_selection.scoring import UNSHARED, forward, padded, score_tokens, share_prompts
from rm_selection.speed_inputs import fresh_model, pairs
from rm_selection.speed_table import matrix_peak, summary
from rm_selection.throughput_settings import ThroughputConfig
from rm_selection.timed import Timed
from rm_selection.train_settings import protocol
from rm_selection.training import Silent, arguments, trainable

Way = Callable[[int], Timed]
Rows = list[dict[str, Any]]


def measure(settings: ThroughputConfig) -> pd.DataFrame:
    """A row a task and way, as `speed_table.summary` says.

    Raises:
        ConfigError: fewer pairs fit than a repeat needs.
    """
    needed = settings.training.global_batch * settings.steps
    rm = fresh_model(settings)
    rows, _ = bradley_terry.rows(rm, pairs(settings, needed), use_margin=False)
    if "train" in settings.tasks and len(rows) < needed:
        raise ConfigError(
            f"{len(rows)} pairs fit and a repeat takes training.global_batch x steps = {needed}; lower either"
        )
    tasks = _tasks(rm, rows, settings)
    timed: dict[tuple[str, str], list[Timed]] = {task: [] for task in tasks}
    for repeat in range(settings.repeats):
        for (task, way), once in tasks.items():
            timed[task, way].append(once(repeat))
            seconds = timed[task, way][-1].seconds
            console.line(f"repeat {repeat + 1} of {settings.repeats}: {task}, {way}: {seconds:.1f} s")
    about, weights = _about(settings, rm), _weights(rm.model)
    found: list[dict[str, Any]] = []
    for (task, way), mine in sorted(timed.items(), key=lambda one: one[0][0], reverse=True):
        run, operations = (needed, _training_operations(settings)) if task == "train" else (len(rows), 2)
        told = summary(mine, timed[task, "stock"], run, weights * operations, matrix_peak(rm.device.type, rm.precision))
        found.append(about | {"task": task, "way": way} | told)
    return pd.DataFrame(found)


def _about(settings: ThroughputConfig, rm: RewardModel) -> dict[str, Any]:
    data = settings.lengths.name if settings.pairs is None else Path(settings.pairs).name
    if settings.pairs is None and settings.responses > 1:
        data += f", {settings.responses} x {settings.responses} responses"
    packages = ("torch", "transformers", "trl")
    return {
        "date": date.today().isoformat(),
        "device": device_name(str(rm.device)),
        "threads": torch.get_num_threads(),
        "shape": settings.shape or Path(str(settings.model)).name,
        "data": data,
        "repeats": settings.repeats,
        "steps": settings.steps,
        "global_batch": settings.training.global_batch,
        "micro_batch": settings.training.micro_batch,
        "versions": ", ".join(f"{name} {version(name)}" for name in packages),
        "training": settings.training.name + (", recomputed" if settings.training.gradient_checkpointing else ""),
        "precision": rm.precision,
    }


def _tasks(rm: RewardModel, rows: Rows, settings: ThroughputConfig) -> dict[tuple[str, str], Way]:
    sides = [row[side] for row in rows for side in ("chosen_ids", "rejected_ids")]
    apart = share_prompts(rm, sides)[1] if settings.hardware.shared_prompts else UNSHARED
    if apart is not None:
        console.line(f"prompts are not shared: {apart}")
    found: dict[tuple[str, str], Way] = {}
    for way in ("stock", "sorted", "shared")[: 3 if apart is None else 2]:
        if "train" in settings.tasks:
            found["train", way] = partial(_train, way, rows, settings)
        if "score" in settings.tasks:
            found["score", way] = partial(_score, way, sides, settings)
    return found


def _train(way: str, rows: Rows, settings: ThroughputConfig, repeat: int) -> Timed:
    """Train for a repeat's steps, with a seed of its own, from the same weights as every other run."""
    how = _protocol(settings, repeat)
    timed, rm = Timed(), trainable(sharing(fresh_model(settings), way == "shared"), how)
    with tempfile.TemporaryDirectory() as folder, timed.counting(rm.model), quiet():
        trainer = _trainer(rm, way, rows, how, Path(folder))
        trainer.args.save_strategy = "no"
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(timed)
        trainer.train()
        trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
        trainer.accelerator.free_memory()
    return timed


def _protocol(settings: ThroughputConfig, seed: int) -> Protocol:
    """As in training, at the rate that is asked for: no warm-up, and adapters take no other."""
    known = protocol(settings.training, settings.hardware, seed)
    return replace(known, learning_rate=settings.rate, rate_factor=1.0, max_steps=settings.steps, warmup_steps=0)


def _trainer(rm: RewardModel, way: str, rows: Rows, how: Protocol, folder: Path) -> Any:
    if way != "stock":
        return bradley_terry.trainer(rm, rows, how, Run(folder))
    settings = arguments(rm, how, folder, len(rows)) | {"max_length": None}
    settings["per_device_train_batch_size"] = how.micro_batch
    settings["gradient_accumulation_steps"] = how.global_batch // how.micro_batch
    data = Dataset.from_list(rows)
    return _Stock(rm.model, RewardConfig(**settings), train_dataset=data, processing_class=rm.template.tokenizer)


class _Stock(Silent, RewardTrainer):
    """TRL's own, but silent."""


def _score(way: str, sides: list[list[int]], settings: ThroughputConfig, _repeat: int) -> Timed:
    timed, at_once = Timed(), 2 * settings.training.micro_batch
    rm = sharing(fresh_model(settings), way == "shared")
    with timed.counting(rm.model):
        timed.on_step_begin()
        if way == "stock":
            for start in range(0, len(sides), at_once):
                forward(rm, padded(rm, list(map(tuple, sides[start : start + at_once]))))
        else:
            score_tokens(rm, sides, settings.hardware.tokens_per_batch)
        timed.on_step_end()
    return timed


def _training_operations(settings: ThroughputConfig) -> int:
    """A token and weight: two forward, two for the inputs' gradients and, without adapters, two for the weights'."""
    return 6 if settings.training.lora_rank is None else 4


def _weights(model: Any) -> int:
    """Weights that every token is multiplied by: all but the embeddings."""
    embeddings: int = model.get_input_embeddings().weight.numel()
    return sum(int(one.numel()) for one in model.parameters()) - embeddings
