import dataclasses

import numpy as np
import pytest
import tiny_models
import torch

from rm_selection import multi_attribute
from rm_selection.checkpoints import Checkpoint
from rm_selection.errors import ConfigError
from rm_selection.multi_attribute import MISSING, masked_mse
from rm_selection.protocol import Protocol, Run, Trained
from rm_selection.reward_model import load, save
from rm_selection.scoring import rewards, score, verify_reload

torch.set_num_threads(1)
QUICK = Protocol(learning_rate=5e-3, global_batch=16, micro_batch=4, epochs=4, warmup_steps=2, checkpoint_every=5)
TRAIN, VALIDATION = tiny_models.ratings(96), tiny_models.ratings(30, start=1000)
OUTPUTS = ("help", "length")


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Checkpoint:
    return tiny_models.checkpoint(tmp_path_factory.mktemp("qwen2"), "qwen2", pad="no pad")


def test_without_gaps_the_loss_is_the_mean_squared_error():
    found, wanted = torch.randn(6, 5), torch.rand(6, 5) * 4
    expected = torch.nn.functional.mse_loss(found, wanted)
    assert masked_mse(found, wanted).item() == pytest.approx(expected.item(), abs=1e-6)
    assert masked_mse(found.bfloat16(), wanted).dtype == torch.float32


def test_a_missing_rating_moves_nothing():
    found = torch.randn(3, 2, requires_grad=True)
    wanted = torch.tensor([[1.0, MISSING], [MISSING, MISSING], [2.0, 3.0]])
    loss = masked_mse(found, wanted)
    loss.backward()
    there = wanted != MISSING
    assert loss.item() == pytest.approx(((found - wanted)[there] ** 2).mean().item(), abs=1e-6)
    assert (found.grad != 0).tolist() == there.tolist()


def test_nothing_rated_is_no_loss_and_no_nan():
    assert masked_mse(torch.ones(2, 2), torch.full((2, 2), MISSING)).item() == 0


def test_the_logged_loss_weighs_every_rating_of_the_global_batch_alike(base, tmp_path):
    rm = load(base, OUTPUTS)
    few = TRAIN[:16]
    wanted = np.array([[one.ratings[name] for name in OUTPUTS] for one in few], dtype=float)
    errors = (score(rm, [one.conversations[0] for one in few]).values - wanted) ** 2
    lines: list[dict[str, float]] = []
    protocol = dataclasses.replace(QUICK, max_steps=1)
    multi_attribute.train(rm, few, VALIDATION, protocol, Run(tmp_path, lines.append))
    assert lines[0]["loss"] == pytest.approx(np.nanmean(errors), rel=1e-6)


def test_a_learnable_set_is_learnt_and_the_lowest_loss_wins(base, tmp_path):
    out = multi_attribute.train(load(base, OUTPUTS), TRAIN, VALIDATION, QUICK, Run(tmp_path / "run"))
    losses = {one["step"]: one["validation_loss"] for one in out.evaluations}
    assert out.best_step == min(losses, key=losses.get)
    assert losses[out.best_step] < 0.5 < losses[5]
    best = multi_attribute.evaluator(out.model, VALIDATION, 10_000)(out.model)
    assert best["validation_loss"] == losses[out.best_step]
    assert set(best) == {"validation_loss", "validation_loss_help", "validation_loss_length"}
    weighed = dataclasses.replace(out.model, weights=(1.0, 0.0))
    found = rewards(weighed, score(weighed, [one.conversations[0] for one in VALIDATION]).values)
    assert found[0::2].mean() > found[1::2].mean() + 2, "even rows are rated 4, odd ones 0"
    save(weighed, tmp_path / "model")
    verify_reload(weighed, tmp_path / "model", tiny_models.chats(8))


def test_a_killed_run_ends_with_the_same_scores_to_the_last_bit(base, tmp_path):
    def trained(run: Run) -> Trained:
        return multi_attribute.train(load(base, OUTPUTS), TRAIN, VALIDATION, QUICK, run)

    whole = trained(Run(tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        trained(Run(tmp_path / "cut", interrupt_at(13)))
    again = trained(Run(tmp_path / "cut", resume=True))
    chats = tiny_models.chats(8)
    assert np.array_equal(score(whole.model, chats).values, score(again.model, chats).values)
    assert again.evaluations == whole.evaluations


def interrupt_at(step: int):
    def hear(line: dict[str, float]) -> None:
        if line["step"] == step:
            raise KeyboardInterrupt

    return hear


def test_rows_without_ratings_or_too_long_are_left_out_and_counted(base):
    rm = dataclasses.replace(load(base, OUTPUTS), max_length=40)
    bare = dataclasses.replace(TRAIN[0], ratings={"help": None, "other": 3.0})
    long = dataclasses.replace(TRAIN[0], response=({"role": "assistant", "content": "a" * 60},))
    rows, counts = multi_attribute.rows(rm, [bare, long, TRAIN[1]])
    assert counts == {"read": 3, "kept": 1, "dropped_over_long": 1, "dropped_unrated": 1}
    assert rows[0]["labels"] == [0.0, MISSING]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"use_margin": True}, "objective.margin belongs to bradley_terry; for regression give objective.margin=false"),
        (
            {"center_rewards_coefficient": 0.1},
            "objective.centering belongs to bradley_terry; for regression give objective.centering=null",
        ),
    ],
)
def test_settings_of_the_other_objective_are_refused(base, tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        multi_attribute.train(
            load(base, OUTPUTS), TRAIN, VALIDATION, dataclasses.replace(QUICK, **change), Run(tmp_path)
        )


def test_data_without_the_attributes_are_refused(base, tmp_path):
    rm = load(base, ("style",))
    with pytest.raises(ConfigError, match="regression picks its checkpoint by validation loss"):
        multi_attribute.train(rm, TRAIN, VALIDATION, QUICK, Run(tmp_path))
    with pytest.raises(ConfigError, match="none of 96 ratings has style"):
        multi_attribute.rows(rm, TRAIN)
