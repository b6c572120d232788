"""One stage at work: from its parent to a saved checkpoint, measured on held-out rows before and after."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from trl.trainer.utils import disable_dropout_in_model

from rm_selection.checkpoints import Checkpoint
from rm_selection.errors import ConfigError
from rm_selection.features import language_model
from rm_selection.features.language_model import LanguageModel
from rm_selection.features.responses import Readable, readable
from rm_selection.hardware import device, device_name, precision_of
from rm_selection.posttrain_settings import PosttrainConfig, RecipeConfig, RlvrConfig
from rm_selection.refusals import quiet
from rm_selection.stages.data import rows
from rm_selection.stages.fitting import Fitted, Tell, fit
from rm_selection.stages.progress import Array, figures, improvement
from rm_selection.stages.trainers import trainer
from rm_selection.studies import replacing
from rm_selection.templates import Template, prepare_tokenizer, template


def make(
    settings: PosttrainConfig,
    stage: str,
    parent: Checkpoint,
    folder: Path,
    tell: Tell,
) -> dict[str, Any]:
    """Train a stage from its parent into <folder>/model; returns data, template, training, improvement and cost.

    Args:
        settings: recipes and hardware.
        stage: sft, dpo or rlvr.
        parent: only read.
        folder: of the stage.
        tell: hears every line of the log.

    Raises:
        SelectionError: what the data, the model, a reward function or the loss is at fault for.
    """
    began, recipe = time.time(), getattr(settings.recipe, stage)
    data, where = rows(stage, recipe), device(settings.hardware)  # before the weights, which take minutes to load
    learnt, held, chat, before, fitted = _train(settings, stage, parent, (data.learnt, data.held_out), folder, tell)
    after, _ = loaded(replace(parent, source=str(folder / "model"), revision=None), where)  # as others will find it
    found = improvement(stage, before, figures(stage, after, held, recipe, settings.hardware.tokens_per_batch))
    return {
        "data": data.about | {"learnt": learnt.counts, "held_out": held.counts},
        "template": {"source": chat.source, "sha256": chat.sha256, "notes": list(chat.notes)},
        "training": asdict(fitted) | {"tokens": _tokens(learnt)},
        "improvement": asdict(found),
        "cost": {"seconds": round(time.time() - began, 3), "device": device_name(where)},
    }


def _train(
    settings: PosttrainConfig,
    stage: str,
    parent: Checkpoint,
    parts: tuple[Sequence[Any], Sequence[Any]],
    folder: Path,
    tell: Tell,
) -> tuple[Readable[Any], Readable[Any], Template, Array, Fitted]:
    """Measure the parent, train it and save it; the weights in memory go with this call."""
    recipe: RecipeConfig = getattr(settings.recipe, stage)
    where = device(settings.hardware)
    precision = precision_of(settings.hardware, where)
    if precision == "bf16_weights":  # a step of 1e-6 on a weight of 0.02 is a hundredth of what bf16 can tell apart
        raise ConfigError(
            "hardware.precision=bf16_weights rounds away the training of all weights; give hardware.precision=bf16 or "
            "float32"
        )
    lm, chat = loaded(parent, where)
    room = recipe.max_answer if isinstance(recipe, RlvrConfig) else 0
    longest = min(recipe.max_length, lm.max_length - room)
    learnt, held = (readable(part, chat, longest) for part in parts)
    before = figures(stage, lm, held, recipe, settings.hardware.tokens_per_batch)
    disable_dropout_in_model(lm.model)
    made = trainer(lm, recipe, learnt, folder / "training", settings.seed, bf16=precision != "float32")
    begun = asdict(recipe) | {"seed": settings.seed, "rows": len(learnt.rows), "precision": precision}
    fitted = fit(made, begun, folder / "training", settings.resume, tell, f"recipe.{stage}")
    save(lm, folder / "model")
    return learnt, held, chat, before, fitted


def loaded(checkpoint: Checkpoint, where: str) -> tuple[LanguageModel, Template]:
    """A checkpoint with a pad token, its chat template, and the token that ends an answer known to its generation."""
    lm = language_model.load(checkpoint, where)
    pad = prepare_tokenizer(lm.tokenizer)
    if len(lm.tokenizer) > lm.model.get_input_embeddings().num_embeddings:
        lm.model.resize_token_embeddings(len(lm.tokenizer), mean_resizing=False)
    lm.model.config.get_text_config().pad_token_id = pad
    chat = template(lm.tokenizer)
    lm.model.generation_config.pad_token_id = pad
    lm.model.generation_config.eos_token_id = ends(chat)
    return lm, chat


def ends(chat: Template) -> list[int]:
    """The tokens at which an answer ends: eos, and the special token that the template writes behind a turn."""
    tokenizer = chat.tokenizer
    written = chat.ids([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])
    special = [token for token in written if token in tokenizer.all_special_ids]
    turn_end = special[-1:] if len(special) > 1 else []  # one alone is BOS
    return list(dict.fromkeys([*turn_end, *([tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else [])]))


def save(lm: LanguageModel, folder: Path) -> None:
    """Write weights, config and tokenizer; the folder appears whole or not at all."""
    with replacing(folder) as fresh, quiet():
        lm.model.save_pretrained(fresh)
        lm.tokenizer.save_pretrained(fresh)


def _tokens(rows: Readable[Any]) -> int:
    """Tokens of the rows to learn, once."""
    return sum(len(one.ids) for row in rows.responses for one in row)
