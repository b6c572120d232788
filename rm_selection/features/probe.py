"""The probe: what a frozen base already knows of the preference task, from one forward pass and no training.

    measure(checkpoint, settings, place).values    # accuracy, zero_shot ...; of ratings r2_<attribute> ...

Accuracies are from 0 to 100 and ties count half.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from rm_selection.checkpoints import Checkpoint
from rm_selection.errors import ConfigError, MeasurementError
from rm_selection.features import Measured, Place, folds, probe_data, probe_protocols
from rm_selection.features.frozen_base import FrozenBase, check_same_tokens, frozen, reference
from rm_selection.features.frozen_pass import States, names
from rm_selection.features.pair_scores import PairStates, pair_scores
from rm_selection.features.rating_scores import rating_scores
from rm_selection.features.responses import Readable, Response, readable
from rm_selection.measure_settings import ProbeConfig
from rm_selection.preference_rows import Turns


def measure(checkpoint: Checkpoint, settings: ProbeConfig, place: Place) -> Measured:
    """Probe a checkpoint on pairs, on ratings, or on both.

    Raises:
        ConfigError: neither is given.
        DataError: they cannot be read.
        MeasurementError: too few are left, or the base cannot be taken apart.
        ModelError: the base cannot be loaded.
    """
    if settings.pairs is None and settings.ratings is None:
        raise ConfigError("feature.pairs and feature.ratings are both null; give a file or a name of conf/dataset")
    base = frozen(checkpoint, place)
    base = replace(base, max_length=min(base.max_length, settings.max_length))
    parts = []
    if settings.pairs is not None:
        parts.append(_of_pairs(base, settings, settings.pairs))
    if settings.ratings is not None:
        parts.append(_of_ratings(base, settings, settings.ratings))
    chat = base.template
    details: dict[str, Any] = {
        "template": {"source": chat.source, "sha256": chat.sha256, "notes": list(chat.notes)},
        "layers": base.layers,
    }
    values = {name: value for part in parts for name, value in part.values.items()}
    protocols = {name: text for part in parts for name, text in part.protocols.items()}
    details |= {name: value for part in parts for name, value in part.details.items()}
    return Measured(values, protocols, details, sum(part.tokens for part in parts))


def _of_pairs(base: FrozenBase, settings: ProbeConfig, where: str) -> Measured:
    started = time.perf_counter()
    chosen = probe_data.pairs(where, settings.limit, settings.max_length, base.at.seed)
    rows = readable(chosen.rows, base.template, base.max_length)
    prompts = probe_data.prompts(rows.rows)
    splits = folds.nested(prompts, settings.folds, settings.inner_folds, base.at.seed)
    read = time.perf_counter()
    states, tokens = _states(base, rows)
    other = None
    if settings.reference is not None:
        log_p, more = _log_p(base, settings.reference, rows)
        other, tokens = log_p.reshape(-1, 2), tokens + more
    ran = time.perf_counter()
    found = PairStates(
        states.views.reshape(len(prompts), 2, *states.views.shape[1:]),
        names(base.layers),
        states.log_p.reshape(-1, 2),
        states.tokens.reshape(-1, 2),
        np.array([[_characters(row.chosen), _characters(row.rejected)] for row in rows.rows]),
        prompts,
        other,
    )
    values, details = pair_scores(found, splits, base.at.seed)
    details |= _about(chosen, rows) | {"seconds": _seconds(started, read, ran)}
    told = probe_protocols.Told(settings, base.at, chosen, len(rows.rows))
    return Measured(values, {name: told.of(name) for name in values}, {"pairs": details}, tokens)


def _of_ratings(base: FrozenBase, settings: ProbeConfig, where: str) -> Measured:
    started = time.perf_counter()
    chosen, attributes = probe_data.ratings(
        where, settings.attributes, settings.limit, settings.max_length, base.at.seed
    )
    rows = readable(chosen.rows, base.template, base.max_length)
    read = time.perf_counter()
    states, tokens = _states(base, rows)
    ran = time.perf_counter()
    given = [[row.ratings[name] for name in attributes] for row in rows.rows]
    columns = dict(zip(attributes, np.array(given, dtype=float).T, strict=True))  # None becomes NaN
    splits = settings.folds, settings.inner_folds, base.at.seed
    values, details = rating_scores(states.views, names(base.layers), columns, probe_data.prompts(rows.rows), splits)
    details |= _about(chosen, rows) | {"seconds": _seconds(started, read, ran)}
    told = probe_protocols.Told(settings, base.at, chosen, len(rows.rows))
    return Measured(values, {name: told.of(name) for name in values}, {"ratings": details}, tokens)


def _states(base: FrozenBase, rows: Readable[Any]) -> tuple[States, int]:
    states, tokens = base.states(_flat(rows))
    if not (np.isfinite(states.views).all() and np.isfinite(states.log_p).all()):
        raise MeasurementError("hidden states of this base are not finite; give hardware.precision=float32")
    return states, tokens


def _log_p(base: FrozenBase, name: str, rows: Readable[Any]) -> tuple[Any, int]:
    """log p of the same tokens under the reference, in nats."""
    other, responses = reference(base, name), _flat(rows)
    check_same_tokens(base, other, responses)
    states, tokens = other.states(responses, pooled=False)
    return states.log_p, tokens


def _flat(rows: Readable[Any]) -> list[Response]:
    return [one for responses in rows.responses for one in responses]


def _characters(turns: Turns) -> int:
    return sum(len(turn["content"]) for turn in turns)


def _about(chosen: probe_data.Chosen[Any], rows: Readable[Any]) -> dict[str, Any]:
    known = {"data": chosen.name, "sha256": chosen.sha256, "counts": chosen.counts | {"readable": rows.counts}}
    return known if chosen.revision is None else known | {"revision": chosen.revision}


def _seconds(started: float, read: float, ran: float) -> dict[str, float]:
    """Wall seconds of reading and tokenizing, of loading and running the base, and of the fits."""
    done = time.perf_counter()
    return {"read": round(read - started, 3), "forward": round(ran - read, 3), "fits": round(done - ran, 3)}
