"""How many tokens a cell has to run, against counts done by hand."""

import gzip
import json
import math

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from rm_selection import loads
from rm_selection.config import CONF, typed
from rm_selection.errors import ConfigError
from rm_selection.train_settings import TrainConfig


def settings(*words: str) -> TrainConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return typed(TrainConfig, compose("train", overrides=list(words)))


def test_the_studys_protocol_by_hand():
    """6,766 pairs of two sides; 106 steps of 64, so 6 checkpoints that score 352 pairs each; ten rates."""
    each = loads.mean_length(120, 1.0, 900) + loads.mean_length(330, 0.6, 900)
    found = loads.of(settings())
    assert found.train == pytest.approx(6_766 * 2 * each)
    assert found.validation == pytest.approx(6 * 352 * 2 * each)
    assert found.probe == pytest.approx(1_000 * 2 * each)
    assert (found.rates, found.search, found.row) == (10, "grid", 2 * 2048)


def test_the_other_objective_takes_the_ratings_twice():
    """20,324 answers in two epochs: 636 steps, so 32 checkpoints of 1,038 answers."""
    each = loads.mean_length(120, 1.0, 900) + loads.mean_length(330, 0.6, 900)
    found = loads.of(settings("objective=regression"))
    assert found.train == pytest.approx(2 * 20_324 * each)
    assert found.validation == pytest.approx(32 * 1_038 * each)
    assert found.row == 2048


def test_the_mean_of_a_cut_off_log_normal_is_that_of_a_simulation():
    drawn = np.random.default_rng(0).lognormal(math.log(120), 1.0, 400_000)
    assert loads.mean_length(120, 1.0, 900) == pytest.approx(np.minimum(drawn, 900).mean(), rel=0.01)


def write(path, rows):
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.jsonl.gz"])
def test_a_file_counts_by_its_bytes(tmp_path, name):
    """Each side: 40 bytes of prompt and 40 of response, so 2 x 20 tokens a pair; 1,500 of them, 5% held out."""
    rows = [{"prompt": "p" * 40, "chosen": f"{n:040}", "rejected": "r" * 40} for n in range(1_500)]
    path = write(tmp_path / name, rows)
    files = [f"dataset.train={path}", f"evaluation.path={path}"]
    found = loads.of(settings("dataset=jsonl", "evaluation=jsonl", *files))
    assert found.train == pytest.approx(1_425 * 40)
    assert found.validation == pytest.approx(2 * 75 * 40)  # 23 steps: checkpoints at 20 and at the end
    assert found.scored == 1_500 * 40
    assert (found.probe, found.row) == (1_000 * 40, 40)


def test_a_file_of_ratings_and_limits(tmp_path):
    rows = [{"prompt": "p" * 40, "response": f"{n:040}", "good": n % 3} for n in range(100)]
    path = write(tmp_path / "ratings.jsonl", rows)
    words = ["objective=regression", "dataset=jsonl", "dataset.kind=ratings", f"dataset.train={path}"]
    words += [f"dataset.validation={path}", "dataset.limit=64", "training.max_steps=1"]
    found = loads.of(settings(*words, "dataset.attributes=[good]", "dataset.low=0", "dataset.high=2"))
    assert (found.train, found.validation) == (64 * 20, 64 * 20)
    with pytest.raises(ConfigError, match="ratings need"):
        loads.of(settings(*words))


def test_the_counterpart_of_a_dataset_is_looked_for_in_the_same_world(tmp_path):
    folder = tmp_path / "world" / "ratings"
    folder.mkdir(parents=True)
    names = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
    rows = [{"prompt": "p" * 40, "response": f"{n:040}", **dict.fromkeys(names, n % 3)} for n in range(10)]
    for part in ("train", "validation"):
        write(folder / f"{part}.jsonl", rows)
    (tmp_path / "world" / "evaluation.jsonl").write_text('{"prompt": "p", "chosen": "yes", "rejected": "no"}\n')
    words = ["objective=regression", "dataset=microcosm", "evaluation=microcosm"]
    assert loads.of(settings(*words, f"microcosm.folder={tmp_path / 'world'}")).train == 2 * 10 * 20


def test_how_it_is_trained_is_taken_along():
    found = loads.of(settings("training=lora", "hardware.precision=bf16_weights", "objective.search=climb"), 0.5)
    assert (found.lora_rank, found.precision, found.search, found.until) == (16, "bf16_weights", "climb", 0.5)


def test_what_nothing_tells_the_size_of_is_refused():
    with pytest.raises(ConfigError, match=r"nothing tells how much mine holds.*helpsteer2, helpsteer2_preference"):
        loads.of(settings("dataset.name=mine"))
