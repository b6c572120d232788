"""What decides a score beside base, stage and seed, in words that mean the same on every machine.

A record names local files by their paths, branches of the Hub by their names, and precision=auto is what the device
makes of it. Here a file is the hash of its content, a branch the commit it led to, and precision what it came to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rm_selection import runs

# An absolute path, one that starts at home or at the current folder, or one of Windows; what follows the last separator
# is its name. Addresses (https://...), owner/name and </tags> are none.
_END = r"[^\s/\\'\"<>|;,()\[\]{}]"
_PATH = re.compile(
    rf"(?<![\w/\\.~-])(?:(?:file://|~\w*|\.\.?)?/(?![/\s]|\w+>)|[A-Za-z]:[\\/])(?:{_END}*[\\/]+)*({_END}*)"
)


def protocol(record: runs.Record) -> dict[str, Any]:
    """The settings of a run or a measurement, without a path of this machine; of such a protocol, the same again."""
    settings: dict[str, Any] = _named(record["settings"], _hashes(record))
    if commit := record.get("data", {}).get("train", {}).get("revision"):
        settings["dataset"]["revision"] = commit
    for name, one in settings.get("evaluation", {}).items():
        if pairs := record.get("scores", {}).get(name, {}).get("data_sha256"):
            one |= {"path": None, "pairs": _hash(pairs)}
    device = record.get("cost", {}).get("device")
    if settings.get("precision") == "auto" and device:
        settings["precision"] = "float32" if device.endswith("cpu") else "bf16"
    return settings


def without_paths(text: str) -> str:
    """`text` with every path of this machine cut down to the name at its end."""
    return _PATH.sub(lambda found: found[1], text)


def difference(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """The first setting that differs, whichever of the two lacks it: its dotted name and both values; None for none."""
    if found := runs.difference(first, second):
        return found
    if found := runs.difference(second, first):
        name, two, one = found
        return name, one, two
    return None


def differences(made: Sequence[runs.Record]) -> Iterator[tuple[runs.Record, str, Any, Any]]:
    """The runs made otherwise than the first: each with the setting, its value of the first run, and its own.

    Settings of the evaluation are told before all others: scores on other pairs are other figures altogether.
    """
    for other in made[1:]:
        one, two = made[0]["settings"], other["settings"]
        tested = [{"evaluation": settings.get("evaluation", {})} for settings in (one, two)]
        if found := difference(*tested) or difference(one, two):
            yield other, *found


def weights(record: runs.Record) -> dict[str, str | None]:
    """What tells a checkpoint's weights from others: the commit of its repository, or the hash of its folder."""
    revision = record["checkpoint"]["revision"]
    found = str(record.get("inputs", {}).get("checkpoint") or "")
    local = revision is None and re.fullmatch("[0-9a-f]{64}", found)
    return {"revision": revision, "fingerprint": found if local else None}


def _hashes(record: runs.Record) -> dict[str, str]:
    """Of the local files that settings name: by the setting's dotted name, their hash."""
    inputs: Mapping[str, str] = record.get("inputs", {})
    named = {f"dataset.{name}": inputs.get(name) for name in ("train", "validation", "pairs")}
    named |= {f"evaluation.{name}.path": inputs.get(name) for name in record["settings"].get("evaluation", {})}
    folders: dict[str, dict[str, str]] = {}
    for name, value in inputs.items():
        setting, _, file = name.partition("/")
        if file:
            folders.setdefault(f"feature.{setting}", {})[file] = value
    return {name: value for name, value in named.items() if value} | {
        name: next(iter(files.values())) if len(files) == 1 else runs.digest(files) for name, files in folders.items()
    }


def _named(value: Any, hashes: Mapping[str, str], name: str = "") -> Any:
    if name in hashes:
        return _hash(hashes[name])
    if isinstance(value, Mapping):
        return {key: _named(one, hashes, f"{name}.{key}" if name else key) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_named(one, hashes) for one in value]
    return without_paths(value) if isinstance(value, str) else value


def _hash(digits: str) -> str:
    return f"sha256:{digits[:16]}"
