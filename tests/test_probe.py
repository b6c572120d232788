"""The probe of a tiny Llama, from the command line to the record."""

import json
import math
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_models import checkpoint, pairs, ratings

from rm_selection import measure
from rm_selection.checkpoints import Checkpoint
from rm_selection.errors import ConfigError, MeasurementError, UnpublishedStage
from rm_selection.features import Measured, Place, probe
from rm_selection.features import frozen_base as bases
from rm_selection.features.responses import Response
from rm_selection.measure_settings import ProbeConfig

torch.set_num_threads(1)


def write(path: Path, rows: list[dict]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """Two models, pairs and ratings."""
    folder = tmp_path_factory.mktemp("world")
    checkpoint(folder / "base")
    checkpoint(folder / "other", seed=1)
    write(folder / "pairs.jsonl", [asdict(pair) for pair in pairs(60)])
    rated = [{**asdict(row), **row.ratings} for row in ratings(60)]
    write(folder / "ratings.jsonl", [{k: v for k, v in row.items() if k != "ratings"} for row in rated])
    return folder


def settings(world: Path, **changes: object) -> ProbeConfig:
    given = {"name": "probe", "pairs": str(world / "pairs.jsonl"), "ratings": None, "attributes": None}
    given |= {"reference": None, "limit": 1000, "max_length": 2048, "folds": 5, "inner_folds": 4}
    return ProbeConfig(**given | changes)


def measured(world: Path, folder: Path, tokens: int = 16_384, seed: int = 0, **changes: object) -> Measured:
    place = Place(folder / "features" / "one", "cpu", "float32", tokens, seed)
    return probe.measure(of(world / "base"), settings(world, **changes), place)


def of(folder: Path) -> Checkpoint:
    return Checkpoint("tiny", "instruct", "llama", None, None, None, str(folder), None)


@pytest.fixture(scope="module")
def found(world, tmp_path_factory) -> Measured:
    return measured(world, tmp_path_factory.mktemp("found"))


def test_yes_is_told_from_no(found):
    assert found.values["accuracy"] == 100
    assert set(found.values) == {"accuracy", "zero_shot", "zero_shot_per_token", "logme"}
    assert found.details["pairs"]["left_out"] == {"h_score": "60 pairs are fewer than 2 times the width 32"}


def test_every_value_has_a_protocol_and_an_interval(found):
    assert set(found.protocols) == set(found.values) == set(found.details["pairs"]["intervals"])
    assert "60 rows of pairs.jsonl (sha256 " in found.protocols["accuracy"]
    assert "5 folds by prompt, view and penalty of 4 inner" in found.protocols["accuracy"]
    assert "folds" not in found.protocols["zero_shot"]
    for name, value in found.values.items():
        interval = found.details["pairs"]["intervals"][name]
        assert math.isfinite(value)
        assert interval["low"] <= value <= interval["high"]


def test_the_likelihood_margin_is_that_of_the_whole_model(found, world, tmp_path):
    base = bases.frozen(of(world / "base"), Place(tmp_path / "a", "cpu", "float32", 1000, 0))
    model, right = base._model.model, []
    for pair in pairs(60):
        sides = []
        for whole in pair.conversations:
            ids = base.template.ids(whole)
            with torch.no_grad():
                each = torch.log_softmax(model(torch.tensor([ids])).logits[0].double(), -1)
            sides.append(each[range(len(ids) - 1), ids[1:]].sum().item())  # the prompt's part is the same
        right.append(sides[0] > sides[1])
    assert found.values["zero_shot"] == pytest.approx(100 * np.mean(right))


def test_nothing_depends_on_the_batch_and_the_same_seed_gives_the_same(found, world, tmp_path):
    again, small = measured(world, tmp_path / "a"), measured(world, tmp_path / "b", tokens=50)
    assert again.values == found.values
    assert again.protocols == small.protocols == found.protocols
    assert small.values == pytest.approx(found.values, abs=1e-4)


def test_other_folds_do_not_run_the_base_again(found, world, tmp_path, monkeypatch):
    first = measured(world, tmp_path)
    monkeypatch.setattr(bases, "load", lambda *_: pytest.fail("the base is loaded"))
    second = measured(world, tmp_path, folds=4, inner_folds=3)
    assert first.tokens == found.tokens > 0
    assert second.tokens == 0
    assert second.values["zero_shot"] == first.values["zero_shot"]


def test_an_implicit_reward_is_the_gain_over_the_reference(world, tmp_path):
    found = measured(world, tmp_path, reference=str(world / "other"))
    swapped = probe.measure(
        of(world / "other"),
        settings(world, reference=str(world / "base")),
        Place(tmp_path / "x" / "y", "cpu", "float32", 1000, 0),
    )
    assert found.values["implicit_reward"] == pytest.approx(100 - swapped.values["implicit_reward"])
    assert "the reference other" in found.protocols["implicit_reward"]
    assert str(world) not in found.protocols["implicit_reward"]


def test_a_model_gains_nothing_over_itself(world, tmp_path):
    found = measured(world, tmp_path, reference=str(world / "base"))
    assert found.values["implicit_reward"] == 50
    assert found.details["pairs"]["ties"]["implicit_reward"] == 60


def test_ratings_alone_or_beside_pairs(world, tmp_path):
    file = str(world / "ratings.jsonl")
    alone = measured(world, tmp_path, pairs=None, ratings=file)
    both = measured(world, tmp_path, ratings=file)
    assert {"r2_help", "spearman_help", "r2_length", "spearman_length"} <= set(alone.values)
    assert alone.values["r2_help"] > 0.5
    assert both.values == measured(world, tmp_path).values | alone.values
    assert set(both.details) == {"pairs", "ratings", "template", "layers"}


def test_a_stage_as_reference_of_a_folder_is_refused(world, tmp_path):
    with pytest.raises(ConfigError, match=r"feature\.reference=pretrained is a stage, and this base is a folder"):
        measured(world, tmp_path, reference="pretrained")


def test_a_reference_with_another_vocabulary_is_refused(world, tmp_path, monkeypatch):
    base = bases.frozen(of(world / "base"), Place(tmp_path / "a", "cpu", "float32", 1000, 0))
    other = bases.frozen(of(world / "other"), base.at)
    monkeypatch.setattr(other.template.tokenizer, "convert_ids_to_tokens", lambda ids: ["?"] * len(ids))
    with pytest.raises(MeasurementError, match="another vocabulary: token 5 is '!' to the base and '\\?' to it"):
        bases.check_same_tokens(base, other, [Response((5, 6), 1)])


@pytest.mark.parametrize("field", ["folds", "inner_folds", "limit", "max_length"])
def test_settings_out_of_range_are_refused(world, field):
    with pytest.raises(ConfigError, match=f"feature.{field}=1 is not allowed; give a whole number from"):
        settings(world, **{field: 1})


def test_neither_pairs_nor_ratings_is_refused(world, tmp_path):
    with pytest.raises(ConfigError, match=r"feature\.pairs and feature.ratings are both null"):
        measured(world, tmp_path, pairs=None)


def test_one_prompt_only_is_refused(world, tmp_path):
    rows = [asdict(pair) | {"prompt": "Well?"} for pair in pairs(60)]
    with pytest.raises(MeasurementError, match="60 rows have 1 different prompts, and 5 folds by prompt need 5"):
        measured(world, tmp_path, pairs=write(tmp_path / "one.jsonl", rows))


def test_states_that_are_not_finite_are_refused(world, tmp_path, monkeypatch):
    whole = bases.FrozenBase.states

    def broken(*given, **named):
        states, tokens = whole(*given, **named)
        states.views[0] = np.nan
        return states, tokens

    monkeypatch.setattr(bases.FrozenBase, "states", broken)
    with pytest.raises(MeasurementError, match="hidden states of this base are not finite"):
        measured(world, tmp_path)


def test_the_command_leaves_a_record_and_finds_it_again(world, tmp_path, monkeypatch, capsys):
    words = ["base=local", f"base.path={world / 'base'}", "feature=probe", f"feature.pairs={world / 'pairs.jsonl'}"]
    monkeypatch.setattr(sys, "argv", ["measure", *words, "study=one", f"output={tmp_path}", "hardware=cpu"])
    measure.main()
    assert "accuracy" in capsys.readouterr().out
    (record,) = (json.loads(file.read_text()) for file in tmp_path.glob("one/features/*/run.json"))
    assert record["status"] == "finished"
    assert record["values"]["accuracy"] == 100
    sys.argv = ["measure", *words, "study=one", f"output={tmp_path}", "hardware=cpu"]
    measure.main()
    assert "finished before" in capsys.readouterr().out


def test_a_stage_as_reference_is_that_of_the_same_base_at_its_commit(world, tmp_path, monkeypatch):
    monkeypatch.setattr(bases, "frozen", lambda found, _: found)
    monkeypatch.setattr(bases, "commit", lambda _: "0123abc")
    published = replace(of(world / "base"), base="tulu3-8b", stage="dpo", revision="main")
    base = SimpleNamespace(checkpoint=published, at=None)
    found = bases.reference(base, "sft")
    assert (found.name, found.revision) == ("tulu3-8b@sft", "0123abc")
    with pytest.raises(UnpublishedStage, match="tulu3-8b has no published stage instruct"):
        bases.reference(base, "instruct")


@pytest.mark.parametrize("precision", ["bf16", "bf16_weights"])
def test_lower_precisions_find_nearly_the_same(world, tmp_path, found, precision):
    place = Place(tmp_path / "features" / "one", "cpu", precision, 16_384, 0)
    low = probe.measure(of(world / "base"), settings(world), place)
    assert low.protocols["accuracy"].endswith(precision)
    assert low.values["accuracy"] >= 90
    assert low.values["logme"] == pytest.approx(found.values["logme"], abs=0.1)
