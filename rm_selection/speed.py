"""Training and scoring timed: each repeat runs every way once, so that a busy machine slows all of them.

train: stock (TRL's RewardTrainer), sorted, shared; the same weights, pairs and order, so the losses must be the same.
score: stock (a padded loop in the order of the pairs), sorted, shared.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from datasets import Dataset  # type: ignore[import-untyped]
from transformers import AutoTokenizer, LlamaConfig, PrinterCallback, TrainerCallback
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import RewardTrainer

from rm_selection import bradley_terry, console
from rm_selection.checkpoint_folder import check_folder
from rm_selection.checkpoints import Checkpoint
from rm_selection.errors import ConfigError
from rm_selection.hardware import device, device_name, precision_of
from rm_selection.pooling import reward_class
from rm_selection.preferences import Source, read_pairs
from rm_selection.protocol import Protocol, Run
from rm_selection.refusals import quiet
from rm_selection.reward_model import Precision, RewardModel, load, sharing
from rm_selection.scoring import forward, padded, score_tokens, share_prompts
from rm_selection.templates import prepare_tokenizer, template
from rm_selection.throughput_settings import SHAPES, ThroughputConfig
from rm_selection.training import Silent, arguments, trainable

Way = Callable[[int], "Timed"]


@dataclass
class Timed(TrainerCallback):
    """One run. run, real: tokens that went through the model, with and without padding. loss: of each step."""

    seconds: float = 0.0
    run: int = 0
    real: int = 0
    loss: list[float] = field(default_factory=list)

    def on_step_begin(self, *_args: Any, **_known: Any) -> None:
        """From the first micro-batch..."""
        self.began = time.perf_counter()

    def on_step_end(self, *_args: Any, **_known: Any) -> None:
        """...to the end of the optimizer's step; what lies between steps is logging and saving."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds += time.perf_counter() - self.began

    def on_log(self, *_args: Any, logs: Any = None, **_known: Any) -> None:
        """Keep the loss."""
        self.loss += [logs["loss"]] if "loss" in logs else []

    def count(self, _module: Any, _args: Any, inputs: dict[str, torch.Tensor]) -> None:
        """Forward hook."""
        self.run += inputs["attention_mask"].numel()
        self.real += int(inputs["attention_mask"].sum())


def measure(settings: ThroughputConfig) -> pd.DataFrame:
    """A row a task and way, as `_summary` says.

    Raises:
        ConfigError: fewer pairs fit than a repeat needs.
    """
    rm = _model(settings)
    pairs = read_pairs(Source("jsonl", settings.pairs), settings.limit).rows
    rows, _ = bradley_terry.rows(rm, pairs, use_margin=False)
    needed = settings.global_batch * settings.steps
    if len(rows) < needed:
        raise ConfigError(f"{len(rows)} pairs fit and a repeat takes global_batch x steps = {needed}; lower either")
    tasks = _tasks(rm, rows, settings)
    timed: dict[tuple[str, str], list[Timed]] = {task: [] for task in tasks}
    for repeat in range(settings.repeats):
        for task, once in tasks.items():
            timed[task].append(once(repeat))
    about = {
        "date": date.today().isoformat(),
        "device": device_name(str(rm.device)),
        "threads": torch.get_num_threads(),
    }
    about |= {"shape": settings.shape or Path(settings.model).name, "data": Path(settings.pairs).name}
    about |= {name: getattr(settings, name) for name in ("repeats", "steps", "global_batch", "micro_batch")}
    about["versions"] = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "trl"))
    found = []
    for (kind, way), mine in sorted(timed.items(), key=lambda one: one[0][0], reverse=True):
        run = needed if kind == "train" else len(rows)
        operations = _weights(rm.model) * (6 if kind == "train" else 2)  # a token, attention left out
        found.append(about | _summary(kind, way, mine, timed[kind, "stock"], run, operations))
    return pd.DataFrame(found)


def append(figures: pd.DataFrame, table: Path) -> None:
    """Add the rows to a CSV, which is made where there is none."""
    table.parent.mkdir(parents=True, exist_ok=True)
    before = [pd.read_csv(table)] if table.exists() else []
    pd.concat([*before, figures], ignore_index=True).to_csv(table, index=False)


def shown(value: object) -> str:
    """A figure as it is printed."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


def _tasks(rm: RewardModel, rows: list[dict[str, Any]], settings: ThroughputConfig) -> dict[tuple[str, str], Way]:
    protocol = Protocol(global_batch=settings.global_batch, micro_batch=settings.micro_batch, max_steps=settings.steps)
    protocol = replace(protocol, micro_tokens=settings.hardware.micro_tokens)
    sides = [row[side] for row in rows for side in ("chosen_ids", "rejected_ids")]
    apart = share_prompts(rm, sides)[1]
    if apart is not None:
        console.line(f"prompts are not shared: {apart}")
    found: dict[tuple[str, str], Way] = {}
    for way in ("stock", "sorted", "shared")[: 3 if apart is None else 2]:
        found["train", way] = partial(_train, rm, way, rows, protocol)
        found["score", way] = partial(_score, rm, way, sides, settings)
    return found


def _train(rm: RewardModel, way: str, rows: list[dict[str, Any]], protocol: Protocol, repeat: int) -> Timed:
    """Train for a repeat's steps, with a seed of its own, from the same weights as every other run."""
    before = {name: one.clone() for name, one in rm.model.state_dict().items()}
    timed, rm = Timed(), trainable(sharing(rm, way == "shared"), protocol)
    with tempfile.TemporaryDirectory() as folder, _counted(rm, timed), quiet():
        trainer = _trainer(rm, way, rows, replace(protocol, seed=repeat), Path(folder))
        trainer.args.save_strategy = "no"
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(timed)
        trainer.train()
        trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
        trainer.accelerator.free_memory()
    rm.model.load_state_dict(before)
    return timed


def _trainer(rm: RewardModel, way: str, rows: list[dict[str, Any]], protocol: Protocol, folder: Path) -> Any:
    if way != "stock":
        return bradley_terry.trainer(rm, rows, protocol, Run(folder))
    settings = arguments(rm, protocol, folder, len(rows)) | {"max_length": None}
    settings["per_device_train_batch_size"] = protocol.micro_batch
    settings["gradient_accumulation_steps"] = protocol.global_batch // protocol.micro_batch
    data = Dataset.from_list(rows)
    return _Stock(rm.model, RewardConfig(**settings), train_dataset=data, processing_class=rm.template.tokenizer)


class _Stock(Silent, RewardTrainer):
    """TRL's own, but silent."""


def _score(rm: RewardModel, way: str, sides: list[list[int]], settings: ThroughputConfig, _repeat: int) -> Timed:
    timed, rm = Timed(), sharing(rm, way == "shared")
    with _counted(rm, timed):
        timed.on_step_begin()
        if way == "stock":
            for start in range(0, len(sides), 2 * settings.micro_batch):
                forward(rm, padded(rm, list(map(tuple, sides[start : start + 2 * settings.micro_batch]))))
        else:
            score_tokens(rm, sides, settings.hardware.tokens_per_batch)
        timed.on_step_end()
    return timed


@contextmanager
def _counted(rm: RewardModel, timed: Timed) -> Iterator[None]:
    hook = rm.model.register_forward_pre_hook(timed.count, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def _summary(task: str, way: str, mine: list[Timed], stock: list[Timed], pairs: int, operations: int) -> dict[str, Any]:
    """What is told of a way.

    pairs_per_s: median, with lowest and highest. times_stock: median over repeats of how many times as fast as stock.
    real_tokens_per_s: tokens of both sides of the pairs, however they were run. run: tokens run over these.
    padded: padding over tokens run. loss_difference: largest, from stock's. mfu: of the measured matrix peak, on CUDA.
    """
    each = np.array([pairs / one.seconds for one in mine])
    real = sum(one.real for one in stock) / len(stock)
    told = {"task": task, "way": way, "pairs_per_s": np.median(each), "low": each.min(), "high": each.max()}
    told["times_stock"] = float(np.median([two.seconds / one.seconds for one, two in zip(mine, stock, strict=True)]))
    told |= {"real_tokens_per_s": told["pairs_per_s"] * real / pairs, "run": mine[0].run / stock[0].real}
    told["padded"] = 1 - sum(one.real for one in mine) / sum(one.run for one in mine)
    losses = [abs(a - b) for one, two in zip(mine, stock, strict=True) for a, b in zip(one.loss, two.loss, strict=True)]
    told["loss_difference"] = max(losses, default=None)
    if torch.cuda.is_available():
        spent = np.median([one.real * operations / one.seconds for one in mine])
        told |= {"mfu": spent / _peak(), "peak_gib": torch.cuda.max_memory_allocated() / 2**30}
    return told


def _weights(model: Any) -> int:
    """Weights that every token is multiplied by: all but the embeddings."""
    embeddings: int = model.get_input_embeddings().weight.numel()
    return sum(int(one.numel()) for one in model.parameters()) - embeddings


@cache
def _peak(size: int = 8192, times: int = 20) -> float:
    """Operations a second of a bf16 matrix product on this CUDA device."""
    one = torch.randn(size, size, device="cuda", dtype=torch.bfloat16)
    for count in (3, times):  # first to warm up
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(count):
            one @ one
        torch.cuda.synchronize()
    return 2 * size**3 * times / (time.perf_counter() - began)


def _model(settings: ThroughputConfig) -> RewardModel:
    where = device(settings.hardware)
    precision = precision_of(settings.hardware, where)
    if settings.shape is None:
        checkpoint = Checkpoint("local", "pretrained", "local", None, None, None, settings.model, None)
        return load(checkpoint, precision=precision, device=where, max_length=settings.max_length)
    tokenizer = AutoTokenizer.from_pretrained(check_folder(settings.model))
    return random_model(SHAPES[settings.shape], tokenizer, settings.max_length, precision, where)


def random_model(
    shape: tuple[int, int, int, int, int, int], tokenizer: Any, max_length: int, precision: Precision, where: str
) -> RewardModel:
    """A Llama of one output with random weights, always the same ones.

    Args:
        shape: hidden, intermediate, layers, heads, key-value heads, vocabulary (more where the tokenizer has more).
        tokenizer: gets a pad token where it has none.
        max_length: tokens.
        precision: of the arithmetic.
        where: cpu or cuda.
    """
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
    sizes: dict[str, Any] = dict(zip((*names, "vocab_size"), shape, strict=True))
    pad = prepare_tokenizer(tokenizer)
    sizes["vocab_size"] = max(sizes["vocab_size"], len(tokenizer))
    sizes |= {"num_labels": 1, "pad_token_id": pad}
    config = LlamaConfig(**sizes, max_position_embeddings=max_length)
    torch.manual_seed(0)
    dtype = torch.bfloat16 if precision == "bf16_weights" else torch.float32
    with torch.device(where):
        body = reward_class(LlamaConfig)._from_config(config, dtype=dtype)
    body.score.float()
    return RewardModel(body, template(tokenizer), max_length, precision)
