"""One record a run: written whole, compared before a run is skipped, and locked while somebody works on it.

outputs/<study>/runs/<run_id>/
    run.json         status finished | partial | failed | skipped, settings, inputs, scores, counts, cost, provenance
    scores.parquet   one row a scored pair
    log.jsonl        the training log
    model/           the reward model

A folder without run.json never happened. A missing number is absent, never 0.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rm_selection.errors import RunError, StudyError
from rm_selection.studies import write_text

Record = dict[str, Any]
STATUSES = ("finished", "partial", "failed", "skipped")
LOCK = ".lock"
_DECODER = json.JSONDecoder()
PACKAGES = ("torch", "transformers", "trl", "accelerate", "peft", "datasets", "numpy")


def run_id(checkpoint: str, dataset: str, objective: str, seed: int, settings: Mapping[str, Any]) -> str:
    """`<base>@<stage>__<dataset>__<objective>__s<seed>-<hash>`; the hash is of all other settings.

    Args:
        checkpoint: `<base>@<stage>`.
        dataset: name of the training data.
        objective: bradley_terry or regression.
        seed: of the run.
        settings: everything else that could change the scores; JSON values.
    """
    return f"{checkpoint}__{dataset}__{objective}__s{seed}-{digest(settings)}"


def digest(settings: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits that stand for JSON values in a run's name."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]


def read_record(folder: Path) -> Record | None:
    """The record of a run, or None where it never happened.

    Raises:
        RunError: run.json is not a record.
    """
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise RunError(f"{folder / 'run.json'} is not a record ({error}); remove the folder to run again") from error
    if not isinstance(record, dict) or record.get("status") not in STATUSES:
        raise RunError(f"{folder / 'run.json'} has no status; remove the folder to run again")
    return record


def read_parts(folder: Path, names: Sequence[str]) -> Record | None:
    """Some parts of a record, found without reading the others: a thousand long records in a tenth of a second.

    Raises:
        RunError: run.json is not a record.
    """
    try:
        text = (folder / "run.json").read_text(encoding="utf-8")
        return _parts(text, names)
    except FileNotFoundError:
        return None
    except ValueError:  # damaged, or written by other hands in another layout
        whole = read_record(folder)
        return whole and {name: whole[name] for name in names if name in whole}


def _parts(text: str, names: Sequence[str]) -> Record:
    """Those parts of a text of write_record, where two blanks and a quote begin a line with nothing but a part's name.

    Raises:
        ValueError: it is no such text.
    """
    if not text.startswith('{\n  "') or not text.endswith("\n}\n"):
        raise ValueError("another layout")
    starts = {name: text.find(f'\n  "{name}": ') for name in names}
    found = {name: _DECODER.raw_decode(text, at + len(name) + 7)[0] for name, at in starts.items() if at >= 0}
    if found.get("status", "finished") not in STATUSES:
        raise ValueError("no status")
    return found


def finished(folder: Path, settings: Mapping[str, Any], inputs: Mapping[str, Any], until: float = 1.0) -> bool:
    """Whether the run in `folder` is finished and was made with these settings from these inputs.

    until: a partial run that has come so far is finished too, for who asks for no more; a share of the steps.

    Raises:
        RunError: it is finished or partial, but something differs; both values are named.
    """
    record = read_record(folder)
    if record is None or record["status"] not in ("finished", "partial"):
        return False
    for part, mine in (("settings", settings), ("inputs", inputs)):
        if found := difference(record.get(part, {}), json.loads(json.dumps(mine))):
            key, value, now = found
            raise RunError(
                f"{folder.name} was finished with {key}={value}, now it is {now}; "
                f"choose another study= or remove {folder}"
            )
    return record["status"] == "finished" or bool(record["partials"][-1]["share"] >= until)


def difference(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """The first setting of `second` that is another in `first`: its dotted name and both values; None for none."""
    there = _flat(first)
    for key, value in _flat(second).items():
        if there.get(key) != value:
            return key, there.get(key), value
    return None


def write_record(folder: Path, record: Record) -> None:
    """Write run.json whole; non-finite numbers are refused rather than stored.

    Raises:
        RunError: a value is not JSON or not finite.
        StudyError: the folder cannot be written.
    """
    try:
        text = json.dumps(record, indent=2, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise RunError(f"the record of {folder.name} holds what JSON cannot: {error}") from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "run.json", text + "\n")
    except OSError as error:
        raise StudyError(f"{folder} cannot be written ({error.strerror}); choose another with output=") from error


def sha256(path: Path) -> str:
    """Hash of a file's content, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Whether this process got the run; the lock goes with the process, so a killed one leaves none behind.

    The time of the file `.lock` is when the last process got it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as handle:
        if not _got(handle):
            yield False
            return
        os.utime(folder / LOCK)
        yield True


def known_base(record: Record) -> bool:
    """Whether a record is finished and starts from a base; reward models of others, that `evaluate` scored, do not."""
    return record["status"] == "finished" and "checkpoint" in record


def modified(path: Path) -> float | None:
    """When a file was last written, seconds since the epoch; None where it is not, or no longer."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return None


def held(lock: Path) -> bool:
    """Whether a process holds the lock; one that comes for it meanwhile gets it, since `_got` waits for a look."""
    try:
        with lock.open() as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _got(handle: IO[str]) -> bool:
    for pause in (0.02, 0.02, 0.0):  # seconds; `held` shares the lock for some microseconds
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(pause)
        else:
            return True
    return False


def records(study: Path, kind: str = "runs") -> list[Record]:
    """The records of a study, by run_id. kind: runs, or features."""
    folders = sorted(path.parent for path in (study / kind).glob("*/run.json"))
    return [record for folder in folders if (record := read_record(folder)) is not None]


def provenance(seed: int) -> Record:
    """What made a run: git commit of this code (absent outside a checkout), package versions, seed."""
    versions = {}
    for name in ("rm-selection", *PACKAGES):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    made: Record = {"versions": versions, "seed": seed}
    if commit := _commit():
        made["git_commit"] = commit
    return made


def _commit() -> str | None:
    here = Path(__file__).resolve().parent
    command = ["git", "-C", os.fspath(here), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= _flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return flat
