"""The stages' losses and rewards are TRL's own: the same tokens, the same first losses, the same rewards."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_world
import torch
from datasets import Dataset
from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

from rm_selection.checkpoints import Checkpoint
from rm_selection.features.responses import readable
from rm_selection.posttrain_settings import DpoConfig, RlvrConfig, SftConfig
from rm_selection.refusals import quiet
from rm_selection.stages import progress
from rm_selection.stages.data import rows
from rm_selection.stages.rewards import exact_match
from rm_selection.stages.trainers import trainer
from rm_selection.stages.work import loaded

TRL = {
    "use_cpu": True,
    "report_to": "none",
    "bf16": False,
    "per_device_train_batch_size": 8,
    "activation_checkpointing": False,
}


def recipe(folder: Path, kind: type, **more: object):
    name = kind.__name__.removesuffix("Config").lower()
    known = dict.fromkeys(("repo", "subset", "split", "revision", "limit"))
    known |= {"path": str(folder / f"{name}.jsonl"), "rate": 1e-9, "epochs": 1.0, "warmup": 0.0}
    return kind(**known | tiny_world.QUICK | {"max_steps": 1} | more)


def rlvr(folder: Path, **more: object) -> RlvrConfig:
    known = {"rewards": ["exact_match"], "generations": 4, "max_answer": 8, "temperature": 1.0, "beta": 0.0}
    return recipe(folder, RlvrConfig, **known | more)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("world")
    tiny_world.write(folder)
    return folder


def at_work(world: Path, stage: str, settings):
    """The base, the rows as read, as tokens, and our trainer over them."""
    lm, chat = loaded(Checkpoint("tiny", "pretrained", "llama", None, None, None, str(world / "base"), None), "cpu")
    data = rows(stage, settings)
    made = readable(data.learnt, chat, 64)
    return lm, data.learnt, made, trainer(lm, settings, made, world / "t" / stage, 0, bf16=False)


def first(trainer_) -> dict[str, float]:
    with quiet():
        trainer_.train()
    return trainer_.state.log_history[0]


def test_sft_learns_the_tokens_that_trl_would_make_of_the_conversations(world):
    lm, learnt, _, ours = at_work(world, "sft", recipe(world, SftConfig))
    raw = [{"prompt": list(row.prompt), "completion": list(row.response)} for row in learnt]
    theirs = SFTTrainer(
        model=lm.model,
        processing_class=lm.tokenizer,
        args=SFTConfig(str(world / "x"), **TRL, max_length=None, completion_only_loss=True),
        train_dataset=Dataset.from_list(raw),
    )
    assert [list(ids) for ids in ours.train_dataset["input_ids"]] == [
        list(i) for i in theirs.train_dataset["input_ids"]
    ]
    assert [list(ids) for ids in ours.train_dataset["labels"]] == [list(i) for i in theirs.train_dataset["labels"]]
    assert any(label == -100 for label in ours.train_dataset["labels"][0])


def test_dpo_compares_the_tokens_that_trl_would_make_of_the_pairs(world):
    settings = recipe(world, DpoConfig, reader="schema", beta=0.1)
    lm, learnt, _, ours = at_work(world, "dpo", settings)
    raw = [{"prompt": list(r.prompt), "chosen": list(r.chosen), "rejected": list(r.rejected)} for r in learnt]
    args = DPOConfig(str(world / "x"), **TRL, max_length=None)
    theirs = DPOTrainer(
        model=lm.model, processing_class=lm.tokenizer, args=args, train_dataset=Dataset.from_list(raw)
    ).train_dataset
    whole = [[*row["prompt_ids"], *row[f"{side}_ids"]] for side in ("chosen", "rejected") for row in theirs]
    mine = [[*row["prompt_ids"], *row[f"{side}_ids"]] for side in ("chosen", "rejected") for row in ours.train_dataset]
    assert mine == whole
    # Both answers may begin alike; what they share is in both log p and does not move the margin.
    assert all(len(a["prompt_ids"]) >= len(b["prompt_ids"]) for a, b in zip(ours.train_dataset, theirs, strict=True))


def test_before_the_first_step_dpo_loses_the_logarithm_of_two(world):
    *_, ours = at_work(world, "dpo", recipe(world, DpoConfig, reader="schema", beta=0.1))
    assert first(ours)["loss"] == pytest.approx(math.log(2), abs=1e-6)


def test_grpo_asks_the_prompts_that_trl_would_write_and_its_reward_is_the_functions(world, monkeypatch):
    lm, learnt, made, ours = at_work(world, "rlvr", rlvr(world))
    raw = [{"prompt": list(row.prompt), "answer": row.response[-1]["content"]} for row in learnt]
    args = GRPOConfig(str(world / "x"), **TRL, num_generations=4)
    theirs = GRPOTrainer(
        model=lm.model,
        processing_class=lm.tokenizer,
        args=args,
        reward_funcs=[lambda completions, **_: [0.0] * len(completions)],
        train_dataset=Dataset.from_list(raw),
    )
    wanted, _, _ = theirs._tokenize_prompts([row["prompt"] for row in raw])
    assert ours._tokenize_prompts([row.id for row in made.rows])[0] == [list(ids) for ids in wanted]
    heard = []
    calculate = GRPOTrainer._calculate_rewards
    monkeypatch.setattr(GRPOTrainer, "_calculate_rewards", lambda *a: heard.append((a, calculate(*a))) or heard[-1][1])
    logged = first(ours)["reward"]
    (_, inputs, _, completions, _), given = heard[0]
    right = [exact_match(one, row["answer"]) for one, row in zip(completions, inputs, strict=True)]
    assert given[:, 0].tolist() == right
    assert logged == pytest.approx(sum(right) / len(right))


def test_the_log_p_of_an_answer_is_that_of_the_plain_model(world):
    lm, _, made, _ = at_work(world, "dpo", recipe(world, DpoConfig, reader="schema", beta=0.1))
    some = [one for row in made.responses[:6] for one in row]
    log_p, chosen = progress.told(lm, some, 100)
    for place, one in enumerate(some):
        ids = torch.tensor([one.ids])
        found = lm.model(ids).logits[0, :-1].log_softmax(-1)
        said = found[range(len(one.ids) - 1), ids[0, 1:]][one.start - 1 :]
        assert log_p[place] == pytest.approx(float(said.sum().detach()), rel=1e-4)
        assert chosen[place] == pytest.approx(float((found.argmax(-1) == ids[0, 1:])[one.start - 1 :].float().mean()))


def test_sampled_answers_follow_the_temperature_and_repeat(world):
    settings = rlvr(world, temperature=1e-4)
    lm, _, made, _ = at_work(world, "rlvr", settings)
    some = [one for (one,) in made.responses[:5]]
    cold = progress.answers(lm, some, settings, 10_000)
    for place, one in enumerate(some):  # so cold that each is the most likely one
        ids = torch.tensor([one.ids[: one.start]])
        likely = lm.model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=8
        )
        text = lm.tokenizer.decode(likely[0, one.start :], skip_special_tokens=True).strip()
        assert cold[4 * place : 4 * place + 4] == [text] * 4
    warm = [progress.answers(lm, some, rlvr(world), 10_000) for _ in range(2)]
    assert warm[0] == warm[1] != cold


def test_the_accuracy_of_a_question_is_the_mean_over_its_samples(world, monkeypatch):
    settings = rlvr(world)
    lm, _, made, _ = at_work(world, "rlvr", settings)
    right = [row.response[-1]["content"] for row in made.rows]
    said = [text if place == 0 else "no" for text in right for place in range(4)]
    monkeypatch.setattr(progress, "answers", lambda *_: said)
    assert progress.figures("rlvr", lm, made, settings, 1).tolist() == [25.0] * len(right)


def test_fewer_rows_than_a_step_takes_are_refused(world):
    with pytest.raises(ValueError, match=r"rows are fewer than the 512 of one step; lower recipe\.sft\.global_batch"):
        at_work(world, "sft", replace(recipe(world, SftConfig), global_batch=512))


def test_a_file_without_answers_is_refused(tmp_path):
    (tmp_path / "sft.jsonl").write_text(json.dumps({"prompt": "a"}) + "\n")
    with pytest.raises(ValueError, match=r"no row of .* has a prompt and an answer"):
        rows("sft", recipe(tmp_path, SftConfig))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"messages": [{"role": "user", "content": 5}]}, r"messages\[0\] has content of type int; only text"),
        ({"messages": ["hello"]}, r"messages\[0\] must be a message with role and content"),
        ({"prompt": 3, "response": "b"}, "prompt must be a text or a list of messages"),
    ],
)
def test_a_malformed_conversation_is_refused_with_its_place(tmp_path, row, message):
    (tmp_path / "sft.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(ValueError, match=rf"sft\.jsonl.*{message}"):
        rows("sft", recipe(tmp_path, SftConfig))
