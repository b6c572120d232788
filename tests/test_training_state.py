import dataclasses
import json
import os
import signal
import time

import numpy as np
import pytest
import tiny_models
from tiny_training import CHATS, QUICK, TRAIN, VALIDATION, base, trained  # noqa: F401 - base is a fixture
from transformers import OlmoeConfig

from rm_selection import bradley_terry, training_state
from rm_selection.errors import RunError
from rm_selection.protocol import Lora, Run, Trained
from rm_selection.reward_model import load, reload, sharing
from rm_selection.scoring import score

PROTOCOLS = {"full": QUICK, "lora": dataclasses.replace(QUICK, lora=Lora(rank=2, alpha=4))}


class Killed(BaseException):
    """As sudden as SIGKILL for all that Python code can see of it."""


def killed_at(line: int):
    seen: list[object] = []

    def hear(found: dict[str, float]) -> None:
        seen.append(found)
        if len(seen) == line:
            raise Killed

    return hear


@pytest.fixture(scope="module")
def whole(base, tmp_path_factory) -> dict[str, Trained]:
    """Runs that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    return {name: trained(base, folder / name, protocol) for name, protocol in PROTOCOLS.items()}


@pytest.mark.parametrize(("line", "name"), [(2, "full"), (5, "full"), (8, "full"), (9, "full"), (5, "lora")])
def test_a_run_that_was_killed_ends_with_the_same_scores_to_the_last_bit(base, whole, tmp_path, line, name):
    protocol, uncut = PROTOCOLS[name], whole[name]
    with pytest.raises(Killed):
        trained(base, tmp_path / "cut", protocol, on_log=killed_at(line))
    again = trained(base, tmp_path / "cut", protocol, resume=True)
    assert np.array_equal(score(uncut.model, CHATS).values, score(again.model, CHATS).values)
    assert (again.best_step, again.evaluations) == (uncut.best_step, uncut.evaluations)
    assert (again.tokens, again.pad_tokens) == (uncut.tokens, uncut.pad_tokens)
    steps = [json.loads(line)["step"] for line in (tmp_path / "cut" / "log.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 3, 4, 5, 6, 6, 7, 7], "each step and evaluation is logged once"


def test_a_run_killed_ten_times_ends_as_one_that_was_not(base, whole, tmp_path):
    for attempt in range(10):
        if (child := os.fork()) == 0:
            trained(base, tmp_path / "cut", resume=True)
            os._exit(0)
        time.sleep(0.05 + 0.04 * attempt)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    again = trained(base, tmp_path / "cut", resume=True)
    assert np.array_equal(score(whole["full"].model, CHATS).values, score(again.model, CHATS).values)
    assert again.evaluations == whole["full"].evaluations


def test_experts_are_resumed_too(tmp_path, monkeypatch):
    """They are saved under other names than they have in the model, which the Trainer's own loading skips."""
    config = OlmoeConfig(**tiny_models.SHAPE, num_experts=4, num_experts_per_tok=2)
    monkeypatch.setitem(tiny_models.CONFIGS, "experts", config)
    experts = tiny_models.checkpoint(tmp_path / "base", "experts")
    losses: dict[str, list[dict[str, float]]] = {"whole": [], "cut": []}
    trained(experts, tmp_path / "whole", on_log=losses["whole"].append)
    with pytest.raises(Killed):
        trained(experts, tmp_path / "cut", on_log=killed_at(6))
    trained(experts, tmp_path / "cut", resume=True, on_log=losses["cut"].append)
    uncut = [line.get("loss", 0.0) for line in losses["whole"][-len(losses["cut"]) :]]
    # not to the last bit: torch adds experts up in any order
    assert [line.get("loss", 0.0) for line in losses["cut"]] == pytest.approx(uncut, abs=1e-5)


def test_a_half_written_checkpoint_is_thrown_away(base, tmp_path):
    first = trained(base, tmp_path / "run")
    half = tmp_path / "run" / "checkpoint-9"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    (tmp_path / "run" / "checkpoint-7" / training_state.MARK).unlink()  # the last: everything is done again
    again = trained(base, tmp_path / "run", resume=True)
    assert np.array_equal(score(first.model, CHATS).values, score(again.model, CHATS).values)
    assert not half.exists()


def test_a_finished_run_is_not_trained_again(base, tmp_path):
    first = trained(base, tmp_path / "run")
    lines: list[object] = []
    again = trained(base, tmp_path / "run", resume=True, on_log=lines.append)
    assert lines == []
    assert np.array_equal(score(first.model, CHATS).values, score(again.model, CHATS).values)


def test_resuming_with_other_settings_is_refused(base, tmp_path):
    trained(base, tmp_path / "run")
    with pytest.raises(RunError, match=r"run was begun with learning_rate=0.003, now it is 0.1; restore it, or start"):
        trained(base, tmp_path / "run", dataclasses.replace(QUICK, learning_rate=0.1), resume=True)


def test_a_killed_run_goes_on_with_other_sizes_of_what_runs_at_once(base, whole, tmp_path):
    """As it does with prompts shared or not: the gradient is the same but for rounding."""
    changed = dataclasses.replace(QUICK, micro_tokens=200, tokens_per_batch=500, fills_memory=True)
    with pytest.raises(Killed):
        trained(base, tmp_path / "cut", on_log=killed_at(5))
    rm = sharing(load(base))
    again = bradley_terry.train(rm, TRAIN, VALIDATION, changed, Run(tmp_path / "cut", resume=True))
    for one, other in zip(again.evaluations, whole["full"].evaluations, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_only_the_last_and_the_best_checkpoint_stay(base, tmp_path):
    out = trained(base, tmp_path / "run")
    left = {path.name for path in (tmp_path / "run").glob("checkpoint-*")}
    assert left == {f"checkpoint-{out.best_step}", "checkpoint-7"}
    reload(tmp_path / "run" / f"checkpoint-{out.best_step}")
