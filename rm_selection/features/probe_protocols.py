"""How each figure of the probe was measured, as the sentence by which figures are told comparable."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rm_selection.features import Place
from rm_selection.features.frozen_base import FALLBACK
from rm_selection.features.pair_scores import VIEW
from rm_selection.features.probe_data import Chosen
from rm_selection.measure_settings import ProbeConfig

MANY = 0.05  # share of rows that a base cannot read, beyond which its figures stand apart
HOW = {
    "accuracy": "pairs a ridge Bradley-Terry probe of hidden states or likelihoods gets right out of fold, 0-100",
    "zero_shot": "pairs whose chosen response has the greater log p, 0-100",
    "zero_shot_per_token": "pairs whose chosen response has the greater mean log p a token, 0-100",
    "implicit_reward": "pairs whose chosen response gained more log p over the reference {reference}, 0-100",
    "logme": f"LogME (You et al. 2021) of the doubled design at {VIEW}, nats a row",
    "h_score": f"H-score (Bao et al. 2019) of the doubled design at {VIEW}, 0-1",
}
OF_ATTRIBUTES = {
    "r2": "share of the variance of ratings that ridge on hidden states predicts out of fold",
    "spearman": "rank correlation of ratings with what ridge on hidden states predicts out of fold",
    "accuracy": "answers to one prompt that ridge on hidden states orders as rated, out of fold, 0-100",
}
FITTED = ("accuracy", "r2_", "spearman_")  # whose figures depend on folds


@dataclass(frozen=True)
class Told:
    """What the sentences of one measurement share. kept: rows that the base could read."""

    settings: ProbeConfig
    at: Place
    chosen: Chosen[Any]
    kept: int

    def of(self, name: str) -> str:
        """How the value of this name was measured."""
        how = HOW.get(name) or OF_ATTRIBUTES[name.partition("_")[0]]
        parts = [how.format(reference=Path(self.settings.reference or "").name)]
        if name.startswith(FITTED):
            parts.append(
                f"{self.settings.folds} folds by prompt, view and penalty of {self.settings.inner_folds} inner"
            )
        parts.append(f"{self.chosen}, seed {self.at.seed}")
        if self.kept < (1 - MANY) * len(self.chosen.rows):
            parts.append(f"{self.kept} of them readable")
        parts.append(
            f"up to {self.settings.max_length} tokens, own chat template or else {FALLBACK}, {self.at.precision}"
        )
        return "; ".join(parts)
