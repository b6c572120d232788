"""The search for a learning rate: successive halving beside the whole grid."""

from pathlib import Path

import numpy as np
import pytest
from tiny_training import CHATS, QUICK, TRAIN, VALIDATION, base  # noqa: F401 - base is a fixture

from rm_selection import learning
from rm_selection.learning import Data, Search, learn
from rm_selection.protocol import Protocol
from rm_selection.reward_model import load
from rm_selection.scoring import score

RATES = (1e-6, 3e-3, 1e-5, 1e-4, 1e-3)
LONG = Protocol(**vars(QUICK) | {"epochs": 4.0, "checkpoint_every": 2})  # 28 steps: an eighth is four


def found(base, folder: Path, kind: str, hear=lambda line: None, resume: bool = False):
    (folder / "state").mkdir(parents=True, exist_ok=True)
    data = Data(TRAIN, VALIDATION)
    return learn(lambda: load(base), data, LONG, Search(RATES, kind), folder / "state", hear, resume)


@pytest.fixture(scope="module")
def grid(base, tmp_path_factory):
    return found(base, tmp_path_factory.mktemp("grid"), "grid")


def test_halving_ends_with_the_model_of_the_grid_at_less_than_half_its_steps(base, grid, tmp_path):
    (wide, told), (narrow, halved) = grid, found(base, tmp_path, "halving")
    assert halved["rate"] == told["rate"]
    assert halved["evaluations"] == told["evaluations"], "what goes on ends as if it had never stopped"
    assert np.array_equal(score(narrow, CHATS).values, score(wide, CHATS).values)
    steps = {trial["rate"]: trial["evaluations"][-1]["step"] for trial in halved["trials"]}
    assert sorted(steps.values()) == [4, 4, 12, 18, 28]
    assert sum(trial["tokens"] for trial in halved["trials"]) < 0.5 * sum(trial["tokens"] for trial in told["trials"])
    assert (tmp_path / "log.jsonl").read_text().count('"loss"') == 28


def test_a_killed_halving_goes_on_where_it_stopped(base, grid, tmp_path):
    heard: list[float] = []

    def hear(line: dict[str, float]) -> None:
        heard.append(line["step"])
        if line["step"] == 15:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        found(base, tmp_path, "halving", hear)
    again: list[float] = []
    rm, told = found(base, tmp_path, "halving", lambda line: again.append(line["step"]), resume=True)
    assert np.array_equal(score(rm, CHATS).values, score(grid[0], CHATS).values)
    assert min(again) > 12, "what came before the last comparison is not trained again"
    assert told["rate"] == grid[1]["rate"]
    assert len(heard) > 5 * 4, "all rates had been compared once"


def test_of_equal_rates_the_earlier_go_on():
    trials = {
        rate: {"rate": rate, "value": value, "metric": "validation_accuracy"}
        for rate, value in zip(RATES, (0.5, 0.5, 0.9, 0.5, 0.4), strict=True)
    }
    assert learning._better_half(trials, list(RATES)) == [RATES[0], RATES[1], RATES[2]]
    for trial in trials.values():
        trial["metric"] = "validation_loss"
    assert learning._better_half(trials, list(RATES)) == [RATES[0], RATES[1], RATES[4]]
