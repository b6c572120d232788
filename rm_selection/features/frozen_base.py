"""A base that is only read: its tokenizer and template at once, its weights when a pass has to be run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from transformers import AutoConfig, AutoTokenizer

from rm_selection.checkpoint_folder import check_folder, fingerprint
from rm_selection.checkpoints import STAGES, Checkpoint, commit, load_base, resolve
from rm_selection.errors import ConfigError, MeasurementError
from rm_selection.features import Place
from rm_selection.features.frozen_pass import States, passed
from rm_selection.features.language_model import LanguageModel, load
from rm_selection.features.responses import Response
from rm_selection.features.state_cache import gathered, place
from rm_selection.refusals import refused
from rm_selection.templates import Template, prepare_tokenizer, template

FALLBACK = "plain"  # the chat template of a tokenizer without one, as in the training of reward models


@dataclass(frozen=True)
class FrozenBase:
    """A checkpoint, how it writes conversations, and what a pass over them finds.

    layers: decoder layers. max_length: tokens it can read.
    """

    checkpoint: Checkpoint
    at: Place
    template: Template
    layers: int
    max_length: int

    @cached_property
    def weights(self) -> str:
        """What tells these weights from all others."""
        source, revision = self.checkpoint.source, self.checkpoint.revision
        return fingerprint(Path(source)) if revision is None else f"{source}@{revision}"

    @cached_property
    def _model(self) -> LanguageModel:
        return load(self.checkpoint, self.at.device, self.at.precision)

    def states(self, responses: Sequence[Response], pooled: bool = True) -> tuple[States, int]:
        """States of responses in their order, each distinct one run once and kept on disk; and the tokens run now.

        Args:
            responses: of templated conversations.
            pooled: whether hidden states are wanted; log p always is.

        Raises:
            ModelError: the base cannot be loaded.
            MeasurementError: its layers or its head cannot be told apart.
        """
        # sorted by tokens too, so that batches do not depend on the order given
        distinct = sorted(set(responses), key=lambda one: (-len(one.ids), one))
        weights = self.weights if pooled else f"{self.weights} log p"
        path = place(self.at.folder.parent, weights, distinct, self.at.precision)

        def run(rest: Sequence[Response]) -> Iterator[States]:
            return passed(self._model, rest, self.at.precision, self.at.tokens_per_batch, pooled)

        found, fresh = gathered(path, distinct, run)
        index = {one: number for number, one in enumerate(distinct)}
        tokens = sum(len(one.ids) for one in distinct[len(distinct) - fresh :])
        return found.taken([index[one] for one in responses]), tokens


def frozen(checkpoint: Checkpoint, at: Place) -> FrozenBase:
    """The base of a checkpoint; its weights are not loaded yet.

    Raises:
        ModelError: its config, tokenizer or template cannot be used.
    """
    source, revision = checkpoint.source, checkpoint.revision
    if revision is None:
        source = str(check_folder(source).resolve())
    with refused(source):
        config = AutoConfig.from_pretrained(source, revision=revision).get_text_config()
        tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
    prepare_tokenizer(tokenizer)
    limit = int(getattr(config, "max_position_embeddings", None) or 4096)
    return FrozenBase(checkpoint, at, template(tokenizer, FALLBACK), int(config.num_hidden_layers), limit)


def reference(of: FrozenBase, name: str) -> FrozenBase:
    """The model that an implicit reward is measured against: another stage of the same base, or a folder.

    Raises:
        ConfigError: a stage of a base that is a folder itself.
        ModelError: there is no such stage, or it cannot be used.
    """
    if name not in STAGES:
        folder = replace(of.checkpoint, stage=Path(name).name, source=str(check_folder(name)), revision=None)
        return frozen(folder, of.at)
    if of.checkpoint.revision is None:
        raise ConfigError(
            f"feature.reference={name} is a stage, and this base is a folder; give feature.reference=FOLDER"
        )
    found = resolve(load_base(of.checkpoint.base), name)
    return frozen(replace(found, revision=commit(found)), of.at)


def check_same_tokens(of: FrozenBase, other: FrozenBase, responses: Sequence[Response]) -> None:
    """Make sure that tokens of the one mean the same to the other.

    Raises:
        MeasurementError: they do not.
    """
    used = sorted({token for one in responses for token in one.ids})
    mine, theirs = (base.template.tokenizer.convert_ids_to_tokens(used) for base in (of, other))
    for token, (a, b) in zip(used, zip(mine, theirs, strict=True), strict=True):
        if a != b:
            raise MeasurementError(
                f"feature.reference has another vocabulary: token {token} is {a!r} to the base and {b!r} to it; "
                "give a stage of the same base"
            )
