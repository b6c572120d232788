"""One preference pair, or one rated answer: the schema, and the checks that a raw row passes or not.

A broken layout raises DataError and ends the reading; bad content raises UnusableRowError and drops that row.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from rm_selection.errors import DataError
from rm_selection.preference_layouts import UnusableRowError, field

_LARGEST = 2**1000  # whole numbers much beyond it are no float
ROLES = ("system", "user", "assistant")
_DROPS = ("missing_prompt", "empty_turn", "invalid_text", "no_answer")
PAIR_DROPS = (*_DROPS, "missing_side", "equal_sides", "tie", "invalid_margin", "negative_margin")
RATING_DROPS = (*_DROPS, "missing_response", "invalid_rating", "out_of_range", "no_rating")


class Message(TypedDict):
    """One turn; role is system, user or assistant."""

    role: str
    content: str


Turns = tuple[Message, ...]


@dataclass(frozen=True)
class Pair:
    """Two answers to one prompt, of which the first was preferred; margin: by how much, 0 or more, where known."""

    prompt: Turns
    chosen: Turns
    rejected: Turns
    subset: str | None
    margin: float | None
    id: str

    @property
    def conversations(self) -> tuple[Turns, ...]:
        """What a reward model reads: the chosen conversation and the rejected one."""
        return self.prompt + self.chosen, self.prompt + self.rejected


@dataclass(frozen=True)
class Rating:
    """One answer with its ratings; None where an attribute was not rated."""

    prompt: Turns
    response: Turns
    ratings: dict[str, float | None]
    id: str

    @property
    def conversations(self) -> tuple[Turns, ...]:
        """What a reward model reads."""
        return (self.prompt + self.response,)


def pair(raw: Mapping[str, Any], known: Counter[str]) -> Pair:
    """A row of the schema as a Pair.

    Args:
        raw: the row.
        known: how often each content was there before; counted up.

    Raises:
        DataError: the layout is broken.
        UnusableRowError: the content is, see `PAIR_DROPS`.
    """
    sides = [field(raw, "chosen"), field(raw, "rejected")]
    if any(side is None or side == [] for side in sides):
        raise UnusableRowError("missing_side")
    chosen, rejected = messages(sides[0], "chosen", "assistant"), messages(sides[1], "rejected", "assistant")
    if raw.get("prompt") is None:
        if any(isinstance(side, str) for side in sides):
            raise DataError("field prompt is missing, and texts as chosen and rejected do not hold it")
        prompt, chosen, rejected = _shared(chosen, rejected)
    else:
        prompt = messages(raw["prompt"], "prompt", "user")
        if all(len(side) > len(prompt) and side[: len(prompt)] == prompt for side in (chosen, rejected)):
            chosen, rejected = chosen[len(prompt) :], rejected[len(prompt) :]
    _check_turns(prompt, chosen, rejected)
    if [m["content"].strip() for m in chosen] == [m["content"].strip() for m in rejected]:
        raise UnusableRowError("equal_sides")
    margin = _number(raw.get("margin"), "margin", "invalid_margin")
    if margin is not None and margin < 0:
        raise UnusableRowError("negative_margin")
    subset = raw.get("subset")
    if subset is not None and not isinstance(subset, str):
        raise DataError(f"subset must be text and is {subset!r}")
    made = _identity(raw, known, [prompt, chosen, rejected])
    return Pair(prompt, chosen, rejected, subset, margin, made)


def rating(raw: Mapping[str, Any], known: Counter[str], attributes: Sequence[str], low: float, high: float) -> Rating:
    """A row of the schema as a Rating; attributes are fields of the row, or of its field `attributes`.

    Args:
        raw: the row.
        known: how often each content was there before; counted up.
        attributes: names to read.
        low: smallest rating allowed.
        high: largest rating allowed.

    Raises:
        DataError: the layout is broken.
        UnusableRowError: the content is, see `RATING_DROPS`.
    """
    answer = field(raw, "response")
    if answer is None or answer == []:
        raise UnusableRowError("missing_response")
    prompt, response = messages(field(raw, "prompt"), "prompt", "user"), messages(answer, "response", "assistant")
    _check_turns(prompt, response)
    cells = _cells(raw)
    ratings = {name: _number(cells.get(name), name, "invalid_rating") for name in attributes}
    given = [value for value in ratings.values() if value is not None]
    if not given:
        raise UnusableRowError("no_rating")
    if not all(low <= value <= high for value in given):
        raise UnusableRowError("out_of_range")
    return Rating(prompt, response, ratings, _identity(raw, known, [prompt, response, ratings]))


def messages(value: Any, name: str, role: str) -> Turns:
    """Messages from a list of them, or one turn of `role` from a text."""
    if value is None:
        return ()
    if isinstance(value, str):
        return ({"role": role, "content": value},)
    if not isinstance(value, (list, tuple)):
        raise DataError(f"{name} must be a text or a list of messages and is of type {type(value).__name__}")
    turns = [_message(item, f"{name}[{place}]") for place, item in enumerate(value)]
    return tuple(t for t in turns if t["role"] != "system" or t["content"].strip())


def _message(item: Any, name: str) -> Message:
    if not isinstance(item, Mapping) or not {"role", "content"} <= set(item):
        raise DataError(f"{name} must be a message with role and content and is {str(item)[:60]!r}")
    role, content = item["role"], item["content"]
    if role not in ROLES:
        raise DataError(f"{name} has role {role!r}; allowed are {', '.join(ROLES)}")
    if content is None:
        content = ""
    if not isinstance(content, str):
        raise DataError(f"{name} has content of type {type(content).__name__}; only text can be scored")
    return {"role": role, "content": content}


def _shared(chosen: Turns, rejected: Turns) -> tuple[Turns, Turns, Turns]:
    """The turns both begin with as the prompt, at least one turn being left on either side."""
    most = min(len(chosen), len(rejected)) - 1
    same = next((i for i in range(most) if chosen[i] != rejected[i]), max(most, 0))
    return chosen[:same], chosen[same:], rejected[same:]


def _check_turns(prompt: Turns, *answers: Turns) -> None:
    if not prompt:
        raise UnusableRowError("missing_prompt")
    for turn in (*prompt, *(turn for answer in answers for turn in answer)):
        if not turn["content"].strip():
            raise UnusableRowError("empty_turn")
        if not _encodable(turn["content"]):
            raise UnusableRowError("invalid_text")
    if any(not answer or answer[-1]["role"] != "assistant" for answer in answers):
        raise UnusableRowError("no_answer")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can hold and no tokenizer takes
        return False
    return True


def alternates(turns: Turns) -> bool:
    """Whether user and assistant take turns, the user first; system turns aside."""
    roles = [turn["role"] for turn in turns if turn["role"] != "system"]
    return roles == [("user", "assistant")[i % 2] for i in range(len(roles))]


def _number(value: Any, name: str, reason: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DataError(f"{name} must be a number or null and is {str(value)[:40]!r}")
    if (isinstance(value, int) and abs(value) > _LARGEST) or not math.isfinite(value):
        raise UnusableRowError(reason)
    return float(value)


def rated(raw: Mapping[str, Any]) -> list[str]:
    """The fields that could be attributes: numbers."""
    return [k for k, v in _cells(raw).items() if isinstance(v, (int, float)) and not isinstance(v, bool)]


def _cells(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    nested = raw.get("attributes")
    return nested if isinstance(nested, Mapping) else raw


def _identity(raw: Mapping[str, Any], known: Counter[str], content: Any) -> str:
    """The row's own id, or a hash of its content, numbered where that content has been there before."""
    hashed = digest(dump(content))[:16]
    known[hashed] += 1
    given = raw.get("id")
    if given is None or given == "":
        return hashed if known[hashed] == 1 else f"{hashed}-{known[hashed]}"
    if isinstance(given, bool) or not isinstance(given, (str, int)):
        raise DataError(f"id must be text or a whole number and is {str(given)[:40]!r}")
    return str(given)


def dump(value: Any) -> str:
    """`value` as JSON that is the same wherever it is made."""
    return json.dumps(value, sort_keys=True)


def digest(text: str) -> str:
    """sha256 as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()
