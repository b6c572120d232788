"""Bradley-Terry: the chosen response's reward above the rejected one's; on TRL's RewardTrainer.

Loss: -log sigmoid(r(chosen) - r(rejected) - margin) + c * (r(chosen) + r(rejected))^2, averaged over pairs; margin and
c only where the protocol says so. The checkpoint with the best validation accuracy wins, the earliest of equals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from datasets import Dataset  # type: ignore[import-untyped]
from torch import Tensor
from torch.nn import functional
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import DataCollatorForPreference, RewardTrainer

from rm_selection.batching import Batched, MicroBatches
from rm_selection.distributed import gathered
from rm_selection.errors import ConfigError
from rm_selection.protocol import Objective, Protocol, Run, Trained
from rm_selection.reward_model import RewardModel
from rm_selection.scoring import accuracy, rewards, score_tokens, tokens
from rm_selection.sharding import Shardable
from rm_selection.shared_prompts import grown, packed
from rm_selection.training import Silent, arguments, fit, trainable

if TYPE_CHECKING:
    from rm_selection.preferences import Pair

METRIC = "validation_accuracy"
Row = dict[str, Any]  # chosen_ids, rejected_ids and, with use_margin, margin: what TRL takes as already tokenized


class _Trainer(Silent, Batched, Shardable, RewardTrainer):
    """TRL's trainer with every pair of a global batch weighed the same.

    TRL means over means of micro-batches, the last of which may be small.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._rewards: list[Tensor] = []  # of the micro-batches of this step

    def begin(self) -> None:
        """No reward of this step is known yet."""
        self._rewards.clear()

    def training_step(self, *args: Any, **settings: Any) -> Tensor:
        """As Batched does, with rewards told as TRL tells them, but of the global batch."""
        loss = super().training_step(*args, **settings)
        mine = torch.cat(self._rewards, dim=1).tolist() if self._rewards else [[], []]
        chosen, rejected = (np.concatenate(side) for side in zip(*gathered(mine), strict=True))
        both = np.concatenate([chosen, rejected])
        told = {"min_reward": both.min(), "mean_reward": both.mean(), "max_reward": both.max()}
        told |= {"accuracy": (chosen > rejected).mean(), "margin": (chosen - rejected).mean()}
        self._metrics["train"].update({name: [float(value)] for name, value in told.items()})
        return loss

    def mean_loss(self, logits: Tensor, batch: dict[str, Any], items: float) -> Tensor:
        """The sum of the pairs' losses over `items`; logits (2 x pairs, 1), the chosen sides first."""
        chosen, rejected = logits.float().view(2, -1)
        if math.isfinite(items):
            self._rewards.append(torch.stack([chosen, rejected]).detach())
        losses = -functional.logsigmoid(chosen - rejected - batch.get("margin", 0.0))
        if centring := self.args.center_rewards_coefficient:  # type: ignore[attr-defined]
            losses = losses + centring * (chosen + rejected).square()
        return losses.sum() / items


def train(rm: RewardModel, pairs: Sequence[Pair], validation: Sequence[Pair], protocol: Protocol, run: Run) -> Trained:
    """Train on pairs; `rm.model` is changed.

    Args:
        rm: with one output.
        pairs: those longer than rm.max_length, or equal as tokens, are left out and counted.
        validation: scored at each checkpoint, all of them.
        protocol: how.
        run: where, and whether to go on with what is there.

    Raises:
        ConfigError: the settings contradict the model or the data.
        TrainingError: the loss is no number, or memory ran out.
    """
    if len(rm.outputs) != 1:
        raise ConfigError(f"bradley_terry trains one output, and this model has {len(rm.outputs)}; load it with one")
    if not validation:
        raise ConfigError(
            "bradley_terry picks its checkpoint by validation accuracy; give pairs for it as dataset.validation"
        )
    rm = trainable(rm, protocol)
    data, counts = rows(rm, pairs, protocol.use_margin)
    objective = Objective(evaluator(rm, validation, protocol.tokens_per_batch), METRIC, more_is_better=True)
    return fit(trainer(rm, data, protocol, run), rm, protocol, run, objective, counts)


def trainer(rm: RewardModel, data: Sequence[Row], protocol: Protocol, run: Run) -> RewardTrainer:
    """TRL's trainer over rows that it neither tokenizes nor filters again."""
    settings = arguments(rm, protocol, run.folder, len(data))
    settings |= {"max_length": None, "center_rewards_coefficient": protocol.center_rewards_coefficient}
    return _Trainer(
        model=rm.model,
        args=RewardConfig(**settings),
        data_collator=_collator(rm, protocol),
        train_dataset=Dataset.from_list(list(data)),
        processing_class=rm.template.tokenizer,
    )


def _collator(rm: RewardModel, protocol: Protocol) -> MicroBatches:
    if rm.shares_prompts:
        return MicroBatches(
            _packed, lambda row: grown(_sides(row)).size, len, protocol.micro_batch, protocol.micro_tokens
        )
    padded = DataCollatorForPreference(pad_token_id=rm.pad)
    return MicroBatches(
        padded, lambda row: max(map(len, _sides(row))), len, protocol.micro_batch, protocol.micro_tokens
    )


def _packed(rows: Sequence[Row]) -> dict[str, Any]:
    """As TRL's collator, the chosen sides first, but each pair's prompt once and nothing padded."""
    batch = packed([_sides(row) for row in rows])
    batch["last"] = batch["last"].view(-1, 2).T.flatten()
    margins = [row["margin"] for row in rows if "margin" in row]
    return batch | ({"margin": torch.tensor(margins, dtype=torch.float)} if margins else {})


def _sides(row: Row) -> tuple[list[int], list[int]]:
    return row["chosen_ids"], row["rejected_ids"]


def rows(rm: RewardModel, pairs: Sequence[Pair], use_margin: bool) -> tuple[list[Row], dict[str, int]]:
    """Pairs as TRL's rows, and how many were kept and left out.

    Raises:
        ConfigError: none is left, or margins are wanted and a pair has none.
    """
    chosen, rejected = (tokens(rm, [pair.conversations[side] for pair in pairs]) for side in (0, 1))
    kept: list[Row] = []
    counts = {"read": len(pairs), "kept": 0, "dropped_over_long": 0, "dropped_equal_tokens": 0}
    for pair, good, bad in zip(pairs, chosen, rejected, strict=True):
        if max(len(good), len(bad)) > rm.max_length:
            counts["dropped_over_long"] += 1
        elif good == bad:
            counts["dropped_equal_tokens"] += 1
        elif use_margin and pair.margin is None:
            raise ConfigError(
                f"objective.margin=true needs a margin in every pair, and {pair.id} has none; give "
                "objective.margin=false"
            )
        else:
            kept.append({"chosen_ids": good, "rejected_ids": bad} | ({"margin": pair.margin} if use_margin else {}))
    if not kept:
        raise ConfigError(
            f"none of {len(pairs)} pairs fits in {rm.max_length} tokens; raise dataset.max_length (of throughput: "
            "max_length), choose a base that reads more, or give other pairs"
        )
    return kept, counts | {"kept": len(kept)}


def evaluator(
    rm: RewardModel, pairs: Sequence[Pair], tokens_per_batch: int
) -> Callable[[RewardModel], dict[str, float]]:
    """What gives a model's validation accuracy, ties counted half and reported, and its mean loss without any margin.

    The pairs are tokenized here, once.
    """
    sides = tokens(rm, [side for pair in pairs for side in pair.conversations])
    return partial(_evaluate, sides=sides, tokens_per_batch=tokens_per_batch)


def _evaluate(rm: RewardModel, sides: Sequence[Sequence[int]], tokens_per_batch: int) -> dict[str, float]:
    found = rewards(rm, score_tokens(rm, sides, tokens_per_batch).values)
    share, ties = accuracy(found[0::2], found[1::2])
    with np.errstate(invalid="ignore"):  # of infinite rewards, which training refuses with the step
        loss = np.logaddexp(0.0, found[1::2] - found[0::2]).mean()  # -log sigmoid(chosen - rejected)
    return {METRIC: share, "validation_ties": ties, "validation_loss": float(loss)}
