"""Functions that verify an answer: what was said and what is right, two texts, to a number; 1 right, 0 wrong.

Plain Python: the settings name them. A new one is a function here and its name in REWARDS.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from rm_selection.errors import RewardFunctionError, SelectionError

Reward = Callable[[str, str], float]
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


def exact_match(said: str, right: str) -> float:
    """1 where both are the same words, in whatever case."""
    return float(said.lower().split() == right.lower().split())


def last_word(said: str, right: str) -> float:
    """1 where the last words are the same, punctuation left out."""
    ends = [re.findall(r"\w+", text.lower())[-1:] for text in (said, right)]
    return float(ends[0] == ends[1] != [])


def last_number(said: str, right: str) -> float:
    """1 where the last number of what was said is that of the right answer, as graders of GSM8K do."""
    ends = [_NUMBER.findall(text)[-1:] for text in (said, right)]
    if not all(ends):
        return 0.0
    first, second = (float(end[0].replace(",", "")) for end in ends)
    return float(first == second)


REWARDS: dict[str, Reward] = {"exact_match": exact_match, "last_word": last_word, "last_number": last_number}


def verified(names: Sequence[str], said: Sequence[str], right: Sequence[str]) -> list[float]:
    """The sum of the named functions for each answer.

    Raises:
        RewardFunctionError: a function raises, or gives what is no number.
    """
    pairs = list(zip(said, right, strict=True))
    return [sum(_value(name, one, other) for name in names) for one, other in pairs]


def for_trl(names: Sequence[str]) -> Callable[..., list[float]]:
    """The sum of the named functions as GRPOTrainer calls it; `answer` is a column of its rows."""

    def reward(completions: list[str], answer: list[str], **_: Any) -> list[float]:
        return verified(names, completions, answer)

    return reward


def _value(name: str, said: str, right: str) -> float:
    try:
        value = float(REWARDS[name](said, right))
    except SelectionError:
        raise
    except Exception as error:
        told = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise RewardFunctionError(f"reward {name} raised {told} on '{said[:60]}'; mend it in rewards.py") from error
    if not math.isfinite(value):
        raise RewardFunctionError(f"reward {name} gave {value} for '{said[:60]}'; it must give a number")
    return value
