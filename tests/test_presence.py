"""Presence scores from the command line to the record: values, protocols, guards, and going on after a kill."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny_models
import torch
from transformers import AutoModelForCausalLM

from rm_selection.errors import DataError, MeasurementError
from rm_selection.features import Place, document_scores, presence
from rm_selection.measure_settings import PresenceConfig

torch.set_num_threads(1)
HUB = {"repo": "a/b", "revision": "main", "split": "train"}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_models.checkpoint(tmp_path_factory.mktemp("base"))


def written(folder: Path, name: str, texts: list[str]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


def texts(count: int) -> list[str]:
    return [f"Document {i}: {'so ' * (i * 7 % 31)}on." for i in range(count)]


def measured(base, folder: Path, source: Path, max_tokens: int = 64, limit: int = 100, tokens_per_batch: int = 512):
    settings = PresenceConfig(path=str(source), limit=limit, max_tokens=max_tokens, name="presence", **HUB)
    folder.mkdir(exist_ok=True)
    return presence.measure(base, settings, Place(folder, "cpu", "float32", tokens_per_batch, 0))


@torch.no_grad()
def plain_scores(base, documents: list[str], most: int) -> list[float]:
    model = AutoModelForCausalLM.from_pretrained(base.source, dtype=torch.float64).eval()
    found = []
    for text in documents:
        ids = torch.tensor([tiny_models.tokenizer()(text)["input_ids"][: most + 1]])  # BOS and `most` tokens
        log_p = model(input_ids=ids).logits[0, :-1].log_softmax(-1)
        found.append(float(log_p.gather(1, ids[0, 1:, None]).mean()))
    return found


def test_values_are_means_of_a_plain_loop_and_scores_are_kept(base, tmp_path):
    written(tmp_path / "text", "arxiv", texts(9))
    written(tmp_path / "text", "books", ["\u00e9" * 80, "other words"])
    found = measured(base, tmp_path / "run", tmp_path / "text")
    assert found.values["arxiv"] == pytest.approx(np.mean(plain_scores(base, texts(9), 64)), abs=1e-5)
    scores = pd.read_parquet(tmp_path / "run" / "scores.parquet")
    assert list(scores.columns) == ["id", "domain", "tokens", "bytes", "cut", "log_p"]
    books = scores[scores["domain"] == "books"]
    assert books[["id", "tokens", "bytes", "cut"]].to_numpy().tolist() == [
        ["books.jsonl:1", 64, 128, True],
        ["books.jsonl:2", 11, 11, False],
    ]
    assert found.values["books_per_byte"] == pytest.approx((books["log_p"] / books["bytes"]).mean())
    assert found.tokens == scores["tokens"].sum()
    assert not (tmp_path / "run" / "parts").exists()


def test_only_figures_a_token_end_in_their_vocabulary_and_all_name_their_documents(base, tmp_path):
    written(tmp_path / "text", "arxiv", texts(3))
    found = measured(base, tmp_path / "run", tmp_path / "text")
    how, vocabulary = found.protocols["arxiv"].split("; vocabulary ")
    assert len(vocabulary) == 8
    assert found.protocols["arxiv_per_byte"] == how.replace("a token", "a byte")
    written(tmp_path / "text", "arxiv", texts(4))
    assert measured(base, tmp_path / "run2", tmp_path / "text").protocols["arxiv"] != found.protocols["arxiv"]


def test_intervals_hold_their_value(base, tmp_path):
    written(tmp_path / "text", "arxiv", texts(30))
    found = measured(base, tmp_path / "run", tmp_path / "text")
    for name, (low, high) in found.details["intervals"].items():
        assert low < found.values[name] < high


def test_a_model_that_reads_less_decides_what_counts(base, tmp_path):
    written(tmp_path / "text", "arxiv", ["word " * 200])
    found = measured(base, tmp_path / "run", tmp_path / "text", max_tokens=2048)
    assert (found.tokens, found.details["tokens_a_document"]) == (512, 512)
    assert "first 512 tokens" in found.protocols["arxiv"]


def test_unusable_documents_are_counted_and_a_domain_of_them_is_absent(base, tmp_path):
    written(tmp_path / "text", "mixed", ["good text", "", "x", "\u6f22\u5b57", "half \ud800", "long " * 2 * 2**20])
    written(tmp_path / "text", "other", ["\u6f22\u5b57\u6f22", "a"])
    found = measured(base, tmp_path / "run", tmp_path / "text")
    assert set(found.values) == {"mixed", "mixed_per_byte"}
    assert found.details["domains"]["mixed"] == {
        "documents": 2,
        "cut": 1,
        "dropped": {"blank": 1, "not valid Unicode": 1, "fewer than two tokens": 1, "only unknown tokens": 1},
    }
    assert found.details["domains"]["other"]["absent"] == "no usable document of 2"


def test_nothing_usable_is_refused_with_the_reasons(base, tmp_path):
    written(tmp_path / "text", "a", ["", "x", "\u6f22\u5b57"])
    with pytest.raises(
        DataError, match=r"no usable document \(1 blank, 1 fewer than two tokens, 1 only unknown tokens\)"
    ):
        measured(base, tmp_path / "run", tmp_path / "text")
    written(tmp_path / "text", "a", [""])
    with pytest.raises(DataError, match=r"no usable document \(1 blank\); give feature.path documents of two tokens"):
        measured(base, tmp_path / "run", tmp_path / "text")


def test_a_score_that_is_not_finite_is_refused(base, tmp_path, monkeypatch):
    written(tmp_path / "text", "a", texts(2))
    monkeypatch.setattr(document_scores.Likelihood, "sums", lambda self, rows, budget: np.full(len(rows), np.nan))
    monkeypatch.setattr(
        presence.likelihood, "prepared", lambda model, precision: document_scores.Likelihood(model, "float32")
    )
    with pytest.raises(MeasurementError, match=r"document a\.jsonl:1 is nan; use hardware.precision=float32"):
        measured(base, tmp_path / "run", tmp_path / "text")


def test_shards_and_batches_change_no_score(base, tmp_path, monkeypatch):
    written(tmp_path / "text", "arxiv", texts(20))
    whole = measured(base, tmp_path / "one", tmp_path / "text").values
    monkeypatch.setattr(document_scores, "SHARD", 3)
    assert measured(base, tmp_path / "two", tmp_path / "text", tokens_per_batch=70).values == pytest.approx(
        whole, abs=1e-5
    )


def test_parts_of_other_weights_or_texts_are_not_taken(base, tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(presence.shutil, "rmtree", lambda path, **options: kept.append(path))
    written(tmp_path / "text", "arxiv", texts(5))
    first = measured(base, tmp_path / "run", tmp_path / "text").values
    other = tiny_models.checkpoint(tmp_path / "other", seed=1)
    assert measured(other, tmp_path / "run", tmp_path / "text").values != first
    written(tmp_path / "text", "arxiv", texts(5)[::-1])
    measured(base, tmp_path / "run", tmp_path / "text")
    assert len(list(kept[0].glob("*.parquet"))) == 3


SLOWLY = """
import time, torch
torch.set_num_threads(1)
from rm_selection.features import document_scores, likelihood
document_scores.SHARD = 10
sums = likelihood.Likelihood.sums
def slow(self, rows, budget):
    with open(CALLS, "a") as calls:
        calls.write(f"{len(rows)}\\n")
    time.sleep(WAIT)
    return sums(self, rows, budget)
likelihood.Likelihood.sums = slow
from rm_selection.measure import main
main()
"""


def test_after_a_kill_the_same_command_goes_on(base, tmp_path):
    written(tmp_path / "text", "arxiv", texts(60))
    arguments = ["base=local", f"base.path={base.source}", "feature=presence", f"feature.path={tmp_path / 'text'}"]
    arguments += ["study=mine", f"output={tmp_path / 'out'}", "hardware=cpu", "feature.max_tokens=64"]

    def command(calls: Path, wait: float) -> list[str]:
        return [sys.executable, "-c", f"CALLS, WAIT = {str(calls)!r}, {wait}\n{SLOWLY}", *arguments]

    folder = tmp_path / "out" / "mine" / "features"
    killed = subprocess.Popen(command(tmp_path / "first", 0.5), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 60
    while len(list(folder.glob("*/parts/[!.]*.parquet"))) < 2 and time.time() < deadline:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not list(folder.glob("*/run.json"))
    done = len(list(folder.glob("*/parts/[!.]*.parquet")))
    subprocess.run(command(tmp_path / "second", 0), check=True, capture_output=True)
    shards = (tmp_path / "second").read_text().split().count("10")
    assert 2 <= done < 6
    assert shards == 6 - done
    [record] = [json.loads(path.read_text()) for path in folder.glob("*/run.json")]
    assert record["status"] == "finished"
    assert record["values"]["arxiv"] == pytest.approx(np.mean(plain_scores(base, texts(60), 64)), abs=1e-5)
