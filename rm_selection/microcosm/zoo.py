"""The zoo: every base of `recipes`, pre-trained once, kept by content, built again where damaged.

<folder>/zoo/<base>/pretrained/      a plain transformers checkpoint; later stages are made by posttrain
<folder>/zoo/<base>/manifest.json    hash of the recipe and of the checkpoint

A base is written under a temporary name and renamed when whole, so that a build killed half-way keeps what it finished.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

from rm_selection import checkpoint_folder, runs
from rm_selection.errors import ConfigError, ModelError
from rm_selection.microcosm import prose
from rm_selection.microcosm.recipes import RECIPES, Recipe
from rm_selection.microcosm.world import make_world
from rm_selection.microcosm_settings import MicrocosmConfig
from rm_selection.studies import replacing, write_text

VERSION = 4  # of how a base is made; another one builds all anew
RATE = 4e-3
STAGES = ("pretrained",)
HEAD_START = 0.005  # deviation of a reward model's new head: a larger one makes these few steps a matter of the seed


def wanted(settings: MicrocosmConfig) -> list[Recipe]:
    """The recipes that the settings name.

    Raises:
        ConfigError: a name is none of the zoo.
    """
    known = {recipe.name: recipe for recipe in RECIPES}
    names = settings.bases or list(known)
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"microcosm.bases={unknown[0]} is not allowed; give {' or '.join(known)}")
    return [known[name] for name in names]


def build(settings: MicrocosmConfig, jobs: int) -> Iterator[tuple[str, bool]]:
    """Build what is missing or damaged, in `jobs` processes; yields each base, and whether it is new, as it is done."""
    from joblib import Parallel, delayed

    folder, recipes = Path(settings.folder) / "zoo", wanted(settings)
    left = [recipe for recipe in recipes if not whole(folder / recipe.name, recipe, settings)]
    yield from ((recipe.name, False) for recipe in recipes if recipe not in left)
    left.sort(key=_work, reverse=True)  # the longest first, so that no process waits for one at the end
    if left:
        done = Parallel(min(jobs, len(left)), return_as="generator_unordered")(
            delayed(make)(folder / recipe.name, recipe, settings) for recipe in left
        )
        yield from ((name, True) for name in done)


def whole(folder: Path, recipe: Recipe, settings: MicrocosmConfig) -> bool:
    """Whether the folder holds this base as it was written."""
    try:
        found = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    try:
        return bool(found == manifest(folder, recipe, settings))
    except (ModelError, OSError):
        return False


def manifest(folder: Path, recipe: Recipe, settings: MicrocosmConfig) -> dict[str, Any]:
    """What a base is made from, and the hash of its weights, config and tokenizer."""
    made_from = asdict(recipe) | {"seed": settings.seed, "scale": settings.scale, "version": VERSION}
    hashes = {stage: checkpoint_folder.fingerprint(folder / stage) for stage in STAGES}
    return {"name": recipe.name, "recipe": runs.digest(made_from), "stages": hashes}


def make(folder: Path, recipe: Recipe, settings: MicrocosmConfig) -> str:
    """Pre-train and write one base, on one core; returns its name."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    from rm_selection.microcosm.pretraining import fit, packed
    from rm_selection.microcosm.shapes import LONGEST, shape
    from rm_selection.microcosm.tokens import tokenizer

    torch.set_num_threads(1)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    world = make_world(settings.seed)
    words = tokenizer(world, LONGEST)
    seed = int(runs.digest({"base": recipe.name, "world": settings.seed}), 16)
    torch.manual_seed(seed)
    kind: Any = AutoModelForCausalLM
    model = kind.from_config(shape(recipe.family, recipe.size, len(words)))
    with replacing(folder) as fresh:
        model.config.initializer_range = HEAD_START
        fit(model, packed(words, _corpus(recipe, settings)), RATE, seed)
        model.save_pretrained(fresh / "pretrained")
        words.save_pretrained(fresh / "pretrained")
        write_text(fresh / "manifest.json", json.dumps(manifest(fresh, recipe, settings), indent=2) + "\n")
    return recipe.name


def _corpus(recipe: Recipe, settings: MicrocosmConfig) -> Sequence[str]:
    rng = Random(f"corpus/{settings.seed}/{recipe.name}")
    texts = prose.corpus(make_world(settings.seed), recipe.shares, int(recipe.words * settings.scale), rng)
    return [text for _, text in texts]


def _work(recipe: Recipe) -> float:
    return recipe.words * {"s": 1.0, "m": 1.4, "l": 2.4}[recipe.size]


def remaining(done: int, total: int, began: float) -> float:
    """Seconds left, as fast as it has gone so far."""
    return (time.monotonic() - began) / done * (total - done)
