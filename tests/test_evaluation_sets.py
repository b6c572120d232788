"""Benchmarks from files, and the commands that choose them."""

import json
from dataclasses import replace
from functools import partial

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from raw_rows import answer, row, user, written
from test_evaluation_layouts import JUDGEBENCH, REWARDBENCH2, RM_BENCH

from rm_selection import evaluation_sets
from rm_selection.config import CONF, typed
from rm_selection.errors import ConfigError, DataError
from rm_selection.evaluation_sets import EvaluationConfig, read_evaluation, sources
from rm_selection.preferences import Source, read_pairs

NAMES = ("jsonl", "judgebench", "microcosm", "rewardbench", "rewardbench2", "rm_bench", "rmb")
# huggingface.co/datasets/allenai/reward-bench, features of its card.
REWARDBENCH = {
    "prompt": "Fix this.",
    "chosen": "def f(): return 1",
    "chosen_model": "human",
    "rejected": "def f(): return 2",
    "rejected_model": "human",
    "subset": "hep-python",
    "id": 4201,
}


@pytest.fixture
def write(tmp_path):
    return partial(written, tmp_path)


def chosen(*words):
    """What a command with these words evaluates on."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        content = OmegaConf.to_container(compose("evaluate", list(words)), resolve=True, throw_on_missing=False)
        return sources(typed(EvaluationConfig, OmegaConf.create(content["evaluation"])))


def test_a_row_of_rewardbench_is_a_pair(write):
    read = read_evaluation("rewardbench", write([REWARDBENCH]))
    (pair,) = read.rows
    assert pair.conversations[0] == (user("Fix this."), answer("def f(): return 1"))
    assert (pair.id, pair.subset) == ("4201", "hep-python")


def test_pairs_of_the_schema_are_read_as_for_training(write):
    source = write([row(subset="hep-go", id="a"), row(subset="hep-js", prompt="3 + 1?"), row(subset="hep-js")])
    expected = read_pairs(source)
    assert read_evaluation("rewardbench", source) == read_evaluation("jsonl", source) == expected


def test_what_cannot_be_scored_is_counted(write):
    broken = RM_BENCH | {"id": 8, "rejected": ["No.", " ", "Yes."]}
    read = read_evaluation("rm_bench", write([RM_BENCH, broken, RM_BENCH | {"id": 9, "chosen": []}]))
    counts = {name: n for name, n in read.counts.items() if n}
    dropped = {"dropped_empty_turn": 3, "dropped_equal_sides": 1, "dropped_missing_side": 1}
    assert counts == {"read": 19, "kept": 14, "duplicates": 3} | dropped
    assert len(read.rows) == 14


def test_the_limit_counts_prompts_so_that_they_stay_whole(write):
    source = write([RM_BENCH | {"id": n} for n in range(3)])
    read = read_evaluation("rm_bench", source, limit=2)
    assert {pair.id.partition("#")[0] for pair in read.rows} == {"0", "1"}
    assert read.counts["kept"] == 18


def test_an_id_in_several_subsets_is_told_apart_by_them(write):
    read = read_evaluation("rm_bench", write([RM_BENCH, RM_BENCH | {"domain": "code"}, RM_BENCH | {"id": 8}]))
    assert [pair.id for pair in read.rows[::9]] == ["math/7#0-0", "code/7#0-0", "8#0-0"]


def test_the_hash_follows_the_content(write):
    first = read_evaluation("judgebench", write([JUDGEBENCH]))
    turned = read_evaluation("judgebench", write([JUDGEBENCH | {"label": "A>B"}]))
    assert first.sha256 != turned.sha256
    assert first.sha256 == read_evaluation("judgebench", write([JUDGEBENCH], name="rows.jsonl.gz")).sha256


def test_a_split_of_a_repository_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "data").mkdir()
    for split in ("gpt", "claude"):  # the file names of ScalerLab/JudgeBench on the Hub
        text = json.dumps(JUDGEBENCH | {"pair_id": split})
        (tmp_path / "data" / f"{split}-00000-of-00001.jsonl").write_text(text)
    source = chosen("evaluation=judgebench")["judgebench"][1]
    read = read_evaluation("judgebench", replace(source, path_or_repo=str(tmp_path)))
    assert [pair.id for pair in read.rows] == ["gpt"]


@pytest.mark.parametrize(
    ("benchmark", "rows", "message"),
    [
        ("rewardbench", [REWARDBENCH, {"prompt": "x"}], "rows.jsonl, line 2: field subset is missing"),
        ("rewardbench", [REWARDBENCH, REWARDBENCH], "line 2: id 4201 is there already in .*line 1; make ids unique"),
        ("rewardbench", [REWARDBENCH | {"subset": "hep-py"}], "rows.jsonl: RewardBench has no subset hep-py; near"),
        ("rewardbench", [REWARDBENCH | {"rejected": 3}], "line 1: rejected must be a text or a list of messages"),
        ("rewardbench", [REWARDBENCH | {"rejected": ""}], "no usable pair of rewardbench: 1 read, 1 dropped_empty"),
        ("rewardbench2", [REWARDBENCH2 | {"id": "4"}], "rows.jsonl: the Ties prompt 4 is of no known kind"),
        ("rewardbench2", [row(subset="Math", id="1")], "the id 1 does not say which responses it compares"),
        ("rm_bench", [RM_BENCH | {"chosen": ["a"]}], "no prompt of .*rows.jsonl has all the responses of rm_bench"),
        ("mt_bench", [row()], "there is no evaluation named mt_bench; choose one of rewardbench, rewardbench2"),
    ],
)
def test_what_is_not_the_benchmark_stops_before_anything_is_scored(write, benchmark, rows, message):
    with pytest.raises(DataError, match=message):
        read_evaluation(benchmark, write(rows))


def test_a_hub_out_of_reach_names_the_way_out_of_an_evaluation(monkeypatch):
    def unreachable(source):
        raise DataError(f"the Hub cannot be reached for {source}; dataset.train=FILE", "no network")

    monkeypatch.setattr(evaluation_sets, "pinned", unreachable)
    with pytest.raises(DataError, match=r"for a/b; check evaluation.sets.rm_bench, or read a file") as caught:
        read_evaluation("rm_bench", Source("hub", "a/b"))
    assert caught.value.kind == "no network"
    assert "dataset.train" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("evaluation=jsonl evaluation.path=F", {"jsonl": "F"}),
        ("evaluation=rewardbench", {"rewardbench": "allenai/reward-bench/filtered"}),
        ("", {"rewardbench": "allenai/reward-bench/filtered"}),
        (
            "evaluation=[rewardbench,rm_bench]",
            {"rewardbench": "allenai/reward-bench/filtered", "rm_bench": "THU-KEG/RM-Bench/train"},
        ),
        (
            "evaluation=[rewardbench,jsonl] evaluation.path=F",
            {"rewardbench": "allenai/reward-bench/filtered", "jsonl": "F"},
        ),
        ("evaluation=rewardbench evaluation.path=F", {"rewardbench": "F"}),
        ("evaluation=[rmb,jsonl] evaluation.sets.rmb.path=F evaluation.path=G", {"rmb": "F", "jsonl": "G"}),
    ],
)
def test_a_command_chooses_benchmarks(words, expected):
    found = chosen(*words.split())
    assert {name: str(source) for name, (_, source, _) in found.items()} == expected


def test_a_file_can_follow_another_benchmark_and_be_cut_short():
    words = ("evaluation.path=F", "evaluation.sets.jsonl.benchmark=rm_bench", "evaluation.sets.jsonl.limit=5")
    assert chosen("evaluation=jsonl", *words) == {"jsonl": ("rm_bench", Source("jsonl", "F"), 5)}


def test_every_benchmark_can_be_chosen():
    assert {path.stem for path in (CONF / "evaluation").glob("*.yaml")} == set(NAMES)
    found = chosen(f"evaluation=[{','.join(NAMES)}]", "evaluation.sets.rmb.path=F", "evaluation.path=G")
    expected = {name: name for name in NAMES} | {"microcosm": "jsonl"}
    assert {name: benchmark for name, (benchmark, _, _) in found.items()} == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("evaluation=jsonl", "evaluation.path=null is not allowed; give a file of JSON lines to score jsonl on"),
        ("evaluation=jsonl evaluation.path=", "evaluation.path= is not allowed; give a file"),
        ("evaluation=[rewardbench,rmb]", "evaluation.sets.rmb.path=null is not allowed; give a file"),
        ("evaluation=[rmb,jsonl] evaluation.path=F", "give evaluation.sets.NAME.path=FILE, where NAME is rmb or jsonl"),
        ("evaluation=[rewardbench,rm_bench] evaluation.path=F", "where NAME is rewardbench or rm_bench"),
        (
            "evaluation.sets.rewardbench.benchmark=mtbench",
            "evaluation.sets.rewardbench.benchmark=mtbench is not allowed",
        ),
        ("evaluation.sets.rewardbench.limit=0", "evaluation.sets.rewardbench.limit=0 is not allowed; give a whole"),
    ],
)
def test_a_command_without_a_source_is_refused(words, message):
    with pytest.raises(ConfigError, match=message):
        chosen(*words.split())
