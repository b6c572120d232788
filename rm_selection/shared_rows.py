"""From a record to rows of a shared result table, and back.

A run, a measurement that failed, and each figure that was measured is a row; what a run scored lies in rows of its own.
Read back, a row becomes as much of its record as tables are made of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rm_selection.alike import protocol, weights, without_paths
from rm_selection.runs import Record, digest
from rm_selection.shared_columns import CheckpointRow, FeatureRow, RunRow, ScoreRow

OVERALL = "overall"
CHECKPOINT = ("base", "stage", "family", "params_b", "tokens_t", "licence", "made_from")


def trained(record: Record) -> bool:
    """Whether a record is a run's; reward models of others, scored by `evaluate`, start from no base that is known."""
    return "objective" in record["settings"]


def of_run(record: Record) -> dict[str, Any]:
    """The row of a run."""
    settings = protocol(record)
    found = record.get("scores", {})
    (evaluation, one), *several = list(found.items()) or [(None, {})]
    row = _of_checkpoint(record) | {
        "dataset": settings["dataset"]["name"],
        "objective": settings["objective"]["name"],
        "seed": _seed(record),
        "tokens": sum(trial.get("tokens", 0) for trial in record.get("training", {}).get("trials", ())) or None,
        "protocol_id": digest(settings),
        "protocol": _json(settings),
    }
    return row if several else row | {"evaluation": evaluation} | _figures(one, "score", one.get("score"), one.get("n"))


def of_scores(record: Record) -> Iterator[dict[str, Any]]:
    """The rows of what a run scored."""
    for evaluation, found in record.get("scores", {}).items():
        key = {"run_id": record["run_id"], "evaluation": evaluation}
        yield key | {"part": OVERALL, "name": OVERALL} | _figures(found, "score", found.get("score"), found["n"])
        for part, places in (("category", "categories"), ("subset", "subsets")):
            for name, score in found[places].items():
                yield key | {"part": part, "name": name} | _figures(found, f"{places}.{name}", score)


def of_feature(record: Record) -> Iterator[dict[str, Any]]:
    """The rows of a measurement: one a figure."""
    settings = protocol(record)
    row = _of_checkpoint(record) | {
        "feature": settings["feature"]["name"],
        "tokens": record.get("cost", {}).get("tokens"),
        "settings": _json(settings),
    }
    values = record.get("values", {}) if record["status"] == "finished" else {}
    for name, value in values.items():
        yield row | {"name": name, "value": value, "how": without_paths(record["protocols"].get(name, ""))}
    if not values:
        yield row


def run(row: RunRow, scores: Sequence[ScoreRow]) -> Record:
    """The record of a run, as far as tables are made of it."""
    made = _record(row) | {"settings": json.loads(row.protocol or "{}")}
    if row.status == "finished":
        made |= {"provenance": {"seed": row.seed}, "training": {"trials": [{"tokens": row.tokens or 0}]}}
        made["scores"] = {one.evaluation: _scored(one, scores) for one in scores if one.part == OVERALL}
    return made


def feature(rows: Sequence[FeatureRow]) -> Record:
    """The record of a measurement, as far as tables are made of it."""
    first = rows[0]
    known = {row.name: row for row in rows if row.name is not None}
    return _record(first) | {
        "settings": {"feature": {"name": first.feature}},
        "values": {name: row.value for name, row in known.items()},
        "protocols": {name: row.how or "" for name, row in known.items()},
    }


def _of_checkpoint(record: Record) -> dict[str, Any]:
    known: Mapping[str, Any] = record.get("checkpoint", {})
    told = {name: record.get(name) and without_paths(str(record[name])) for name in ("kind", "reason")}
    row: dict[str, Any] = {"run_id": record["run_id"], "status": record["status"]} | told
    row |= {name: known.get(name) for name in CHECKPOINT} if known else _place(record["run_id"])
    if known:
        row |= weights(record) | {"source": known["source"] if known["revision"] else None}
    cost, made = record.get("cost", {}), record.get("provenance", {})
    versions = made.get("versions", {}) | ({"git_commit": made["git_commit"]} if "git_commit" in made else {})
    return row | {"seconds": cost.get("seconds"), "device": cost.get("device"), "versions": _json(versions)}


def _record(row: CheckpointRow) -> Record:
    record: Record = {"run_id": row.run_id, "status": row.status, "reason": row.reason}
    if row.status == "finished":
        known = {name: getattr(row, name) for name in CHECKPOINT}
        known |= {"name": f"{row.base}@{row.stage}", "source": row.source, "revision": row.revision}
        record |= {"checkpoint": known, "inputs": {"checkpoint": row.fingerprint}}
        record["cost"] = {"seconds": row.seconds, "device": row.device}
    return record


def _scored(overall: ScoreRow, scores: Sequence[ScoreRow]) -> dict[str, Any]:
    own = [one for one in scores if one.evaluation == overall.evaluation]
    parts = {part: {one.name: one.score for one in own if one.part == part} for part in ("category", "subset")}
    found: dict[str, Any] = {"n": overall.n, "categories": parts["category"], "subsets": parts["subset"]}
    found["intervals"] = {} if overall.low is None else {"score": [overall.low, overall.high]}
    return found if overall.score is None else found | {"score": overall.score}


def _figures(found: Mapping[str, Any], key: str, score: float | None, n: int | None = None) -> dict[str, Any]:
    low, high = found.get("intervals", {}).get(key, (None, None))
    return {"score": score, "low": low, "high": high, "n": n}


def _place(run_id: str) -> dict[str, str]:
    """Base and stage of a run that ended before its checkpoint was found."""
    base, _, rest = run_id.partition("@")
    return {"base": base, "stage": rest.partition("__")[0]}


def _seed(record: Record) -> int | None:
    if "provenance" in record:
        return int(record["provenance"]["seed"])
    found = re.search(r"__s(\d+)(-\w+)?$", record["run_id"])
    return int(found[1]) if found else None


def _json(value: Any) -> str:
    """The same text for the same values."""
    return json.dumps(value, sort_keys=True)
