"""Documents per second of presence scores against a padded loop, and the memory they take by vocabulary.

python experiments/presence/speed.py [MODEL_FOLDER TEXT_FOLDER]     without files: a random model on text made up here

One core, CPU seconds, alternating rounds, median: other work on the machine then hardly matters.
"""

from __future__ import annotations

import ctypes
import gc
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from rm_selection import console
from rm_selection.checkpoints import Checkpoint
from rm_selection.features import documents, language_model, likelihood

ROUNDS, BUDGET, A_DOMAIN = 3, 16384, 20
LIMITS = (512, 2048)  # tokens of a document
VOCABULARIES = (32_000, 128_000)


def made_model(folder: Path, vocabulary: int) -> None:
    """A random Llama of one layer whose words are w0, w1, ..."""
    words = {"<unk>": 0, "<s>": 1, **{f"w{number}": number + 2 for number in range(vocabulary - 2)}}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    named: Any = PreTrainedTokenizerFast
    named(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>").save_pretrained(folder)
    shape: dict[str, Any] = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_attention_heads": 4,
        "tie_word_embeddings": True,
    }
    config = LlamaConfig(vocab_size=vocabulary, num_hidden_layers=1, max_position_embeddings=2048, **shape)
    LlamaForCausalLM(config).save_pretrained(folder)


def made_text(folder: Path) -> None:
    """A hundred documents whose lengths vary as those of real text do: log-normal, median 600 words."""
    draw = random.Random(0)
    texts = [
        " ".join(f"w{draw.randrange(400)}" for _ in range(int(draw.lognormvariate(6.4, 0.8)) + 2)) for _ in range(100)
    ]
    (folder / "made.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


def loaded(folder: str) -> language_model.LanguageModel:
    return language_model.load(Checkpoint("bench", "pretrained", "none", None, None, None, folder, None))


def ours(model: language_model.LanguageModel, texts: list[str], most: int) -> np.ndarray[Any, Any]:
    rows = likelihood.encoded(model.tokenizer, texts, most)
    found = likelihood.prepared(model, "float32").sums([row.ids for row in rows], BUDGET)
    return np.array(found / [len(row.ids) for row in rows])


@torch.no_grad()
def padded(model: language_model.LanguageModel, texts: list[str], most: int) -> np.ndarray[Any, Any]:
    """What one would write first: batches in the order of the data, a mask, all logits, log_softmax."""
    tokenizer, found = model.tokenizer, []
    tokenizer.padding_side = "right"
    for start in range(0, len(texts), BUDGET // most):
        batch = texts[start : start + BUDGET // most]
        options: dict[str, Any] = {"padding": True, "truncation": True, "max_length": most, "return_tensors": "pt"}
        made = tokenizer(batch, add_special_tokens=False, **options)
        mask, ids = made["attention_mask"], made["input_ids"]
        first = torch.full((len(batch), 1), likelihood.prefix(tokenizer))
        inputs, seen = torch.cat([first, ids[:, :-1]], 1), torch.cat([torch.ones_like(first), mask[:, :-1]], 1)
        scores = model.model(input_ids=inputs, attention_mask=seen).logits.log_softmax(-1)
        found += ((scores.gather(2, ids[..., None])[..., 0] * mask).sum(1) / mask.sum(1)).tolist()
    return np.array(found)


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def speed(model: language_model.LanguageModel, texts: list[str]) -> pd.DataFrame:
    """Documents per second of both, their ratio, and the largest difference of a score."""
    rows = []
    if model.tokenizer.pad_token is None:
        model.tokenizer.pad_token = model.tokenizer.bos_token
    for most in LIMITS:
        lengths = [len(row.ids) for row in likelihood.encoded(model.tokenizer, texts, most)]
        off = float(np.abs(ours(model, texts, most) - padded(model, texts, most)).max())
        pairs = [[seconds(partial(f, model, texts, most)) for f in (ours, padded)] for _ in range(ROUNDS)]
        mine, theirs = (len(texts) / statistics.median(column) for column in zip(*pairs, strict=True))
        ratios = [slow / quick for quick, slow in pairs]
        spread = f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        full = f"{np.mean([length == most for length in lengths]):.0%}"
        rows.append((str(most), full, f"{mine:.1f}", f"{theirs:.1f}", spread, f"{off:.1e}"))
    return pd.DataFrame(
        rows, columns=["tokens", "cut there", "documents/s", "padded loop", "times", "largest difference"]
    )


def peak() -> float:
    """MiB of memory the process has held at most since the mark was last set back."""
    status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    return int(status.split()[0]) / 1024


def memory(vocabulary: int) -> None:
    """Print the MiB that scoring BUDGET tokens adds to the peak of a process, in documents of 2048."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        made_model(Path(folder), vocabulary)
        prepared = likelihood.prepared(loaded(folder), "float32")
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what loading freed must not hide what scoring takes
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    prepared.sums([[5] * 2048] * (BUDGET // 2048), BUDGET)
    print(peak() - before)


def memories() -> pd.DataFrame:
    rows = []
    for vocabulary in VOCABULARIES:
        command = [sys.executable, __file__, "--memory", str(vocabulary)]
        grown = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        rows.append((str(vocabulary), f"{grown:.0f}", f"{BUDGET * vocabulary * 4 / 2**20:.0f}"))
    return pd.DataFrame(rows, columns=["vocabulary", "MiB added", "MiB of its logits"])


def main(arguments: list[str]) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as made:
        if not arguments:
            made_model(Path(made), 512)
            made_text(Path(made))
        folder, text = arguments or (made, made)
        read = documents.read(documents.files(Path(text)), A_DOMAIN if arguments else 1000, Counter())
        model, texts = loaded(folder), [one.text for one in read]
    title = f"Presence scores of {len(texts)} documents, {ROUNDS} rounds, {BUDGET} padded tokens a batch"
    console.table(title, speed(model, texts))
    console.table(f"Peak memory of scoring {BUDGET} tokens in documents of 2048", memories())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--memory"]:
        memory(int(sys.argv[2]))
    else:
        main(sys.argv[1:])
