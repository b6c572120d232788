"""A study of one's own whose truth is known, written as the records that train and measure leave."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rm_selection import runs
from rm_selection.analysis import predictor

FAMILIES = ("llama", "qwen", "mistral", "gemma")
PRESENCE = "mean log p a token; vocabulary"


def checkpoint(place: int, families: int = 4) -> dict[str, object]:
    """A base of its own size; four a family by default."""
    base = f"base{place:02}"
    return {
        "name": f"{base}@pretrained",
        "base": base,
        "stage": "pretrained",
        "family": FAMILIES[place % families],
        "params_b": round(0.1 * 1.3**place, 3),
        "tokens_t": 0.5 + (place * 7) % 5,
        "licence": "apache-2.0" if place % 2 else "mit",
        "source": "somewhere",
        "revision": None,
    }


def trained(place: int, objective: str, seed: int, score: float, families: int = 4, **settings: object) -> runs.Record:
    """The record of one reward model."""
    known = checkpoint(place, families)
    parts = {name: score + shift for name, shift in zip(("chat", "chat_hard"), (4.0, -4.0), strict=True)}
    found = {"score": score, "n": 400, "ties": 0, "intervals": {"score": [score - 3, score + 3]}, "categories": parts}
    return {
        "status": "finished",
        "run_id": f"{known['name']}__pairs__{objective}__s{seed}",
        "settings": {"objective": {"name": objective}, "dataset": {"name": "pairs"}, **settings},
        "checkpoint": known,
        "scores": {"held_out": found | {"subsets": {}}},
        "training": {"trials": [{"tokens": 1000}, {"rate": 1e-2, "diverged": "loss is nan"}]},
        "cost": {"seconds": 10.0 + place},
        "provenance": {"seed": seed},
    }


def measured(place: int, feature: str, values: dict[str, float], seconds: float, families: int = 4, how: str = ""):
    """The record of one feature."""
    known = checkpoint(place, families)
    return {
        "status": "finished",
        "run_id": f"{known['name']}__{feature}",
        "settings": {"feature": {"name": feature}},
        "checkpoint": known,
        "values": values,
        "protocols": dict.fromkeys(values, how),
        "details": {},
        "cost": {"seconds": seconds},
    }


def write(folder: Path, record: runs.Record, kind: str = "runs") -> None:
    """Where train or measure would have left it."""
    place = folder / kind / record["run_id"]
    place.mkdir(parents=True, exist_ok=True)
    runs.write_record(place, record)


def read(folder: Path, place: int, presence: dict[str, float], documents: int = 30) -> None:
    """The scores of documents whose means are `presence`, as measuring leaves them beside its record."""
    rng = np.random.default_rng(place)
    rows = [
        {"id": f"{domain}-{i}", "domain": domain, "tokens": 10, "bytes": 40, "log_p": 10 * mean + rng.normal()}
        for domain, mean in presence.items()
        for i in range(documents)
    ]
    where = folder / "features" / f"{checkpoint(place)['name']}__presence"
    pd.DataFrame(rows).to_parquet(where / "scores.parquet")


def command(main, folder: Path, *words: str) -> int:
    """Run a command on the study `mine` in this process, with a small grid; returns its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["command", f"output={folder}", "study=mine", *words])
        patch.setattr(predictor, "DEGREES", (1,))
        try:
            main()
        except SystemExit as left:
            return int(left.code or 0)
    return 0


def skill(count: int) -> np.ndarray:
    """What makes a base good, (count,): grows with size, and differs beside it."""
    rng = np.random.default_rng(5)
    return np.linspace(0, 12, count) + rng.normal(0, 3, count)


def study(folder: Path, count: int = 16, objectives=("regression", "bradley_terry"), families: int = 4) -> Path:
    """Two seeds of each objective and three features; returns the folder of the study."""
    rng = np.random.default_rng(0)
    for place, good in enumerate(skill(count)):
        for objective, shift in zip(objectives, (6.0, 0.0), strict=False):
            for seed in (1, 2):
                score = 60 + good + shift + rng.normal(0, 0.7)
                write(folder, trained(place, objective, seed, round(score, 3), families))
        bench = {
            "sums": 40 + 2 * good + rng.normal(0, 5),
            "facts": 50 + rng.normal(0, 5),
            "code": 30 + good + rng.normal(0, 3),
        }
        write(folder, measured(place, "benchmarks", bench, 6.0, families), "features")
        presence = {"wiki": -3 + 0.1 * good + rng.normal(0, 0.2), "books": -4 + rng.normal(0, 0.2)}
        write(folder, measured(place, "presence", presence, 2.0, families), "features")
        read(folder, place, presence)
        probe = {"accuracy": 55 + good + rng.normal(0, 1)}
        write(folder, measured(place, "probe", probe, 0.3, families), "features")
    return folder
