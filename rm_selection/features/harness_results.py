"""What lm-evaluation-harness found, from the JSON it writes: ours and everybody's, in any layout since 0.4.

found = read(data)             # {("mmlu", 5): Result}
score(benchmark, found)        # percentage, protocol and interval of one benchmark; None where a task is missing
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# What decides the text of a prompt and how an answer is read from a generation.
TEMPLATE = (
    *("description", "doc_to_text", "doc_to_target", "doc_to_choice", "target_delimiter", "fewshot_delimiter"),
    *("gen_prefix", "generation_kwargs", "filter_list", "fewshot_config", "use_prompt"),
)


@dataclass(frozen=True)
class Result:
    """One task, or group of tasks, with the examples of its prompt.

    metrics: as the harness names them, `acc,none` or in older files `acc`. n: documents, None where untold.
    parts: the tasks of a group. template: of the prompt, by task. how: what else a figure depends on, in words.
    """

    task: str
    shots: int | None
    metrics: Mapping[str, float]
    n: int | None
    version: str
    harness: str
    template: Mapping[str, Any]
    how: tuple[str, ...]
    parts: tuple[Result, ...] = ()

    @classmethod
    def nothing(cls, task: str) -> Result:
        """The result of a task that gave none."""
        return cls(task, None, {}, None, "unknown", "lm_eval", {}, ())

    def metric(self, name: str) -> float | None:
        """The value of `acc,none`, or of `acc` with its first filter."""
        if name in self.metrics:
            return self.metrics[name]
        return next((value for key, value in self.metrics.items() if key.split(",")[0] == name), None)


Results = dict[tuple[str, int | None], Result]


def read(data: Mapping[str, Any]) -> Results:
    """Every task and group of a result file, by name and shots.

    Args:
        data: the file's content, with at least `results`.
    """
    metrics = {**data["results"], **(data.get("groups") or {})}
    single = {name: _result(data, name, found) for name, found in metrics.items() if isinstance(found, Mapping)}
    groups = data.get("group_subtasks") or {}
    whole = {name: _grouped(single, groups, name) for name in {*single, *(g for g in groups if groups[g])}}
    return {(name, result.shots): result for name, result in sorted(whole.items()) if result is not None}


def template_hash(template: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits of the prompts' templates, or `unknown` where the file does not hold them."""
    if not any(template.values()):
        return "unknown"
    text = re.sub(r" at 0x[0-9a-f]+", "", json.dumps(template, sort_keys=True, default=str))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _result(data: Mapping[str, Any], name: str, found: Mapping[str, Any]) -> Result:
    config = (data.get("configs") or {}).get(name) or {}
    numbers = {
        key: float(value)
        for key, value in found.items()
        if isinstance(value, (int, float)) and "_stderr" not in key and key not in ("sample_len", "sample_count")
    }
    template = {key: config[key] for key in TEMPLATE if config.get(key) is not None}
    version = (data.get("versions") or {}).get(name)
    n = ((data.get("n-samples") or {}).get(name) or {}).get("effective", found.get("sample_len"))
    shots = _shots(data, name, config)
    how = tuple(_how(data))
    return Result(name, shots, numbers, n, _version(version), _harness(data), {name: template}, how)


def _version(version: object) -> str:
    if version in (None, "N/A", "Yaml"):
        return "unknown"
    try:
        return f"{float(str(version)):g}"  # 1, 1.0 and "1.0" are one version
    except ValueError:
        return str(version)


def _shots(data: Mapping[str, Any], name: str, config: Mapping[str, Any]) -> int | None:
    places = (
        (data.get("n-shot") or {}).get(name),
        config.get("num_fewshot"),
        (data.get("config") or {}).get("num_fewshot"),
    )
    told = next((int(shots) for shots in places if isinstance(shots, (int, float))), None)
    return 0 if told is None and config else told  # a task that says nothing has none


def _harness(data: Mapping[str, Any]) -> str:
    if version := data.get("lm_eval_version"):
        return f"lm_eval {version}"
    commit = data.get("git_hash")
    return f"lm_eval {str(commit)[:8]}" if commit else "lm_eval of unknown version"


def _how(data: Mapping[str, Any]) -> Iterator[str]:
    config = data.get("config") or {}
    if (limit := config.get("limit")) is not None:
        yield f"first {limit:g} documents" if limit >= 1 else f"first {limit:.0%} of documents"
    if data.get("chat_template"):
        yield "chat template, examples as turns" if data.get("fewshot_as_multiturn") else "chat template"
    if data.get("system_instruction"):
        yield "system instruction"


def _grouped(single: Mapping[str, Result], groups: Mapping[str, Any], name: str) -> Result | None:
    """The result with its leaves; None for a group without a figure that lacks one."""
    own = single.get(name)
    members = _leaves(groups, name)
    leaves = tuple(single[leaf] for leaf in members if leaf in single)
    if not leaves or members == [name]:
        return own
    if len(leaves) < len(members) and not (own and own.metrics):
        return None
    first = own or leaves[0]
    shots = {leaf.shots for leaf in leaves}
    counts = [leaf.n for leaf in leaves]
    return Result(
        name,
        shots.pop() if len(shots) == 1 else first.shots,
        own.metrics if own else {},
        sum(n for n in counts if n is not None) if None not in counts else None,
        first.version if own and own.version != "unknown" else "/".join(sorted({leaf.version for leaf in leaves})),
        first.harness,
        {leaf.task: leaf.template[leaf.task] for leaf in leaves},
        first.how,
        leaves,
    )


def _leaves(groups: Mapping[str, Any], name: str) -> list[str]:
    """Tasks below a group, those of its subgroups included."""
    below = groups.get(name) or []
    return [leaf for part in below if part != name for leaf in _leaves(groups, part)] if below else [name]
