import json
from dataclasses import asdict
from pathlib import Path

import pytest
from tiny_models import pairs as made_pairs
from tiny_models import ratings as made_ratings

from rm_selection.errors import ConfigError, DataError
from rm_selection.features.probe_data import pairs, prompts, ratings


def write(path: Path, rows: list[dict]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def file(tmp_path) -> str:
    return write(tmp_path / "pairs.jsonl", [asdict(pair) for pair in made_pairs(60)])


def rated(count: int) -> list[dict]:
    rows = [{**asdict(row), **row.ratings} for row in made_ratings(count)]
    return [{name: value for name, value in row.items() if name != "ratings"} for row in rows]


def test_the_choice_is_the_seeds_and_keeps_the_order(file):
    one, same, other = (pairs(file, 30, 2048, seed) for seed in (0, 0, 1))
    assert one == same
    assert one.sha256 != other.sha256
    assert [int(row.id) for row in one.rows] == sorted(int(row.id) for row in one.rows)
    assert (len(one.rows), one.name, one.counts["read"], one.counts["drawn"]) == (30, "pairs.jsonl", 60, 30)


def test_prompts_are_drawn_whole(tmp_path):
    rows = [asdict(pair) for pair in made_pairs(60)]
    for number, row in enumerate(rows):
        row["prompt"][0]["content"] = f"Q{number % 20}?"
    chosen = pairs(write(tmp_path / "pairs.jsonl", rows), 30, 2048, 0)
    assert len(set(prompts(chosen.rows))) == 10


def test_rows_too_long_for_any_base_are_left_out(tmp_path):
    rows = [asdict(pair) for pair in made_pairs(30)]
    rows[3]["chosen"][0]["content"] = "long " * 100
    chosen = pairs(write(tmp_path / "pairs.jsonl", rows), 100, 100, 0)
    assert chosen.counts["dropped_over_long_in_bytes"] == 1
    assert len(chosen.rows) == 29


def test_all_rated_fields_of_a_file_are_attributes(tmp_path):
    file = write(tmp_path / "ratings.jsonl", rated(40))
    chosen, attributes = ratings(file, None, 100, 2048, 0)
    assert attributes == ("help", "length")
    assert ratings(file, ["length"], 100, 2048, 0)[1] == ("length",)
    assert chosen.rows[0].ratings == {"help": 4.0, "length": 0.0}


def test_a_file_without_attributes_is_refused(file):
    with pytest.raises(
        DataError, match=r"no row of .*pairs\.jsonl is rated: a rating is a number in a field of its own"
    ):
        ratings(file, None, 100, 2048, 0)


def test_a_file_that_is_no_pairs_or_holds_none_is_refused(tmp_path):
    tie = {"prompt": "a", "chosen": "yes", "rejected": "yes"}
    with pytest.raises(DataError, match="holds no usable pair: 2 rows read, 2 dropped_equal_sides"):
        pairs(write(tmp_path / "ties.jsonl", [tie, tie]), 100, 2048, 0)
    with pytest.raises(DataError, match=r"nowhere\.jsonl does not exist"):
        pairs(str(tmp_path / "nowhere.jsonl"), 100, 2048, 0)


def test_a_dataset_name_reads_its_training_part(monkeypatch):
    read = []
    monkeypatch.setattr("rm_selection.features.probe_data.read_pairs", lambda source: read.append(source) or 1 / 0)
    for name in ("helpsteer2_preference", "helpsteer2"):  # the second holds ratings, and names the first
        with pytest.raises(ZeroDivisionError):
            pairs(name, 100, 2048, 0)
    assert str(read[0]) == str(read[1]) == "nvidia/HelpSteer2/preference/train/train"


def test_a_dataset_name_brings_its_attributes(monkeypatch):
    read = []
    monkeypatch.setattr("rm_selection.features.probe_data.read_ratings", lambda *given: read.append(given) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ratings("helpsteer2", None, 100, 2048, 0)
    assert read[0][1:] == (("helpfulness", "correctness", "coherence", "complexity", "verbosity"), 0, 4)


def test_a_dataset_of_the_other_kind_is_refused():
    with pytest.raises(ConfigError, match="objective=regression learns from ratings"):
        ratings("ultrafeedback", None, 100, 2048, 0)


def test_the_name_of_files_of_ones_own_is_refused():
    with pytest.raises(ConfigError, match="jsonl of conf/dataset names no data of its own; give the file"):
        pairs("jsonl", 100, 2048, 0)
