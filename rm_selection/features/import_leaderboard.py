"""A row of the Open LLM Leaderboard, v1 or v2, from a CSV export of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from rm_selection.errors import MeasurementError
from rm_selection.features.imported import Found, Wanted
from rm_selection.features.scores import Score
from rm_selection.features.suites import suite

NAMES = ("fullname", "model name for query", "model name", "eval name", "model", "name")
# Headings in lower case without marks, and the benchmarks they stand for.
V1 = {"arc": "arc", "hellaswag": "hellaswag", "mmlu": "mmlu", "truthfulqa": "truthfulqa_mc2"}
V1 |= {"winogrande": "winogrande", "gsm8k": "gsm8k"}
V2 = {"ifeval": "ifeval", "bbh": "bbh", "math lvl 5": "math_lvl5", "gpqa": "gpqa", "musr": "musr"}
V2 |= {"mmlu pro": "mmlu_pro"}

Line = dict[str, str]


def scores(files: list[tuple[Path, Any]], wanted: Wanted) -> Found:
    """The figures of the wanted base.

    Raises:
        MeasurementError: a file is no export of the leaderboard, rows differ, or a figure is no percentage.
    """
    found = Found()
    for file, lines in files:
        version, columns = _version(file, lines)
        plain = [_plain(line) for line in lines]
        found.models |= {names[0] for line in plain if (names := _names(line))}
        rows = [line for line in plain if any(name in wanted for name in _names(line))]
        for name, score in _scores(file, version, columns, rows).items():
            if name in found.scores and found.scores[name] != score:
                raise MeasurementError(f"{name} of {wanted.names[0]} differs in {file} and another file; give one")
            found.scores[name] = score
    return found


def _version(file: Path, lines: list[Line]) -> tuple[int, dict[str, str]]:
    columns = set(_plain(lines[0])) if lines else set()
    if not lines or not columns & set(NAMES):
        raise MeasurementError(f"{file} has no rows with a column fullname or Model; give an export of the leaderboard")
    kept = {1: columns & V1.keys(), 2: columns & V2.keys()}
    version = 2 if len(kept[2]) > len(kept[1]) else 1
    if len(kept[version]) < 2:
        known = ", ".join(V2) + " or " + ", ".join(V1)
        raise MeasurementError(f"{file} is no export of the Open LLM Leaderboard; it needs columns {known}")
    return version, V2 if version == 2 else V1


def _plain(line: Line) -> Line:
    """Headings without case, marks and the shots that some exports add."""
    cleaned = {}
    for heading, cell in line.items():
        name = re.sub(r"\(\d+-s(hot)?\)", "", str(heading).casefold())
        cleaned[re.sub(r"[\W_]+", " ", name).strip()] = str(cell or "").strip()
    return cleaned


def _names(line: Line) -> list[str]:
    """The names of a row's model; a link is the repository that it leads to."""
    cells = [line[name] for name in NAMES if line.get(name)]
    links = [re.search(r"huggingface\.co/([\w.-]+/[\w.-]+)", cell) for cell in cells]
    return [link[1] if link else cell for link, cell in zip(links, cells, strict=True)]


def _scores(file: Path, version: int, columns: dict[str, str], rows: list[Line]) -> dict[str, Score]:
    if not rows:
        return {}
    found = [{name: row[heading] for heading, name in columns.items() if row.get(heading)} for row in rows]
    if any(one != found[0] for one in found):
        apart = "; ".join(" ".join(filter(None, (_names(r)[-1], r.get("precision"), r.get("eval name")))) for r in rows)
        raise MeasurementError(
            f"{file} has {len(rows)} rows that differ for one model ({apart}); "
            "keep one of them, or give its eval_name as feature.import_name"
        )
    how = "".join(f", {rows[0][key]}" for key in ("precision",) if rows[0].get(key))
    if rows[0].get("chat template", "").casefold() in ("true", "1", "yes"):
        how += ", chat template"
    known = {row.benchmark: row for row in suite(f"open_llm_v{version}")}
    made = {}
    for short, cell in found[0].items():
        row = known[f"olv{version}_{short}"]
        metric = f"{row.metric} less chance" if row.choices else row.metric
        protocol = f"Open LLM Leaderboard v{version}, {row.task}, {row.shots}-shot, {metric}{how}"
        made[row.benchmark] = Score(_percent(file, row.benchmark, cell), protocol, {"file": file.name})
    return made


def _percent(file: Path, name: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 100:
        raise MeasurementError(f"{file}: {name} is {cell}; give a percentage, 0-100")
    return value
