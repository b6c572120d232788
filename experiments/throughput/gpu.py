"""Tokens/s and memory of training 1B and 7B Llama shapes with random weights, appended to GPU.md.

python experiments/throughput/gpu.py --steps 200 --shapes 1b,7b        (part of `make gpu`; one CUDA device)
python experiments/throughput/gpu.py --steps 4 --shapes tiny,tiny-lora (anywhere: shows that the script runs)
"""

from __future__ import annotations

import argparse
import math
import random
import string
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from rm_selection import bradley_terry, console
from rm_selection.preferences import Message, Pair
from rm_selection.protocol import Lora, Protocol, Run
from rm_selection.reward_model import Precision, RewardModel
from rm_selection.speed import random_model
from rm_selection.throughput_settings import SHAPES as SIZES

TABLE = Path(__file__).with_name("GPU.md")
# Tokens, as median and spread of a log-normal: our stand-in for HelpSteer2's lengths, which are not shipped.
PROMPT, RESPONSE, LONGEST = ("user", 120, 1.0), ("assistant", 330, 0.6), 2048


@dataclass(frozen=True)
class Shape:
    """Sizes of a Llama and how it is trained: in full with bf16 arithmetic, or LoRA on bf16 weights."""

    sizes: tuple[int, int, int, int, int, int]  # hidden, intermediate, layers, heads, key-value heads, vocabulary
    protocol: Protocol


FULL = Protocol()
LORA = replace(FULL, lora=Lora(), micro_batch=4, gradient_checkpointing=True)
SHAPES = {
    "1b": Shape(SIZES["1b"], FULL),
    "7b": Shape(SIZES["7b"], LORA),  # in full: 108 GB before activations
    "tiny": Shape((32, 64, 2, 4, 2, 256), FULL),
    "tiny-lora": Shape((32, 64, 2, 4, 2, 256), LORA),
}


@dataclass
class Meter:
    """Tokens and seconds from the end of the first step to the end of the last, evaluation and saving left out."""

    began: float = 0.0
    seconds: float = 0.0
    real: Any = 0
    padded: int = 0
    done: int = 0

    def hear(self, line: dict[str, float]) -> None:
        """A line of the training log; the Trainer has waited for the loss before it writes one."""
        if "loss" in line:
            self.done, now = int(line["step"]), time.perf_counter()
            self.began = now if self.done == 1 else self.began
            self.seconds = now - self.began

    def count(self, module: torch.nn.Module, _args: Any, inputs: dict[str, torch.Tensor]) -> None:
        """Forward hook: real and padded tokens of a batch."""
        if module.training and self.done:
            self.real = self.real + inputs["attention_mask"].sum()
            self.padded += inputs["attention_mask"].numel()


def model(shape: Shape, device: str) -> RewardModel:
    """The shape with random weights, a tokenizer of one token a letter, and a one-output head."""
    vocabulary = {token: i for i, token in enumerate(("<unk>", "<s>", "</s>", "<pad>", *string.printable))}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = cast(Any, pre_tokenizers.Split(pattern="", behavior="isolated"))
    tokenizer = cast(Any, PreTrainedTokenizerFast)(tokenizer_object=made, eos_token="</s>", pad_token="<pad>")
    precision: Precision = "bf16" if shape.protocol.lora is None else "bf16_weights"
    return random_model(shape.sizes, tokenizer, LONGEST, precision, device)


def pairs(count: int, seed: int = 0) -> list[Pair]:
    """Random letters at random lengths, at most 900 a message, so that a conversation fits LONGEST."""
    rng = random.Random(seed)

    def message(role: str, median: int, spread: float) -> tuple[Message]:
        length = min(max(round(rng.lognormvariate(math.log(median), spread)), 4), 900)
        return ({"role": role, "content": "".join(rng.choices(string.ascii_lowercase, k=length))},)

    return [Pair(message(*PROMPT), message(*RESPONSE), message(*RESPONSE), None, None, str(i)) for i in range(count)]


def measure(name: str, steps: int, global_batch: int, device: str) -> str:
    """Train the shape for that many steps of global_batch pairs; returns a row of the table."""
    shape, meter, cuda = SHAPES[name], Meter(), device == "cuda"
    rm = model(shape, device)
    protocol = replace(shape.protocol, global_batch=global_batch, max_steps=steps, checkpoint_every=steps)
    rm.model.register_forward_pre_hook(meter.count, with_kwargs=True)
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as folder:
        bradley_terry.train(
            rm, pairs(steps * protocol.global_batch), pairs(16, seed=1), protocol, Run(Path(folder), meter.hear)
        )
    how = f"{'LoRA on bf16 weights' if protocol.lora else 'full, bf16'}, {protocol.micro_batch} of {global_batch} pairs"
    cells = [date.today().isoformat(), torch.cuda.get_device_name() if cuda else "CPU", name]
    cells += [how + (", recomputed" if protocol.gradient_checkpointing else ""), str(steps)]
    cells += [f"{meter.real / meter.seconds:,.0f}", f"{1 - meter.real / meter.padded:.0%}"]
    cells += [f"{torch.cuda.max_memory_allocated() / 2**30:.1f}" if cuda else "-", f"{meter.seconds:.1f}"]
    cells.append(", ".join(f"{package} {version(package)}" for package in ("torch", "transformers", "trl", "peft")))
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure the shapes asked for; those of billions of weights need CUDA."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--shapes", default="1b,7b")
    parser.add_argument("--global-batch", type=int, default=FULL.global_batch, help="pairs an optimiser step")
    given = parser.parse_args()
    names = given.shapes.split(",")
    if given.steps < 2 or set(names) - set(SHAPES):
        parser.error(f"--steps={given.steps} --shapes={given.shapes}: at least 2 steps, shapes of {', '.join(SHAPES)}")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not all(name.startswith("tiny") for name in names):
        console.line("no CUDA device: nothing was run")
        return
    for name in names:
        row = measure(name, given.steps, given.global_batch, device)
        console.line(row)
        if device == "cuda":
            TABLE.write_text(f"{TABLE.read_text(encoding='utf-8')}{row}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
