"""Chains of stages on a base of the small world: made, recorded, found again, killed, refused."""

import json
import sys
from pathlib import Path

import pytest
import tiny_world
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rm_selection import posttrain, posttraining, runs, train
from rm_selection.checkpoint_folder import fingerprint
from rm_selection.checkpoints import load_base, made_folder, resolve
from rm_selection.errors import ConfigError, MissingModelError
from rm_selection.posttrain_settings import _in_order
from rm_selection.stages import fitting, rewards, work


def call(*line: str) -> int:
    """Run the command in this process; returns its exit code."""
    sys.argv = ["posttrain", *line]
    try:
        posttrain.main()
    except SystemExit as left:
        return int(left.code or 0)
    return 0


@pytest.fixture(autouse=True)
def argv(monkeypatch):
    monkeypatch.setattr(sys, "argv", [])


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("world")
    tiny_world.write(folder)
    return folder


@pytest.fixture(scope="module")
def study(world) -> Path:
    """The study in which the whole chain was made."""
    before = fingerprint(world / "base")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [])
        assert call(*tiny_world.words(world, "study=whole", "stage=sft,dpo,rlvr")) == 0
    assert fingerprint(world / "base") == before
    return world / "outputs" / "whole"


def record(study: Path, stage: str) -> runs.Record:
    return json.loads((made_folder(study, "tiny", stage) / "run.json").read_text())


def base(world: Path, **changes: object):
    made = load_base("local")
    made.name, made.path = "tiny", str(world / "base")
    return made


def test_each_stage_starts_from_the_one_before_it_and_says_so(study, world):
    known = {stage: record(study, stage) for stage in ("made-sft", "made-dpo", "made-rlvr")}
    assert [one["checkpoint"]["made_from"] for one in known.values()] == [
        "tiny@pretrained",
        "tiny@made-sft",
        "tiny@made-dpo",
    ]
    parents = [fingerprint(world / "base"), known["made-sft"]["fingerprint"], known["made-dpo"]["fingerprint"]]
    assert [one["inputs"]["parent"] for one in known.values()] == parents
    assert all(one["inputs"]["data"] and one["data"]["sha256"] and one["cost"]["seconds"] > 0 for one in known.values())


def test_a_stage_tells_what_it_changed_with_an_interval(study):
    for stage, metric in (("sft", "chat_accuracy"), ("dpo", "preference_margin"), ("rlvr", "verifiable_accuracy")):
        found = record(study, f"made-{stage}")["improvement"]
        assert found["metric"] == metric
        assert found["low"] <= found["change"] <= found["high"]
        assert found["after"] - found["before"] == pytest.approx(found["change"])
        assert found["improved"] == (found["low"] > 0)


def test_a_made_stage_is_found_under_its_own_name_and_loads_in_plain_transformers(study, world):
    found = resolve(base(world), "made-dpo", study)
    assert (found.name, found.made_from, found.revision) == ("tiny@made-dpo", "tiny@made-sft", None)
    assert fingerprint(found.source) == record(study, "made-dpo")["fingerprint"]
    AutoModelForCausalLM.from_pretrained(found.source)
    assert AutoTokenizer.from_pretrained(found.source).chat_template


def test_a_made_stage_never_passes_for_a_published_one(study, world):
    assert resolve(base(world), "sft", study).source == str(world / "base")  # as told, of the folder
    published = load_base("tulu3-8b")
    assert resolve(published, "sft", study).made_from is None
    with pytest.raises(MissingModelError, match=r"tulu3-8b has no stage made-sft .* stage=sft study=whole"):
        resolve(published, "made-sft", study)


def test_what_is_made_is_kept_and_another_recipe_is_refused(study, world, capsys):
    before = (made_folder(study, "tiny", "made-sft") / "run.json").read_bytes()
    assert call(*tiny_world.words(world, "study=whole", "stage=sft,dpo,rlvr")) == 0
    assert capsys.readouterr().out.count("finished before") == 3
    assert call(*tiny_world.words(world, "study=whole", "stage=sft", "recipe.sft.rate=2e-3")) == 2
    assert "was finished with recipe.rate=0.001, now it is 0.002" in capsys.readouterr().err
    assert (made_folder(study, "tiny", "made-sft") / "run.json").read_bytes() == before


@pytest.mark.parametrize("stage", ["sft", "rlvr"])
def test_a_killed_run_goes_on_to_the_same_weights(study, world, monkeypatch, stage):
    name = f"killed-{stage}"
    chain = ("sft", "dpo", "rlvr")
    before = chain[: chain.index(stage)]
    if before:
        assert call(*tiny_world.words(world, f"study={name}", f"stage={','.join(before)}")) == 0
    append = fitting.training_state.append

    def killed(folder, line):
        append(folder, line)
        if line["step"] == 3:
            raise KeyboardInterrupt

    words = tiny_world.words(world, f"study={name}", f"stage={stage}")
    with monkeypatch.context() as patch:
        patch.setattr(fitting.training_state, "append", killed)
        assert call(*words) == 130
    there = made_folder(world / "outputs" / name, "tiny", f"made-{stage}")
    assert [path.name for path in (there / "training").glob("checkpoint-*")] == ["checkpoint-2"]
    assert call(*words) == 0
    assert fingerprint(there / "model") == record(study, f"made-{stage}")["fingerprint"]
    assert [json.loads(line)["step"] for line in (there / "log.jsonl").read_text().splitlines()] == [1, 2, 3, 4]


def test_a_run_killed_behind_its_last_step_trains_no_more(study, world, monkeypatch):
    words = tiny_world.words(world, "study=late", "stage=sft")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(work, "save", killed)
        assert call(*words) == 130
    assert call(*words) == 0
    made = record(world / "outputs" / "late", "made-sft")
    assert made["fingerprint"] == record(study, "made-sft")["fingerprint"]
    assert made["training"]["steps"] == 4


def test_a_stage_without_its_parent_says_how_to_make_it(world, capsys):
    assert call(*tiny_world.words(world, "study=orphan", "stage=dpo")) == 2
    assert "tiny has no stage made-sft in this study; make it with: python -m rm_selection.posttrain" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("stage", ["dpo,sft", "sft,rlvr", "sft,sft"])
def test_stages_out_of_order_are_refused(world, capsys, stage):
    assert call(*tiny_world.words(world, f"stage={stage}")) == 2
    assert f"stage={stage} is out of order, each starts from the one before; give stage=" in capsys.readouterr().err


@pytest.mark.parametrize("given", [[], "instruct", ["sft", "ppo"]])
def test_a_stage_that_cannot_be_made_is_refused(given):
    with pytest.raises(ConfigError, match=r"is not allowed; give some of sft,dpo,rlvr"):
        _in_order(given)


def faulty(_said: str, _right: str) -> float:
    raise KeyError("colour")


@pytest.mark.parametrize(
    ("function", "told"),
    [(faulty, "reward exact_match raised KeyError: 'colour' on"), (lambda *_: float("nan"), "gave nan for")],
)
def test_a_faulty_reward_function_ends_the_stage_and_spares_its_parent(
    study, monkeypatch, capsys, world, function, told
):
    name = f"faulty-{len(told)}"
    line = tiny_world.words(world, f"study={name}", "stage=sft,dpo,rlvr")
    monkeypatch.setitem(rewards.REWARDS, "exact_match", function)
    assert call(*line) == 2
    assert told in capsys.readouterr().err
    there = world / "outputs" / name
    assert (record(there, "made-rlvr")["kind"], record(there, "made-rlvr")["status"]) == ("reward function", "failed")
    assert fingerprint(there / "stages" / "tiny@made-dpo" / "model") == record(study, "made-dpo")["fingerprint"]
    with pytest.raises(MissingModelError):
        resolve(base(world), "made-rlvr", there)


@pytest.mark.parametrize(("rate", "kind"), [("1e30", "non-finite loss"), ("3", "diverged")])
def test_a_loss_that_runs_away_ends_the_stage(world, capsys, rate, kind):
    before = fingerprint(world / "base")
    words = tiny_world.words(world, f"study=away-{rate}", "stage=sft", f"recipe.sft.rate={rate}", "recipe.sft.warmup=0")
    assert call(*words, "recipe.sft.max_steps=6") == 2
    assert "lower recipe.sft.rate" in capsys.readouterr().err
    assert record(world / "outputs" / f"away-{rate}", "made-sft")["kind"] == kind
    assert fingerprint(world / "base") == before


def test_the_first_stage_that_fails_is_the_last(world, monkeypatch, capsys):
    monkeypatch.setattr(posttraining, "_fresh", lambda *_: {"status": "failed", "reason": "no"})
    assert call(*tiny_world.words(world, "study=stops", "stage=sft,dpo")) == 2
    assert [path.name for path in (world / "outputs" / "stops" / "stages").iterdir()] == ["tiny@made-sft"]


def test_a_reward_model_is_trained_from_a_made_stage_and_says_so(study, world, monkeypatch):
    line = ["base=local", "base.name=tiny", f"base.path={world / 'base'}", "stage=made-sft", "study=whole"]
    line += ["dataset=jsonl", f"dataset.train={world / 'dpo.jsonl'}", "dataset.validation_share=0.2"]
    line += ["dataset.validation=null", "evaluation=jsonl", f"evaluation.path={world / 'dpo.jsonl'}"]
    line += ["dataset.max_overlap=1", "training.max_steps=1", "training.global_batch=8", "objective.rates=[1e-3]"]
    monkeypatch.setattr(sys, "argv", ["train", *line, f"output={world / 'outputs'}", "tracking=off", "hardware=cpu"])
    train.main()
    (found,) = runs.records(study)
    assert found["checkpoint"]["name"] == "tiny@made-sft"
    assert found["checkpoint"]["made_from"] == "tiny@pretrained"
    assert found["inputs"]["checkpoint"] == record(study, "made-sft")["fingerprint"]
    card = (study / "runs" / found["run_id"] / "model" / "README.md").read_text()
    assert "tiny@made-sft is no publisher's: rm-selection post-trained it from tiny@pretrained." in card
