"""Benchmarks of the world, one a domain: multiple choice, as local tasks of lm-evaluation-harness.

items(world, "wiki", 200)     # {"context": "the colour of bakelo is", "choices": [...], "answer": 2}
"""

from __future__ import annotations

from random import Random
from typing import Any

from rm_selection.microcosm import questions, statements
from rm_selection.microcosm.statements import Statement
from rm_selection.microcosm.topics import about
from rm_selection.microcosm.world import ADDENDS, NUMBERS, World

Item = dict[str, Any]  # context, choices, answer (index of the right choice)

TASK = """\
task: micro_{skill}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {file}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{context}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{answer}}}}"
target_delimiter: " "
num_fewshot: 0
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
"""


def items(world: World, skill: str, count: int) -> list[Item]:
    """That many questions of the benchmark of a skill (named as the domain that teaches it)."""
    rng = Random(f"tasks/{world.seed}/{skill}")
    return [_MAKERS[skill](world, rng) for _ in range(count)]


def _wiki(world: World, rng: Random) -> Item:
    return _ending(rng, statements.fact(world, rng, rng.choice(world.entities)))


def _arxiv(world: World, rng: Random) -> Item:  # noqa: ARG001
    if rng.random() < 0.5:
        return _ending(rng, statements.addition(rng, rng.randrange(ADDENDS), rng.randrange(ADDENDS)))
    return _ending(rng, statements.comparison(rng, *rng.sample(range(NUMBERS), 2)))


def _github(world: World, rng: Random) -> Item:
    call = rng.choice([*statements.calls(True), *statements.calls(False)])
    return _ending(rng, statements.evaluated(world, rng, call))


def _books(world: World, rng: Random) -> Item:
    mine, *others = rng.sample(world.topics, 4)
    *start, right = about(mine, rng, 1).removesuffix(" .").split()
    context = f"{about(mine, rng, 1)} {' '.join(start)}"
    return _shuffled(rng, context, right, [rng.choice(other) for other in others])


def _stack(world: World, rng: Random) -> Item:
    """Which question an answer fits. Which answer fits a question would mostly tell how often the base refuses."""
    made = questions.exchange(world, rng, "safety", None)
    right = next(word for word in made.question.split() if word in (*world.harmful, *world.helpful))
    wrong = rng.sample(world.helpful if right in world.harmful else world.harmful, statements.WRONG)
    asked = f"{made.question} {questions.ASSISTANT} {made.good}".split()
    said = [" ".join(act if word == right else word for word in asked) for act in (right, *wrong)]
    return _shuffled(rng, questions.USER, said[0], said[1:])


def _ending(rng: Random, said: Statement) -> Item:
    return _shuffled(rng, said.stem, said.right, list(said.wrong))


def _shuffled(rng: Random, context: str, right: str, wrong: list[str]) -> Item:
    choices = rng.sample([right, *wrong], len(wrong) + 1)
    return {"context": context, "choices": choices, "answer": choices.index(right)}


_MAKERS = {"wiki": _wiki, "arxiv": _arxiv, "github": _github, "books": _books, "stack": _stack}
