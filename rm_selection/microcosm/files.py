"""Everything of a world that is text, as files: tasks, preference data, evaluation, documents of each domain.

write(settings)     # <folder>/{pairs,ratings}/{train,validation}.jsonl, evaluation.jsonl, tasks/, text/, lessons/
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from rm_selection.microcosm import lessons, preferences, prose, tasks
from rm_selection.microcosm.questions import KINDS
from rm_selection.microcosm.world import DOMAINS, World
from rm_selection.microcosm_settings import MicrocosmConfig
from rm_selection.studies import write_text


def write(settings: MicrocosmConfig, world: World) -> None:
    """Write what is not there as it should be; a file that is stays untouched."""
    folder = Path(settings.folder)
    for name, content in contents(settings, world).items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, content)


def contents(settings: MicrocosmConfig, world: World) -> Mapping[str, str]:
    """Text of every file, by its path in the folder."""
    found = {}
    for part, count in (("train", settings.pairs), ("validation", settings.validation)):
        made = preferences.exchanges(world, part, count, kept=False)
        found[f"pairs/{part}.jsonl"] = lines(preferences.pair(one, f"{part}-{i}") for i, one in enumerate(made))
        rated = (row for i, one in enumerate(made) for row in preferences.ratings(one, f"{part}-{i}"))
        found[f"ratings/{part}.jsonl"] = lines(rated)
    made = preferences.exchanges(world, "evaluation", len(KINDS) * settings.evaluation, kept=True)
    found["evaluation.jsonl"] = lines(preferences.pair(one, f"evaluation-{i}") for i, one in enumerate(made))
    found["lessons/sft.jsonl"] = lines(lessons.conversations(world, settings.pairs))
    found["lessons/dpo.jsonl"] = lines(lessons.pairs(world, settings.pairs))
    found["lessons/rlvr.jsonl"] = lines(lessons.verifiable(world, settings.pairs))
    for skill in DOMAINS:
        file = (Path(settings.folder) / "tasks" / f"{skill}.jsonl").resolve()
        found[f"tasks/{skill}.jsonl"] = lines(tasks.items(world, skill, settings.items))
        found[f"tasks/micro_{skill}.yaml"] = tasks.TASK.format(skill=skill, file=json.dumps(str(file)))
        found[f"text/{skill}.jsonl"] = lines(_documents(settings, world, skill))
    return found


def lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def _documents(settings: MicrocosmConfig, world: World, domain: str) -> Iterable[Mapping[str, str]]:
    rng = Random(f"text/{world.seed}/{domain}")
    for _ in range(settings.documents):
        yield {"text": prose.document(world, domain, rng), "domain": domain}
