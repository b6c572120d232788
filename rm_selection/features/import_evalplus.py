"""Results of EvalPlus: the file of one run, of old or new layout, or results.json of its leaderboard.

pass@1 of a data set is the mean over tasks of the share of answers that pass; an answer passes the extended tests
(plus) where it passes the base tests too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from rm_selection.errors import MeasurementError
from rm_selection.features.imported import Found, Wanted
from rm_selection.features.scores import Score, wilson
from rm_selection.features.suites import benchmarks

DATASETS = {"HumanEval": "humaneval", "Mbpp": "mbpp"}  # as task ids begin
BOARD = {"humaneval": "humaneval", "humaneval+": "humaneval_plus", "mbpp": "mbpp", "mbpp+": "mbpp_plus"}
# <model>_hf_temp_0.0_eval_results.json; older: <model>_temp_0.0/eval_results.json
_RUN = re.compile(r"(?:_(?:hf|vllm|openai|anthropic|google|bedrock|gptqmodel|ollama))?_temp_[\d.]+(?:[-_].*)?$")


def scores(files: list[tuple[Path, Any]], wanted: Wanted) -> Found:
    """The figures of the wanted base; a single file that names no model is taken for it.

    Raises:
        MeasurementError: a file breaks its layout, or two hold the same figure.
    """
    found = Found()
    for file, data in files:
        if is_board(data):
            found.models |= set(data)
            made: dict[str, Score] = {}
            for name in data:
                made |= _board(file, data[name]) if name in wanted else {}
        else:
            model = model_of(file)
            found.models |= {model or file.name}
            unnamed = model is None and len(files) == 1
            made = read(file, data) if model in wanted or unnamed else {}
            found.remarks += [f"{file.name} names no model; its figures were taken as they are"] if unnamed else []
        for name in made.keys() & found.scores.keys():
            raise MeasurementError(f"{name} of {wanted.names[0]} is in {file} and in another file; give one of them")
        found.scores |= made
    return found


def is_board(data: Mapping[str, Any]) -> bool:
    """Whether it is results.json of the leaderboard: a model a key, each with pass@1."""
    return bool(data) and all(isinstance(row, dict) and isinstance(row.get("pass@1"), dict) for row in data.values())


def model_of(file: Path) -> str | None:
    """The model in the name of a run's file or folder."""
    for name in (file.name.removesuffix(".json").removesuffix("eval_results").rstrip("_"), file.parent.name):
        if found := _RUN.search(name):
            return name[: found.start()]
    return None


def read(file: Path, data: Mapping[str, Any], version: str = "of unknown version") -> dict[str, Score]:
    """pass@1 of one run, base and plus, by benchmark.

    Raises:
        MeasurementError: it is of no known layout.
    """
    tasks = data["eval"]
    dataset = next((DATASETS[kind] for kind in DATASETS if all(str(t).startswith(f"{kind}/") for t in tasks)), None)
    if not tasks or dataset is None:
        raise MeasurementError(f"{file} holds no tasks of HumanEval or MBPP; give the eval_results file of EvalPlus")
    try:
        shares = [_shares(answers) for answers in tasks.values()]
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise MeasurementError(f"{file} is of no layout that EvalPlus writes ({error}); evaluate again") from error
    made = {}
    for row in benchmarks():
        if row.runner == "evalplus" and row.task == dataset:
            passed = [share[row.metric == "plus"] for share in shares]
            if None in passed:
                continue  # evaluated on the base tests only
            value = 100 * fmean(float(share) for share in passed if share is not None)
            how = f"pass@1 on {row.metric} tests{_temperature(file)}{_problems(data)}"
            protocol = f"EvalPlus {version}, {dataset}, 0-shot, {how}"
            interval = [round(bound, 3) for bound in wilson(value, len(shares))]
            made[row.benchmark] = Score(value, protocol, {"n": len(shares), "interval": interval, "file": file.name})
    return made


def _shares(answers: Any) -> tuple[float, float | None]:
    """Shares of a task's answers that pass the base tests, and also the plus tests (None: those were not run)."""
    if isinstance(answers, list):
        base = [answer["base_status"] == "pass" for answer in answers]
        plus = [answer.get("plus_status") for answer in answers]
    else:
        base = [status == "pass" for status, *_ in answers["base"]]
        plus = [status for status, *_ in answers.get("plus") or [[None]] * len(base)]
    both = None if None in plus else fmean(b and p == "pass" for b, p in zip(base, plus, strict=True))
    return fmean(base), both


def _temperature(file: Path) -> str:
    found = re.search(r"_temp_([\d.]+\d)", f"{file.parent.name}/{file.name}")
    return f", temperature {float(found[1]):g}" if found else ""


def _problems(data: Mapping[str, Any]) -> str:
    """Which release of the problems it was, or which file of one's own."""
    return f", problems {str(found)[:8]}" if (found := data.get("hash")) else ""


def _board(file: Path, row: Mapping[str, Any]) -> dict[str, Score]:
    how = ", prompted" if row.get("prompted") else ""
    made = {}
    for name, benchmark in BOARD.items():
        value = row["pass@1"].get(name)
        if value is None:
            continue
        if not isinstance(value, (int, float)) or not 0 <= value <= 100:
            raise MeasurementError(f"{file}: pass@1 of {name} is {value}; give a percentage, 0-100")
        made[benchmark] = Score(float(value), f"EvalPlus leaderboard, {name}, 0-shot, pass@1{how}", {"file": file.name})
    return made
