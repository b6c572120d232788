"""What both objectives share: the protocol, the Trainer's settings, evaluation with our own loop, the best checkpoint.

The Trainer runs the optimiser and writes checkpoints. After each one the validation set is scored (see scoring.py), and
at the end the weights of the best checkpoint are the model. A run goes on from its last whole checkpoint, bit for bit.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, load_peft_weights, set_peft_model_state_dict
from transformers import PrinterCallback
from trl.trainer.utils import disable_dropout_in_model

from rm_selection import distributed, training_state
from rm_selection.adapters import adapted, is_adapter
from rm_selection.errors import ConfigError
from rm_selection.memory import memory_reported
from rm_selection.protocol import Objective, Protocol, Run, Trained, steps, upto
from rm_selection.refusals import quiet
from rm_selection.reward_model import RewardModel, describe, reload, sharing
from rm_selection.training_state import State
from rm_selection.watch import Watch


class Silent:
    """Placed before a Trainer class of TRL: it sends nothing and writes no model card."""

    def _send_telemetry(self) -> None:
        return

    def create_model_card(self, *_args: Any, **_settings: Any) -> None:
        """Write none: ours, or the record, says more."""


def trainable(rm: RewardModel, protocol: Protocol) -> RewardModel:
    """The model made ready: no dropout, as in scoring; with adapters where the protocol wants them.

    Raises:
        ConfigError: bf16 weights were to be trained themselves.
    """
    disable_dropout_in_model(rm.model)
    if protocol.lora is None:
        if rm.precision == "bf16_weights" and not is_adapter(rm.model):
            # A step of 1e-6 on a weight of 0.02 is a hundredth of what bf16 can tell apart: nothing would be learnt.
            raise ConfigError(
                "hardware.precision=bf16_weights rounds away full training; give hardware.precision=bf16 or float32, "
                "or training=lora"
            )
        return rm
    adapters = LoraConfig(
        task_type="SEQ_CLS",
        r=protocol.lora.rank,
        lora_alpha=protocol.lora.alpha,
        target_modules="all-linear",
        modules_to_save=["score"],
        revision=rm.commit,
    )
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(protocol.seed)
        return replace(rm, model=adapted(rm.model, adapters))


def arguments(rm: RewardModel, protocol: Protocol, folder: Path, rows: int) -> dict[str, Any]:
    """Settings of the Trainer for that many rows, for TrainingArguments or RewardConfig.

    Raises:
        ConfigError: the global batch is no multiple of what the devices take at once, or the Trainer would use more
            devices than that.
    """
    world = distributed.world()
    if rm.device.type == "cuda" and world == 1 and torch.cuda.device_count() > 1:
        # The Trainer would take them all, each with a micro batch: another global batch than the one asked for.
        raise ConfigError(
            f"{torch.cuda.device_count()} CUDA devices are visible and one is used; choose it: CUDA_VISIBLE_DEVICES=0"
        )
    at_once = protocol.micro_batch * world
    if protocol.global_batch % at_once:
        raise ConfigError(
            f"training.global_batch={protocol.global_batch} is no multiple of training.micro_batch x devices = "
            f"{at_once}; change either"
        )
    return {
        "output_dir": str(folder),
        "per_device_train_batch_size": protocol.global_batch,  # which batching.py cuts into micro-batches
        "gradient_accumulation_steps": 1,
        "max_steps": steps(
            rows, protocol.epochs, protocol.global_batch, protocol.max_steps
        ),  # the Trainer alone would go on past the epochs
        "learning_rate": protocol.rate,
        "lr_scheduler_type": "constant_with_warmup",
        "warmup_steps": protocol.warmup_steps,
        "save_strategy": "steps",
        "save_steps": protocol.checkpoint_every,
        "eval_strategy": "no",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # it would put the mean of earlier losses in place of a NaN
        "seed": protocol.seed,
        "bf16": rm.precision != "float32",
        "use_cpu": rm.device.type == "cpu",
        "activation_checkpointing": protocol.gradient_checkpointing,
        "remove_unused_columns": False,
        "report_to": "none",
        "disable_tqdm": True,
    }


def fit(
    trainer: Any,
    rm: RewardModel,
    protocol: Protocol,
    run: Run,
    objective: Objective,
    counts: dict[str, int],
) -> Trained:
    """Train to the end, or as far as `run` says, and put the weights that were best by then into the model.

    Raises:
        NonFiniteLossError: the loss or a gradient is no number.
        OutOfMemoryError: a step does not fit the device.
        RunError: resumed with other settings or inputs.
    """
    run.folder.mkdir(parents=True, exist_ok=True)
    settings = _plain(protocol) | {"rows": counts["kept"], "precision": rm.precision, "max_length": rm.max_length}
    settings |= {"processes": distributed.world(), "shares_prompts": rm.shares_prompts, **run.inputs}
    state = distributed.shared(lambda: _begin(run, settings))
    describe(rm)  # so that each checkpoint is a reward model that loads
    watch = Watch(rm, run, objective, state or State(0, 0, False, settings, (), 0, 0, 0.0))
    trainer.add_callback(watch)
    alone = distributed.world() == 1 and rm.device.type == "cuda"
    trainer.fills_memory = protocol.fills_memory and alone and protocol.micro_tokens is None
    trainer.remove_callback(PrinterCallback)
    with memory_reported(way_out(protocol)), watch.counting(), quiet():
        if state is None:
            trainer.train()
        elif not run.reached(state.step, trainer.args.max_steps):
            last = training_state.checkpoint(run.folder, state.step)
            restore(rm, last)  # the Trainer would leave out weights that are saved under other names (experts)
            trainer.train(resume_from_checkpoint=str(last))
    _release(trainer)
    end, count = watch.known, trainer.args.max_steps
    best = objective.best(upto(end.evaluations, run.share, count))
    kept = distributed.shared(training_state.checkpoint(run.folder, best).is_dir)
    model = _best(rm, training_state.checkpoint(run.folder, best if kept else end.best_step))
    cost = (end.tokens, end.pad_tokens, end.seconds)
    return Trained(model, objective.metric, best, end.evaluations, count, *cost, counts, kept)


def _plain(protocol: Protocol) -> dict[str, Any]:
    """The protocol as JSON values, with the rate that is used in place of what it is a product of."""
    settings = asdict(protocol) | {"learning_rate": protocol.rate}
    settings.pop("rate_factor")
    return settings


def way_out(protocol: Protocol) -> str:
    """What to change where memory ran out; a process on its own has come down to a row at a time by then."""
    ways = ["lower dataset.max_length"]
    if distributed.world() > 1:
        ways.insert(0, "lower training.micro_batch")
    if not protocol.gradient_checkpointing:
        ways.append("give training.gradient_checkpointing=true")
    ways.append("choose training=lora" if protocol.lora is None else "choose a smaller base")
    return f"{', '.join(ways[:-1])}, or {ways[-1]}"


def _begin(run: Run, settings: dict[str, Any]) -> State | None:
    """The state to go on from, with the log cut back to it."""
    if not run.resume:
        training_state.discard(run.folder)
    state = training_state.last_whole(run.folder, settings)
    training_state.cut_log(run.folder, state.step if state else 0)
    return state


def _best(rm: RewardModel, folder: Path) -> RewardModel:
    """The model with the weights of its best checkpoint, whole in every process."""
    if distributed.grouped():
        return sharing(reload(folder, precision=rm.precision, device=str(rm.device)), rm.shares_prompts)
    restore(rm, folder)
    return rm


def restore(rm: RewardModel, folder: Path) -> None:
    """Put the weights of a checkpoint into the model."""
    if is_adapter(rm.model):
        set_peft_model_state_dict(rm.model, load_peft_weights(str(folder), device="cpu"))
    else:
        rm.model.load_state_dict(reload(folder, precision=rm.precision).model.state_dict())


def _release(trainer: Any) -> None:
    """Take off the model what the Trainer put around it, and give back the memory of the optimiser."""
    trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    trainer.optimizer = trainer.lr_scheduler = None
    trainer.callback_handler.optimizer = trainer.callback_handler.lr_scheduler = None
    trainer.accelerator.free_memory()
