"""What the pages of a study's checkpoints are made of: its records as tables, one row a figure.

checkpoint_facts, checkpoint_scores, checkpoint_runs and checkpoint_features, all with the column `model`; the report
writes them beside the study's other tables. Units: scores 0-100, costs in seconds, sizes in billions of parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from rm_selection import runs
from rm_selection.shared_rows import trained

Tables = Mapping[str, pd.DataFrame]
Record = Mapping[str, Any]
Rows = Iterator[dict[str, Any]]
OVERALL = "overall"
LONGER, SHORTER = "always the longer answer", "always the shorter answer"
COLUMNS = {
    "checkpoint_facts": ("model", "fact", "value"),
    "checkpoint_scores": ("model", "objective", "evaluation", "part", "seed", "score", "low", "high"),
    "checkpoint_runs": (
        *("model", "objective", "seed", "status", "reason", "rate", "best_step", "metric", "value"),
        *("tokens", "seconds", "device", "dataset", "run_id"),
    ),
    "checkpoint_features": ("model", "feature", "value", "low", "high", "how", "seconds", "device", "run_id"),
}
NOT_HERE = "shared by others, whose record says how"


def own(folder: Path, tables: Tables) -> dict[str, pd.DataFrame]:
    """The four tables of a study of one's own; what others shared comes from `tables`, without its details.

    Raises:
        RunError: a record is damaged.
    """
    made = [record for record in runs.records(folder) if trained(record)]
    measured = runs.records(folder, "features")
    rows = {
        "checkpoint_facts": _facts([*made, *measured]),
        "checkpoint_scores": (row for record in made if record["status"] == "finished" for row in _scores(record)),
        "checkpoint_runs": map(_run, made),
        "checkpoint_features": (row for record in measured for row in _features(record)),
    }
    found = {name: pd.DataFrame(list(each), columns=list(COLUMNS[name])) for name, each in rows.items()}
    shared = {
        "checkpoint_facts": _shared_facts(tables, set(found["checkpoint_facts"]["model"])),
        "checkpoint_scores": _shared_scores(tables, set(found["checkpoint_runs"]["run_id"])),
        "checkpoint_features": _shared_features(tables, found["checkpoint_features"]),
    }
    return found | {name: _joined(found[name], list(each)) for name, each in shared.items()}


def model_of(record: Record) -> str:
    """The checkpoint of a record; one that failed before it was found is known by the name of its run."""
    known = record.get("checkpoint", {}).get("name")
    return str(known or str(record["run_id"]).partition("__")[0])


def _joined(own_rows: pd.DataFrame, others: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    if not others:
        return own_rows
    return pd.DataFrame([*own_rows.to_dict("records"), *others], columns=list(own_rows.columns))


def _facts(records: Sequence[Record]) -> Rows:
    """Each fact once, as the first record that knows it tells it."""
    told: set[tuple[str, str]] = set()
    for record in records:
        model = model_of(record)
        for fact, value in _told(record).items():
            if value not in (None, "") and (model, fact) not in told:
                told.add((model, fact))
                yield {"model": model, "fact": fact, "value": str(value)}


def _told(record: Record) -> dict[str, Any]:
    known, template = record.get("checkpoint", {}), record.get("template", {})
    return _named(known) | {
        "Made from": known.get("made_from"),
        "Weights from": known.get("source"),
        "Commit": known.get("revision"),
        "Fingerprint of the weights": record.get("inputs", {}).get("checkpoint"),
        "Chat template": "; ".join(
            [*([template["source"]] if "source" in template else []), *template.get("notes", ())]
        ),
    }


def _named(known: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "Base": known.get("base"),
        "Stage": known.get("stage"),
        "Family": known.get("family"),
        "Size": parameters(known.get("params_b")),
        "Pre-training tokens": tokens(known.get("tokens_t")),
        "Licence": known.get("licence"),
    }


def parameters(billions: Any) -> str | None:
    """A size in words, such as `7.62 billion parameters`; None where it is not known."""
    return _amount(billions, 1e9, "parameters")


def tokens(trillions: Any) -> str | None:
    """A number of tokens in words; None where it is not known."""
    return _amount(trillions, 1e12, "tokens")


def _amount(value: Any, unit: float, what: str) -> str | None:
    if value is None or pd.isna(value):
        return None
    count = float(value) * unit
    for size, name in ((1e12, "trillion "), (1e9, "billion "), (1e6, "million "), (1e3, "thousand ")):
        if count >= 0.9995 * size:
            return f"{count / size:.3g} {name}{what}"
    return f"{count:.3g} {what}"


def _scores(record: Record) -> Rows:
    for evaluation, found in record.get("scores", {}).items():
        key = {
            "model": model_of(record),
            "objective": record["settings"]["objective"]["name"],
            "evaluation": evaluation,
            "seed": record["provenance"]["seed"],
        }
        figures = {OVERALL: ("score", found.get("score"))}
        for place in ("categories", "subsets"):
            figures |= {name: (f"{place}.{name}", value) for name, value in found.get(place, {}).items()}
        for part, (name, value) in figures.items():
            low, high = found.get("intervals", {}).get(name, (None, None))
            yield key | {"part": part, "score": value, "low": low, "high": high}
            if part == OVERALL:
                yield from (key | row for row in _baselines(found))


def _baselines(found: Mapping[str, Any]) -> Rows:
    """What the length of the answers alone would score; of the shorter only where each pair counts for itself."""
    longer = found.get("length_baseline")
    if longer is None:
        return
    yield {"part": LONGER, "score": longer}
    if found.get("units") == found.get("n"):
        yield {"part": SHORTER, "score": 100 - longer}


def _run(record: Record) -> dict[str, Any]:
    settings, training, cost = record["settings"], record.get("training", {}), record.get("cost", {})
    return {
        "model": model_of(record),
        "objective": settings["objective"]["name"],
        "status": record["status"],
        "seed": record.get("provenance", {}).get("seed"),
        **{name: training.get(name) for name in ("rate", "best_step", "metric", "value")},
        "tokens": sum(trial.get("tokens", 0) for trial in training.get("trials", ())) or None,
        "seconds": cost.get("seconds"),
        "device": cost.get("device"),
        "dataset": settings["dataset"]["name"],
        "run_id": record["run_id"],
        "reason": record.get("reason"),
    }


def _features(record: Record) -> Rows:
    feature = record["settings"]["feature"]["name"]
    cost = {name: record.get("cost", {}).get(name) for name in ("seconds", "device")}
    about = {"model": model_of(record), "run_id": record["run_id"], **cost}
    if record["status"] != "finished":
        yield about | {
            "feature": feature,
            "how": f"{record['status']}: {record.get('reason', 'no reason is recorded')}",
        }
        return
    for name, value in record["values"].items():
        low, high = _ends(record.get("details", {}), name)
        how = record["protocols"].get(name, "")
        yield about | {"feature": f"{feature}.{name}", "value": value, "low": low, "high": high, "how": how}


def _ends(details: Mapping[str, Any], name: str) -> tuple[float | None, float | None]:
    """The 90% interval of a figure, wherever the kind of feature keeps it."""
    places = [details.get("benchmarks", {}).get(name, {}).get("interval")]
    places += [
        part.get("intervals", {}).get(name) for part in (details, details.get("pairs", {}), details.get("ratings", {}))
    ]
    for found in places:
        if isinstance(found, Mapping) and {"low", "high"} <= found.keys():
            return found["low"], found["high"]
        if isinstance(found, Sequence) and len(found) == 2:
            return found[0], found[1]
    return None, None


def _shared_facts(tables: Tables, known: set[str]) -> Rows:
    for name in ("runs", "features"):
        for row in tables.get(name, pd.DataFrame()).to_dict("records"):
            if row["model"] in known:
                continue
            known.add(row["model"])
            facts = {fact: value for fact, value in _named(row).items() if value is not None and not pd.isna(value)}
            facts["Records"] = NOT_HERE
            yield from ({"model": row["model"], "fact": fact, "value": str(value)} for fact, value in facts.items())


def _shared_scores(tables: Tables, known: set[str]) -> Rows:
    columns = ("model", "objective", "evaluation", "seed", "score", "low", "high")
    for row in tables.get("runs", pd.DataFrame()).to_dict("records"):
        if row["run_id"] not in known:
            yield {name: row[name] for name in columns} | {"part": OVERALL}


def _shared_features(tables: Tables, known: pd.DataFrame) -> Rows:
    here = set(zip(known["model"], known["feature"], strict=True))
    for row in tables.get("features", pd.DataFrame()).to_dict("records"):
        for name, value in row.items():
            if "." in str(name) and not pd.isna(value) and (row["model"], name) not in here:
                yield {"model": row["model"], "feature": name, "value": value, "how": NOT_HERE}
