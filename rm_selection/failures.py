"""Why a run ended, as its record holds it: a class of failure and one sentence."""

from __future__ import annotations

import traceback
from typing import Any

from rm_selection.errors import (
    ConfigError,
    DamagedModelError,
    DataError,
    DivergedError,
    GatedModelError,
    MissingModelError,
    NonFiniteLossError,
    OutOfMemoryError,
    ParityError,
    RewardFunctionError,
    SelectionError,
    UnsafeModelError,
)

# How a failed run is classed in its record, the first that fits.
KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (OutOfMemoryError, "out of memory"),
    (NonFiniteLossError, "non-finite loss"),
    (DivergedError, "diverged"),
    (RewardFunctionError, "reward function"),
    (GatedModelError, "gated"),
    (MissingModelError, "missing repository"),
    (UnsafeModelError, "unsafe model"),
    (DamagedModelError, "damaged model"),
    (ParityError, "scores not reproducible"),
    (ConfigError, "settings"),
    (DataError, "bad data"),
    (KeyboardInterrupt, "interrupted"),
    (SelectionError, "refused"),
)


def failure(error: BaseException) -> dict[str, Any]:
    """What the record of a failed run holds: status, kind, reason and, for a defect of ours, the traceback."""
    kind = next((kind for type_, kind in KINDS if isinstance(error, type_)), "defect")
    kind = getattr(error, "kind", None) or kind
    reason = str(error) or kind
    told = {"status": "failed", "kind": kind, "reason": reason}
    if kind == "defect":
        told["traceback"] = "".join(traceback.format_exception(error))
        told["reason"] = f"{type(error).__name__}: {reason}"
    return told
