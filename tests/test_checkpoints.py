import dataclasses
import functools
import json
import re
from pathlib import Path

import huggingface_hub
import pytest
import tiny_models
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from rm_selection import checkpoints
from rm_selection.checkpoints import STAGES, Base, Checkpoint, StageSource, bases, load_base, resolve
from rm_selection.config import CONF, typed
from rm_selection.errors import ConfigError, MissingModelError, UnpublishedStage
from rm_selection.tables import published

TINY = Base("tiny", "llama", 1.0, None, "mit", {"sft": StageSource("lab/tiny-sft", "v1")})


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    for name in ("get_hf_file_metadata", "hf_hub_download", "snapshot_download", "try_to_load_from_cache"):
        monkeypatch.setattr(huggingface_hub, name, refuse)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "model"
    made.mkdir()
    (made / "config.json").write_text('{"model_type": "llama"}')
    (made / "model.safetensors").touch()
    return made


@pytest.fixture
def conf(tmp_path, monkeypatch):
    """An empty conf/base that a test may write into."""
    monkeypatch.setattr(checkpoints, "CONF", tmp_path)
    (tmp_path / "base").mkdir()
    return tmp_path / "base"


def local(path: Path | str, **changes: object) -> Base:
    settings = OmegaConf.merge(OmegaConf.load(CONF / "base" / "local.yaml"), {"path": str(path), **changes})
    return typed(Base, settings)


PUBLISHED = [name for name in bases() if not name.startswith("micro-")]


@functools.cache
def every_checkpoint() -> list[Checkpoint]:
    return [resolve(base, stage) for base in map(load_base, PUBLISHED) for stage in base.stages]


# --- the shipped bases


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_base_loads_under_the_name_of_its_file_and_every_stage_resolves(name):
    base = load_base(name)
    made = [resolve(base, stage) for stage in base.stages]
    assert [checkpoint.name for checkpoint in made] == [f"{name}@{stage}" for stage in base.stages]
    assert re.fullmatch(r"[a-z0-9.-]+", name)
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+", c.source) and c.revision and c.family and c.licence for c in made)
    assert 0.1 < base.params_b < 14.8
    assert 1 <= base.tokens_t <= 36
    assert len((CONF / "base" / f"{name}.yaml").read_text().splitlines()) <= 14


def test_each_of_the_studys_models_is_one_checkpoint_with_the_same_facts():
    made = [c for c in every_checkpoint() if c.source in set(published().models["model"])]
    ours = {c.source: (c.params_b, c.family, c.licence, c.tokens_t) for c in made}
    columns = ["params_b", "family", "licence", "pretraining_tokens_t"]
    theirs = published().models.set_index("model")[columns]
    assert len(made) == len(ours) == 40
    assert ours == {model: tuple(row) for model, row in zip(theirs.index, theirs.values.tolist(), strict=True)}
    assert sorted(c.stage for c in made) == ["dpo"] + ["instruct"] * 37 + ["rlvr", "sft"]


def test_the_models_of_the_papers_stage_table_are_checkpoints_of_that_stage():
    made = {(c.source, c.stage) for c in every_checkpoint()}
    assert made >= set(published().stages[["model", "stage"]].itertuples(index=False, name=None))


def test_two_checkpoints_with_one_source_are_a_shared_pretrained_model_or_olmos_last_stage():
    seen: dict[tuple[str, str | None], list[Checkpoint]] = {}
    for checkpoint in every_checkpoint():
        seen.setdefault((checkpoint.source, checkpoint.revision), []).append(checkpoint)
    for same in (group for group in seen.values() if len(group) > 1):
        stages = {c.stage for c in same}
        assert stages == {"pretrained"} or (same[0].family == "olmo" and stages == {"rlvr", "instruct"})


@pytest.mark.parametrize(
    ("names", "stages"),
    [
        (["tulu3-8b"], ("pretrained", "sft", "dpo", "rlvr")),
        (["olmo2-1b", "olmo2-7b", "olmo2-13b"], ("pretrained", "sft", "dpo", "rlvr", "instruct")),
        (["smollm3-3b"], ("pretrained", "sft", "instruct")),
        (["zephyr-7b"], ("pretrained", "sft", "dpo")),
        (["llama3.1-8b", "hermes3-8b", "qwen2.5-7b", "qwen3-8b", "qwen3-0.6b"], ("pretrained", "instruct")),
    ],
)
def test_the_bases_that_stages_are_compared_on_have_theirs(names, stages):
    assert [tuple(load_base(name).stages) for name in names] == [stages] * len(names)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("llama3", "meta-llama/Meta-Llama-3-8B-Instruct"),
        ("qwen2", "Qwen/Qwen2-7B-Instruct"),
        ("mistral", "mistralai/Mistral-7B-Instruct-v0.3"),
    ],
)
def test_the_three_short_names_mean_the_models_people_mean(name, source):
    assert resolve(load_base(name), "instruct").source == source


def test_a_glob_on_the_command_line_finds_every_size_and_nothing_else():
    loader = ConfigLoaderImpl(create_config_search_path(str(CONF)))
    (override,) = OverridesParser.create(config_loader=loader).parse_overrides(["base=glob(qwen2.5-*)"])
    found = sorted(override.sweep_string_iterator())
    assert found == ["qwen2.5-0.5b", "qwen2.5-1.5b", "qwen2.5-3b", "qwen2.5-7b"]
    assert sorted(loader.get_group_options("base")) == sorted([*bases(), "local"])


def test_a_resolved_checkpoint_is_plain_data_for_a_record():
    record = json.loads(json.dumps(dataclasses.asdict(resolve(load_base("smollm3-3b"), "sft"))))
    assert record["source"] == "HuggingFaceTB/SmolLM3-3B-checkpoints"
    assert record["revision"] == "it-SFT"
    with pytest.raises(dataclasses.FrozenInstanceError):
        resolve(TINY, "sft").stage = "dpo"


# --- refused names, stages and files


def test_a_stage_that_was_not_published_is_refused_with_those_that_were():
    with pytest.raises(UnpublishedStage, match=r"^tulu3-8b has no published stage instruct; give stage=pretrained or "):
        resolve(load_base("tulu3-8b"), "instruct")
    with pytest.raises(UnpublishedStage, match=r"^tiny has no published stage dpo; give stage=sft$"):
        resolve(TINY, "dpo")


def test_a_stage_nobody_knows_is_refused_even_for_a_folder(folder):
    for base in (TINY, local(folder)):
        with pytest.raises(ConfigError, match=r"stage=intruct is not allowed; give one of pretrained, instruct, sft"):
            resolve(base, "intruct")


def test_an_unknown_base_is_refused_with_the_nearest_names():
    with pytest.raises(ConfigError, match=r"base=qwen2.5-05b is unknown; did you mean qwen2.5-0.5b or "):
        load_base("qwen2.5-05b")


def test_local_without_a_path_is_refused():
    with pytest.raises(ConfigError, match=r"^base local names no checkpoint; give base.path=FOLDER$"):
        resolve(load_base("local"), "instruct")


WHOLE = "name: x\nfamily: f\nparams_b: 1\ntokens_t: null\nlicence: null\nstages: {}\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (WHOLE + "colour: red\n", "unknown setting colour"),
        (WHOLE.replace("licence: null\n", ""), "setting licence has no value"),
        (WHOLE.replace("params_b: 1", "params_b: big"), "params_b is not valid"),
        (
            WHOLE.replace("params_b: 1", "params_b: .nan"),
            "base.params_b=nan of x is not allowed; give a number above 0",
        ),
        (WHOLE.replace("name: x", "name: y"), "name is y; it must be that of the file"),
        (WHOLE.replace("name: x", "name: a__b"), "base.name=a__b is not allowed; give letters"),
        (
            WHOLE.replace("{}", "{rlhf: {repo: a/b, revision: main}}"),
            "x has a stage rlhf; a stage is one of pretrained",
        ),
        (WHOLE.replace("{}", "{sft: {repo: a/b}}"), "setting stages.sft.revision has no value"),
        (WHOLE.replace("{}", "{sft: {repo: a/b, branch: main}}"), "unknown setting stages.sft.branch"),
        (WHOLE.replace("{}", "{sft: {repo: a/b, revision: ''}}"), "x@sft: revision is empty; give a branch"),
        ("- x\n", "is not a table of settings"),
        ("name: [\n", "cannot be read: "),
    ],
)
def test_a_faulty_file_is_refused_by_name_and_key(conf, text, sentence):
    (conf / "x.yaml").write_text(text)
    with pytest.raises(ConfigError, match=re.escape(sentence)) as refusal:
        load_base("x")
    assert "x.yaml" in str(refusal.value)


@pytest.mark.parametrize(
    "repo", ["llama", "/models/llama", "./llama", "a/b/c", "a/..", "https://hf.co/a/b", "a b/c", ""]
)
def test_a_repository_id_of_the_wrong_form_is_refused(repo):
    with pytest.raises(ConfigError, match=r"is no repository id of the form owner/name; for a folder give base=local"):
        Base("x", "f", None, None, None, {"sft": StageSource(repo, "main")})


# --- folders


def test_a_folder_is_a_checkpoint_of_the_stage_it_is_said_to_be(folder):
    checkpoint = resolve(local(folder, name="mine", params_b=0.5), "pretrained")
    assert checkpoint == Checkpoint("mine", "pretrained", "local", 0.5, None, None, str(folder), None)
    assert {resolve(local(folder), stage).name for stage in STAGES} == {f"local@{stage}" for stage in STAGES}


def test_a_folder_never_passes_for_a_published_base(folder):
    with pytest.raises(ConfigError, match=r"base.path given to the published llama3; give base=local"):
        resolve(local(folder, name="llama3"), "sft")
    with pytest.raises(ConfigError, match=r"base.path given to the published tiny"):
        resolve(dataclasses.replace(TINY, path=str(folder)), "sft")


# --- bases that keep a folder a stage


def kept(folder: Path, made_by: str | None = None) -> Base:
    return Base("tiny", "llama", None, None, None, {}, folder=str(folder), made_by=made_by)


def test_a_base_with_a_folder_a_stage_resolves_to_that_of_the_stage(tmp_path):
    tiny_models.checkpoint(tmp_path / "sft")
    found = resolve(kept(tmp_path), "sft")
    assert (found.name, found.source, found.revision) == ("tiny@sft", str(tmp_path / "sft"), None)


def test_a_stage_without_a_folder_is_refused_with_those_there_are(tmp_path):
    for stage in ("sft", "pretrained"):
        (tmp_path / stage).mkdir()
    with pytest.raises(UnpublishedStage, match=r"tiny has no stage dpo in .*; give stage=pretrained or stage=sft"):
        resolve(kept(tmp_path), "dpo")


def test_a_folder_that_was_not_made_is_refused_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(MissingModelError, match="nowhere holds no checkpoint of tiny; make it with: make tiny"):
        resolve(kept(tmp_path / "nowhere", "make tiny"), "sft")


def test_the_bases_of_the_small_world_are_made_by_its_command():
    made = [load_base(name) for name in bases() if name.startswith("micro-")]
    assert len(made) >= 16
    assert all(base.folder.endswith(f"/zoo/{base.name}") and "rm_selection.microcosm" in base.made_by for base in made)
