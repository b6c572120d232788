"""A reward model: load it from a checkpoint, save it, load it back.

    rm = load(checkpoint, ("reward",))
    scoring.score(rm, conversations).values    # (n, 1) float32
    save(rm, Path("model"))                    # loads in plain transformers
    rm = reload("model")

Weights are read from safetensors alone and no code of a repository is run.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from peft import set_peft_model_state_dict
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase
from transformers.utils.hub import cached_file

from rm_selection.adapters import adapted, saved_adapter
from rm_selection.checkpoint_folder import check_folder
from rm_selection.errors import ConfigError, DamagedModelError, ModelError
from rm_selection.pooling import reward_class
from rm_selection.refusals import quiet, refused
from rm_selection.shared_prompts import NAME
from rm_selection.templates import Template, prepare_tokenizer, template

if TYPE_CHECKING:
    from rm_selection.checkpoints import Checkpoint

Precision = Literal["float32", "bf16", "bf16_weights"]
PRECISIONS: tuple[Precision, ...] = ("float32", "bf16", "bf16_weights")
KEY = "rm_selection"  # in config.json; plain transformers carries it along without reading it


@dataclass(frozen=True)
class RewardModel:
    """A model with its template.

    max_length: tokens of the longest conversation it reads.
    precision: float32; bf16 (float32 weights, bf16 arithmetic); bf16_weights. The head is float32 in all three.
    outputs: what each output stands for: ("reward",), or the attributes of a regression.
    weights: the merge vector that makes one reward of several outputs.
    shares_prompts: whether a prompt runs once for all its responses; see `sharing`.
    """

    model: Any  # PreTrainedModel or PeftModel; neither is typed
    template: Template
    max_length: int
    precision: Precision = "float32"
    outputs: tuple[str, ...] = ("reward",)
    weights: tuple[float, ...] | None = None
    shares_prompts: bool = False

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""
        device: torch.device = next(iter(self.model.parameters())).device
        return device

    @property
    def pad(self) -> int:
        """Id of the pad token."""
        return int(self.template.tokenizer.pad_token_id)

    @property
    def commit(self) -> str | None:
        """The Hub commit its body was loaded from; None for a folder."""
        return getattr(self.model.config, "_commit_hash", None)


def load(
    checkpoint: Checkpoint,
    outputs: Sequence[str] = ("reward",),
    precision: Precision = "float32",
    device: str = "cpu",
    fallback: str = "plain",
    max_length: int | None = 2048,
    seed: int = 0,
) -> RewardModel:
    """A reward model to be trained: the body of the checkpoint under a new head.

    Args:
        checkpoint: where the body is.
        outputs: a name for each output of the head.
        precision: see RewardModel; bf16_weights suits LoRA, where the body is not trained.
        device: cpu, cuda or cuda:N.
        fallback: the chat template for a tokenizer without one.
        max_length: tokens; lowered to the body's own limit, which None stands for.
        seed: of the head's initial weights.

    Raises:
        ModelError: it cannot be loaded; the subclasses say why.
        ConfigError: an unknown precision.
    """
    source, revision = checkpoint.source, checkpoint.revision
    if revision is None:
        source = str(check_folder(source).resolve())  # whole, for an adapter will name its base by it
    names = dict(enumerate(outputs))
    with refused(source), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = AutoConfig.from_pretrained(source, revision=revision, id2label=names)
        config.label2id = {name: index for index, name in names.items()}
        model, _ = _body(source, revision, config, precision)
        tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
    chat = _template(model, tokenizer, fallback)
    most = min(max_length or _limit(config), _limit(config))
    return RewardModel(model.to(device), chat, most, precision, tuple(outputs))


def sharing(rm: RewardModel, shares: bool = True) -> RewardModel:
    """The model set to run a prompt once for all its responses, or each response on its own; `rm.model` is changed."""
    if shares != rm.shares_prompts:
        rm.model.set_attn_implementation(NAME if shares else "sdpa")
    return replace(rm, shares_prompts=shares)


def save(rm: RewardModel, folder: Path) -> None:
    """Write safetensors, tokenizer and config; the folder appears whole or not at all, in place of an older one.

    A model trained with LoRA is saved as adapter and head: merged into bf16 weights its changes would round away.
    """
    unfinished = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    describe(rm)
    with quiet():
        rm.model.save_pretrained(unfinished)
        rm.model.config.save_pretrained(unfinished)
        rm.template.tokenizer.save_pretrained(unfinished)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.replace(folder)


def describe(rm: RewardModel) -> None:
    """Put what plain transformers does not know into the model's config, to be saved with it."""
    known = {"template": rm.template.source, "template_sha256": rm.template.sha256, "max_length": rm.max_length}
    known |= {"precision": rm.precision, "outputs": list(rm.outputs), "weights": rm.weights and list(rm.weights)}
    setattr(rm.model.config, KEY, known)
    rm.model.config.get_text_config().pad_token_id = rm.pad  # where plain transformers looks for the last token


def reload(
    source: str | Path,
    revision: str | None = None,
    precision: Precision | None = None,
    device: str = "cpu",
    fallback: str = "plain",
    max_length: int | None = None,
) -> RewardModel:
    """A trained reward model: ours, anybody's sequence classification, or a LoRA adapter of either on its base.

    Args:
        source: a folder or a repository.
        revision: of the repository.
        precision: None for the one it was saved with, float32 where none is noted.
        device: cpu, cuda or cuda:N.
        fallback: the chat template for a tokenizer without one.
        max_length: tokens; None for the one it was saved with, the model's own limit where none is noted.

    Raises:
        ModelError: it cannot be loaded or has no head; the subclasses say why.
    """
    source = str(source)
    with refused(source):
        adapter = saved_adapter(source, revision)
        if adapter is None and Path(source).is_dir():
            check_folder(source)
        config = adapter.config if adapter else AutoConfig.from_pretrained(source, revision=revision)
        known = _known(source, revision)
        precision = precision or known.get("precision", "float32")
        where = (adapter.base, adapter.revision) if adapter else (source, revision)
        model, headless = _body(*where, config, precision)
        tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
        if headless and not (adapter and adapter.head is not None):
            raise ModelError(f"{source} has no reward head; train one on it, or name a reward model")
        chat = _template(model, tokenizer, fallback)
        if known.get("template_sha256", chat.sha256) != chat.sha256:
            raise DamagedModelError(f"{source} renders chats otherwise than when it was saved; restore its tokenizer")
        if adapter:
            model = adapted(model, adapter.peft)
            set_peft_model_state_dict(model, adapter.weights)
    outputs = tuple(known.get("outputs") or _names(config))
    limit = max_length or known.get("max_length") or _limit(config)
    weights = tuple(known["weights"]) if known.get("weights") else None
    return RewardModel(model.to(device), chat, limit, precision, outputs, weights)


def _known(source: str, revision: str | None) -> dict[str, Any]:
    """What describe() noted; empty for other people's models, whose adapters may even lack a config."""
    path = cached_file(source, "config.json", revision=revision, _raise_exceptions_for_missing_entries=False)
    config = PreTrainedConfig.from_json_file(path) if path else None
    return getattr(config, KEY, None) or {}


def _body(source: str, revision: str | None, config: PreTrainedConfig, precision: Precision) -> tuple[Any, bool]:
    """The model, and whether its head is new because the checkpoint has none."""
    if precision not in PRECISIONS:
        raise ConfigError(f"precision is {precision!r}; it is one of {', '.join(PRECISIONS)}")
    dtype = torch.bfloat16 if precision == "bf16_weights" else torch.float32
    kind: Any = type(config)
    with refused(source):
        model, report = reward_class(kind).from_pretrained(
            source, revision=revision, config=config, dtype=dtype, use_safetensors=True, output_loading_info=True
        )
    if not hasattr(model, "score"):
        raise ModelError(f"{source} has a head that is not one linear map named score; choose a decoder")
    head = {name for name in report["missing_keys"] if name.startswith("score.")}
    # transformers would fill what is missing with random numbers and go on.
    if lost := sorted(set(report["missing_keys"]) - head):
        raise DamagedModelError(f"{source} lacks {len(lost)} of its weights, {lost[0]} first; download it again")
    model.score.float()
    return model, bool(head)


def _template(model: Any, tokenizer: PreTrainedTokenizerBase, fallback: str) -> Template:
    """The template, with a pad token that never occurs and a row for it in the embeddings."""
    pad = prepare_tokenizer(tokenizer)
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.config.get_text_config().pad_token_id = pad
    return template(tokenizer, fallback)


def _limit(config: PreTrainedConfig) -> int:
    return int(getattr(config.get_text_config(), "max_position_embeddings", None) or 4096)


def _names(config: PreTrainedConfig) -> list[str]:
    names: dict[int, str] = config.id2label  # type: ignore[assignment]  # keys are made integers on loading
    return ["reward"] if len(names) == 1 else [names[index] for index in range(len(names))]
