"""TRL's own trainers over rows that are tokens already, so that prompt and answer part where our templates part them.

Losses and rewards are TRL's: SFTTrainer's cross-entropy of the answer's tokens, DPOTrainer's sigmoid loss
-log sigmoid(beta * (margin - margin of the parent)), GRPOTrainer's policy gradient with advantages within a group.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, disable_progress_bars  # type: ignore[import-untyped]
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from rm_selection.errors import ConfigError
from rm_selection.features.language_model import LanguageModel
from rm_selection.features.responses import Readable, Response
from rm_selection.posttrain_settings import DpoConfig, RecipeConfig, RlvrConfig, SftConfig
from rm_selection.refusals import quiet
from rm_selection.stages.rewards import for_trl
from rm_selection.training import Silent


class Sft(Silent, SFTTrainer):
    """TRL's trainer; rows with `input_ids` it takes as they are."""


class Dpo(Silent, DPOTrainer):
    """TRL's trainer over rows that are tokens already."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any, **__: Any) -> Dataset:
        return dataset


class Grpo(Silent, GRPOTrainer):
    """TRL's trainer whose prompts are names of rows of tokens."""

    def __init__(self, prompts: dict[str, list[int]], **settings: Any) -> None:
        self.prompts = prompts
        super().__init__(**settings)

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return [self.prompts[name] for name in prompts], None, {}


def trainer(lm: LanguageModel, recipe: RecipeConfig, rows: Readable[Any], folder: Path, seed: int, bf16: bool) -> Any:
    """The trainer of a recipe over its rows.

    Args:
        lm: the parent; it is changed.
        recipe: of sft, dpo or rlvr; its class decides.
        rows: to learn, as tokens.
        folder: for checkpoints.
        seed: of order and sampling.
        bf16: arithmetic in bfloat16.

    Raises:
        ConfigError: fewer rows than one step takes, or the Trainer would use more devices than one.
    """
    if lm.device.type == "cuda" and (count := torch.cuda.device_count()) > 1:
        # The Trainer would take them all, each with a micro batch: another global batch than the one asked for.
        raise ConfigError(f"{count} CUDA devices are visible and one is used; choose it: CUDA_VISIBLE_DEVICES=0")
    settings = arguments(recipe, len(rows.rows), folder, seed) | {"bf16": bf16, "use_cpu": lm.device.type == "cpu"}
    common = {"model": lm.model, "processing_class": lm.tokenizer}
    disable_progress_bars()
    with quiet():  # the parent is loaded once more, to be compared with
        return _trainer(recipe, common, settings, rows)


def _trainer(recipe: RecipeConfig, common: dict[str, Any], settings: dict[str, Any], rows: Readable[Any]) -> Any:
    if isinstance(recipe, SftConfig):
        args = SFTConfig(**settings, max_length=None, completion_only_loss=True)
        return Sft(**common, args=args, train_dataset=_answers(rows.responses))
    if isinstance(recipe, DpoConfig):
        dpo = DPOConfig(**settings, max_length=None, beta=recipe.beta)
        return Dpo(**common, args=dpo, train_dataset=_sides(rows.responses))
    if not isinstance(recipe, RlvrConfig):
        raise ConfigError(f"there is no trainer for {type(recipe).__name__}; give a recipe of sft, dpo or rlvr")
    questions = {row.id: list(one.ids[: one.start]) for row, (one,) in zip(rows.rows, rows.responses, strict=True)}
    data = [{"prompt": row.id, "answer": row.response[-1]["content"]} for row in rows.rows]
    grpo = GRPOConfig(**settings, **_sampling(recipe))
    rewards = for_trl(recipe.rewards)
    return Grpo(questions, **common, args=grpo, reward_funcs=[rewards], train_dataset=Dataset.from_list(data))


def arguments(recipe: RecipeConfig, rows: int, folder: Path, seed: int) -> dict[str, Any]:
    """Settings of the Trainer that the three share.

    Raises:
        ConfigError: fewer rows than one step takes.
    """
    at_once = recipe.global_batch // (recipe.generations if isinstance(recipe, RlvrConfig) else 1)
    if rows < at_once:
        raise ConfigError(
            f"{rows} rows are fewer than the {at_once} of one step; lower recipe.{recipe.stage}.global_batch or give "
            "more rows"
        )
    steps = max(1, math.ceil(recipe.epochs * (rows // at_once)))
    steps = min(steps, recipe.max_steps or steps)
    return {
        "output_dir": str(folder),
        "per_device_train_batch_size": recipe.micro_batch,
        "gradient_accumulation_steps": recipe.global_batch // recipe.micro_batch,
        "max_steps": steps,
        "learning_rate": recipe.rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": math.ceil(recipe.warmup * steps),
        "save_strategy": "steps",
        "save_steps": recipe.checkpoint_steps,
        "eval_strategy": "no",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # it would put the mean of earlier losses in place of a NaN
        "activation_checkpointing": False,
        "remove_unused_columns": False,
        "dataloader_drop_last": True,
        "seed": seed,
        "report_to": "none",
        "disable_tqdm": True,
    }


def _sampling(recipe: RlvrConfig) -> dict[str, Any]:
    return {
        "num_generations": recipe.generations,
        "max_completion_length": recipe.max_answer,
        "temperature": recipe.temperature,
        "beta": recipe.beta,
    }


def _answers(responses: Sequence[tuple[Response, ...]]) -> Dataset:
    """What SFTTrainer takes as tokenized: input_ids, and completion_mask, 1 where the answer is."""
    masked = [(one, [int(place >= one.start) for place in range(len(one.ids))]) for (one,) in responses]
    return Dataset.from_list([{"input_ids": list(one.ids), "completion_mask": mask} for one, mask in masked])


def _sides(responses: Sequence[tuple[Response, ...]]) -> Dataset:
    """What DPOTrainer's collator takes: prompt_ids, chosen_ids, rejected_ids."""
    made = []
    for good, bad in responses:
        start = min(good.start, bad.start)
        ids = {"prompt_ids": good.ids[:start], "chosen_ids": good.ids[start:], "rejected_ids": bad.ids[start:]}
        made.append({name: list(part) for name, part in ids.items()})
    return Dataset.from_list(made)
