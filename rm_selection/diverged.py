"""Learning rates at which the loss became no number, each noted in the folder of its training.

A search that goes on after a kill does not train them again, and compares them as one never killed did: by the
evaluations that there were before, and below all others from there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rm_selection import training_state
from rm_selection.errors import NonFiniteLossError

NOTE = "diverged.json"
COSTS = ("tokens", "pad_tokens", "seconds")  # up to the last whole checkpoint


def note(folder: Path, error: NonFiniteLossError, metric: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a training that ended so.

    Args:
        folder: of the training.
        error: that it ended with.
        metric: by which rates are compared.
        given: what it was trained with and from; JSON values.
    """
    state = training_state.peek(folder)
    told: dict[str, Any] = {name: getattr(state, name) for name in COSTS} if state else {}
    told |= {"diverged": str(error), "metric": metric, "evaluations": list(state.evaluations) if state else []}
    text = json.dumps({"steps": error.steps, "told": told, "given": dict(given)})
    partial = folder / f".{NOTE}"
    partial.write_text(text, encoding="utf-8")
    partial.replace(folder / NOTE)
    return {"steps": error.steps, "told": told}


def noted(folder: Path, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """What `note` gave, if the training was the same; None: it is not known to diverge."""
    try:
        known: dict[str, Any] = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return known if known.pop("given") == given else None


def forget(folder: Path) -> None:
    """Let it be trained again."""
    (folder / NOTE).unlink(missing_ok=True)
