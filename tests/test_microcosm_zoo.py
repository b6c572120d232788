"""The smoke zoo, built once; its entries then damaged."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_microcosm import smoke
from transformers import AutoModelForCausalLM, AutoTokenizer

from rm_selection.microcosm import zoo


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    settings, began = smoke(tmp_path_factory.mktemp("world"), scale=0.01), time.process_time()
    done = list(zoo.build(settings, jobs=1))
    assert time.process_time() - began < 25
    assert sorted(done) == sorted((name, True) for name in settings.bases)
    return settings


@pytest.mark.parametrize("stage", zoo.STAGES)
def test_a_base_loads_in_plain_transformers_and_chats(built, stage):
    folder = f"{built.folder}/zoo/{built.bases[0]}/{stage}"
    model, words = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    turns = [{"role": "user", "content": "what is 2 plus 3 ?"}, {"role": "assistant", "content": "2 plus 3 equals 5 ."}]
    ids = words.apply_chat_template(turns, return_dict=False)
    assert words.convert_ids_to_tokens(ids)[:4] == ["<s>", "<|user|>", "what", "is"]
    assert ids[-1] == words.eos_token_id
    assert words.unk_token_id not in ids
    assert torch.isfinite(model(torch.tensor([ids])).logits).all()


def test_what_is_whole_is_kept_and_what_is_damaged_alone_is_built_again(built):
    assert not any(new for _, new in zoo.build(built, jobs=1))
    weights = next(iter(sorted((Path(built.folder) / "zoo" / built.bases[1]).rglob("*.safetensors"))))
    before = weights.read_bytes()
    weights.write_bytes(before[:-4] + bytes(4))
    assert dict(zoo.build(built, jobs=1)) == {name: name == built.bases[1] for name in built.bases}
    assert weights.read_bytes() == before


def test_another_world_is_built_anew(built):
    other = replace(built, seed=4)
    recipe = zoo.wanted(built)[0]
    folder = Path(built.folder) / "zoo" / recipe.name
    assert zoo.whole(folder, recipe, built)
    assert not zoo.whole(folder, recipe, other)


def test_a_build_killed_half_way_keeps_what_it_finished(built, monkeypatch, tmp_path):
    settings = replace(built, folder=str(tmp_path))
    running = zoo.build(settings, jobs=1)
    first, _ = next(running)
    running.close()
    left = dict(zoo.build(settings, jobs=1))
    assert left[first] is False
    assert len(left) == len(built.bases)
