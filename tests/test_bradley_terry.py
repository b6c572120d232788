import dataclasses
import json

import numpy as np
import pytest
import tiny_models
from datasets import Dataset
from tiny_training import QUICK, TRAIN, VALIDATION, base, score_ids, trained  # noqa: F401 - base is a fixture
from transformers import AutoModelForSequenceClassification
from trl import RewardConfig, RewardTrainer

from rm_selection import bradley_terry
from rm_selection.errors import ConfigError
from rm_selection.protocol import Run
from rm_selection.reward_model import load, save


def by_hand(rm, rows: list[dict], center: float) -> float:
    """The loss from scores of each side on its own, in float64."""
    sides = {side: [float(score_ids(rm, row[f"{side}_ids"])) for row in rows] for side in ("chosen", "rejected")}
    chosen, rejected = np.array(sides["chosen"]), np.array(sides["rejected"])
    margins = chosen - rejected - np.array([row.get("margin", 0.0) for row in rows])
    return float(np.mean(np.log1p(np.exp(-margins)) + center * (chosen + rejected) ** 2))


@pytest.mark.parametrize(("margin", "center"), [(None, None), (0.7, None), (None, 0.01), (1.3, 0.05)])
def test_the_loss_is_that_of_the_formula_and_of_stock_trl(base, tmp_path, monkeypatch, margin, center):
    monkeypatch.setattr(RewardTrainer, "_send_telemetry", lambda self: None)  # it would ask the network
    rm = load(base)
    save(rm, tmp_path / "model")
    rows, _ = bradley_terry.rows(rm, tiny_models.pairs(8, margin=margin), use_margin=margin is not None)
    protocol = dataclasses.replace(QUICK, center_rewards_coefficient=center)
    ours = bradley_terry.trainer(rm, rows, protocol, Run(tmp_path / "run"))
    settings = {"use_cpu": True, "bf16": False, "report_to": "none", "activation_checkpointing": False}
    stock = RewardTrainer(
        AutoModelForSequenceClassification.from_pretrained(tmp_path / "model"),
        RewardConfig(tmp_path / "stock", **settings, center_rewards_coefficient=center),
        train_dataset=Dataset.from_list(rows),
        processing_class=rm.template.tokenizer,
    )
    parts = [ours.compute_loss(ours.model, batch).item() for batch in ours.data_collator.cut(rows)]
    assert len(parts) == 2
    assert sum(parts) == pytest.approx(stock.compute_loss(stock.model, stock.data_collator(rows)).item(), abs=1e-6)
    assert sum(parts) == pytest.approx(by_hand(rm, rows, center or 0.0), abs=1e-6)


def test_the_first_logged_loss_is_that_of_the_global_batch(base, tmp_path):
    rm = load(base)
    pairs = tiny_models.pairs(16)
    expected = by_hand(rm, bradley_terry.rows(rm, pairs, use_margin=False)[0], 0.0)
    lines: list[dict[str, float]] = []
    protocol = dataclasses.replace(QUICK, max_steps=1)
    bradley_terry.train(rm, pairs, VALIDATION, protocol, Run(tmp_path, lines.append))
    assert lines[0]["loss"] == pytest.approx(expected, abs=1e-6)
    assert lines == [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]


def test_how_many_pairs_are_taken_at_once_changes_no_loss(base, tmp_path):
    """Of 22 pairs the last six make batches of four and two, in which each pair weighs the same."""
    logs: dict[int, list[float]] = {4: [], 16: []}
    for at_once, losses in logs.items():
        protocol = dataclasses.replace(QUICK, micro_batch=at_once, epochs=2)
        run = Run(tmp_path / str(at_once), lambda line, kept=losses: kept.append(line.get("loss", 0.0)))
        bradley_terry.train(load(base), TRAIN[:22], VALIDATION, protocol, run)
    assert logs[4] == pytest.approx(logs[16], abs=1e-5)


def test_a_separable_set_is_learnt(base, tmp_path):
    out = trained(base, tmp_path / "run", dataclasses.replace(QUICK, epochs=3))
    best = max(out.evaluations, key=lambda one: one["validation_accuracy"])
    assert best["validation_accuracy"] > 0.9
    assert out.best_step == best["step"], "max takes the first of equals, as the study does"
    assert bradley_terry.evaluator(out.model, VALIDATION, 10_000)(out.model) == {
        k: v for k, v in best.items() if k != "step"
    }
    assert [one["step"] for one in out.evaluations] == [3, 6, 9, 12, 15, 18, 21]
    assert out.counts == {"read": 112, "kept": 112, "dropped_over_long": 0, "dropped_equal_tokens": 0}


def test_pairs_that_cannot_be_trained_on_are_left_out_and_counted(base):
    rm = dataclasses.replace(load(base), max_length=40)
    same = dataclasses.replace(TRAIN[0], rejected=TRAIN[0].chosen)
    long = dataclasses.replace(TRAIN[1], rejected=({"role": "assistant", "content": "no" * 40},))
    rows, counts = bradley_terry.rows(rm, [same, long, TRAIN[2]], use_margin=False)
    assert counts == {"read": 3, "kept": 1, "dropped_over_long": 1, "dropped_equal_tokens": 1}
    assert rows[0]["chosen_ids"] == rm.template.ids(TRAIN[2].conversations[0])
    assert rows[0]["chosen_ids"].count(rm.template.tokenizer.bos_token_id) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"use_margin": True},
            "objective.margin=true needs a margin in every pair, and 0 has none; give objective.margin=false",
        ),
        (
            {"micro_batch": 5},
            "training.global_batch=16 is no multiple of training.micro_batch x devices = 5; change either",
        ),
    ],
)
def test_settings_that_contradict_the_data_are_refused(base, tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        trained(base, tmp_path, dataclasses.replace(QUICK, **change))


def test_what_cannot_be_trained_is_refused(base, tmp_path):
    rm, run = load(base), Run(tmp_path)
    with pytest.raises(ConfigError, match="trains one output, and this model has 2"):
        bradley_terry.train(load(base, ("a", "b")), TRAIN, VALIDATION, QUICK, run)
    with pytest.raises(
        ConfigError, match=r"picks its checkpoint by validation accuracy; give pairs for it as dataset\.val"
    ):
        bradley_terry.train(rm, TRAIN, [], QUICK, run)
    with pytest.raises(ConfigError, match=r"none of 112 pairs fits in 5 tokens; raise dataset\.max_length"):
        bradley_terry.train(dataclasses.replace(rm, max_length=5), TRAIN, VALIDATION, QUICK, run)
