"""The settings of a ranking under a budget as one types them, for its record and its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass

from rm_selection.budget_settings import BudgetConfig

DECIDE = (  # told whether given or not
    *("study", "budget_gpu_hours", "seed", "counts", "policy", "use", "same_tokenizer"),
    *("candidates", "max_params_b", "min_params_b", "licence", "exclude_family"),
)
NOT_TOLD = ("output", "tracking", "hydra", "dry_run", "top", "second_dataset")  # nothing of them moves a ranking


def told(settings: BudgetConfig, words: Sequence[str]) -> dict[str, object]:
    """Value by name: what decides the ranking, and what else was given.

    Args:
        settings: of the plan.
        words: that the command was given; what they say of data, training and the like is told as it was typed.
    """
    pairs = [word.partition("=") for word in words]
    given = {name: value for name, _, value in pairs if name.lstrip("+~").partition(".")[0] not in NOT_TOLD}
    evaluations = list(settings.evaluation.sets)
    groups: dict[str, object] = {"dataset": settings.dataset.name, "objective": settings.objective.name}
    groups["evaluation"] = evaluations[0] if len(evaluations) == 1 else evaluations
    plain = {f.name: getattr(settings, f.name) for f in fields(settings) if f.name in given or f.name in DECIDE}
    own = {name: value for name, value in plain.items() if not is_dataclass(value)}
    return {name: value for name, value in (groups | given | own).items() if not _open(value)}


def _open(value: object) -> bool:
    return value is None or value is False or value == ()
