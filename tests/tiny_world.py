"""A base of the small world that has learnt nothing, with the lessons beside it: in half a second."""

import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from rm_selection.microcosm import lessons
from rm_selection.microcosm.shapes import LONGEST, shape
from rm_selection.microcosm.tokens import tokenizer
from rm_selection.microcosm.world import make_world

WORLD = make_world(3)
QUICK = {"global_batch": 8, "micro_batch": 8, "max_steps": 4, "checkpoint_steps": 2, "max_length": 64, "held_out": 0.3}


def write(folder: Path, family: str = "llama") -> Path:
    """<folder>/base and <folder>/{sft,dpo,rlvr}.jsonl; returns the base."""
    words = tokenizer(WORLD, LONGEST)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(shape(family, "s", len(words)))
    model.save_pretrained(folder / "base")
    words.save_pretrained(folder / "base")
    rows = {
        "sft": lessons.conversations(WORLD, 80),
        "dpo": lessons.pairs(WORLD, 80),
        "rlvr": lessons.verifiable(WORLD, 80),
    }
    for stage, made in rows.items():
        (folder / f"{stage}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    return folder / "base"


def words(folder: Path, *changes: str) -> list[str]:
    """The command line of a quick chain on it."""
    line = ["base=local", "base.name=tiny", f"base.path={folder / 'base'}", f"output={folder / 'outputs'}"]
    for stage in ("sft", "dpo", "rlvr"):
        given = QUICK | {"path": folder / f"{stage}.jsonl", "repo": "null", "rate": 1e-3}
        line += [f"recipe.{stage}.{name}={value}" for name, value in given.items()]
    line += ["recipe.dpo.reader=schema", "recipe.rlvr.generations=4", "recipe.rlvr.max_answer=8"]
    return [*line, "recipe.rlvr.rewards=[exact_match,last_word]", "tracking=off", "hardware=cpu", *changes]
