"""What a training, a scoring or a probe costs, hours and memory, before anything is run. Nothing here imports torch.

    device = named("a6000")
    cost = training(shape(8.03), load, device)      # load: see loads.py
    check_fits("llama3@instruct", cost, device)

Hours are operations over what the device reaches. A weight and token take 2 operations forward, 2 for the gradients of
the inputs and 2 for those of the weights (Kaplan et al. 2020, arXiv 2001.08361, section 2.1). Adapters do without the
last, gradient checkpointing goes forward twice. Left out: attention's own products, which at 2,048 tokens add 4% at 8B
and 18% at 0.5B, and loading, checkpoints and starting up.

What a device reaches comes from trainings that were timed on it (data/throughput.csv); for any other the same share of
the peak in its data sheet is assumed, and `basis` says so. Finished cells of a study know better: see `refined`.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rm_selection import cost_tables
from rm_selection.cell_states import Cell
from rm_selection.columns import shortened
from rm_selection.errors import SelectionError
from rm_selection.forecast import Known
from rm_selection.protocol import SHARES

CLIMBED = (4, 3, 2)  # rates that a climb trains to each of its shares, one step from the middle to the peak
SPARE = 0.1  # of the memory, left free as in memory.py
GIB = 2**30
# Bytes that a token's activations take in a layer, over the width. In bf16 counted for Llama's layers, whose MLP is 2.7
# to 4 times as wide, in the arithmetic that training.py runs; in float32 measured on a CPU, where 95 are counted and
# the rest is lost between allocations. The residual alone is kept where the others are recomputed.
LAYER = {"float32": 120, "bf16": 60, "bf16_weights": 60}
RESIDUAL = {"float32": 4, "bf16": 4, "bf16_weights": 2}
# Bytes a weight: itself, its gradient and AdamW's two float32 numbers; bf16 arithmetic keeps a copy in bf16 besides.
TRAINED = {"float32": 16, "bf16": 18, "bf16_weights": 18}
FROZEN = {"float32": 4, "bf16": 6, "bf16_weights": 2}


@dataclass(frozen=True)
class Shape:
    """params_b: billions of parameters, embeddings and all. hidden: width. layers: of the body."""

    params_b: float
    hidden: float
    layers: float


@dataclass(frozen=True)
class Device:
    """name, memory_gib, tflops: as in data/devices.csv; None: not known. count: so many share a training (FSDP)."""

    name: str
    memory_gib: float | None
    tflops: float | None
    count: int = 1


@dataclass(frozen=True)
class Load:
    """What is to be run, in tokens of both sides of pairs.

    train: at one learning rate, all epochs. validation: at its checkpoints, together. scored: the evaluation's.
    probe: the frozen base's. row: the longest row's, which must run at once.
    rates, search: see conf/objective. until: share of the steps to train. lora_rank: None: all weights are trained.
    precision: auto is bf16, and float32 on CPU.
    """

    train: float
    validation: float
    scored: float
    probe: float
    row: int
    rates: int = 1
    search: str = "grid"
    until: float = 1.0
    lora_rank: int | None = None
    checkpointing: bool = False
    precision: str = "auto"


@dataclass(frozen=True)
class Cost:
    """hours: of one device times how many there are. memory_gib: of each, at the least. basis: of the hours."""

    hours: float
    memory_gib: float
    basis: str


def shape(params_b: float, folder: Path | None = None) -> Shape:
    """The shape of a base: that of its folder's config.json, or one usual for its size.

    The usual width, 1600 x params_b^0.45, is within 30% of Qwen 2.5's and Llama 2's to 3.2's, 0.5B to 13B; a layer has
    13 weights a square of the width.
    """
    config = {} if folder is None else _config(folder)
    hidden = config.get("hidden_size", 1600 * params_b**0.45)
    return Shape(params_b, hidden, config.get("num_hidden_layers", max(1.0, params_b * 1e9 / (13 * hidden**2))))


def _config(folder: Path) -> dict[str, float]:
    try:
        known = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    known = known.get("text_config", known)
    return {name: known[name] for name in ("hidden_size", "num_hidden_layers") if name in known}


def named(name: str, count: int = 1) -> Device:
    """A device of data/devices.csv, by its short name or as torch and nvidia-smi call it.

    Raises:
        SelectionError: it is not there; those that are there are named.
    """
    rows = cost_tables.devices()
    row = next((row for row in rows if name.lower() in (row.name, row.product.lower())), None)
    if row is None:
        raise SelectionError(f"device={name} is not known; give {' or '.join(row.name for row in rows)}")
    return Device(row.name, _installed() if row.name == "cpu" else row.memory_gib, row.tflops, count)


def here() -> Device:
    """The first GPU that nvidia-smi shows, else the CPU.

    Raises:
        SelectionError: data/devices.csv lacks that GPU.
    """
    if shutil.which("nvidia-smi") is None:
        return named("cpu")
    words = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    names = subprocess.run(words, check=False, capture_output=True, text=True).stdout.splitlines()
    return named(names[0].strip() if names else "cpu")


def _installed() -> float:
    """GiB of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB


def reached(device: Device, params_b: float, lora: bool = False) -> tuple[float, str]:
    """Operations a second that a training does on one such device, and where that figure comes from.

    Timed trainings of the same kind, adapters or all weights, go before others, and then the nearest in size.
    """
    rows = cost_tables.throughput()
    own = [row for row in rows if row.device == device.name]
    row = min(
        own or [row for row in rows if row.device != "cpu"],
        key=lambda row: (row.lora != lora, abs(math.log(row.params_b / params_b))),
    )
    rate = row.tokens_per_s * row.params_b * 1e9 * per_token(row.lora, row.recomputed)
    timed = f"a training timed on {row.device} on {row.date}"
    if own or device.tflops is None:
        return rate, timed
    share = rate / 1e12 / (named(row.device).tflops or math.nan)
    return share * device.tflops * 1e12, f"assumed: {share:.0%} of {device.tflops:g} TFLOP/s, the share in {timed}"


def per_token(lora: bool, checkpointing: bool) -> int:
    """Operations a weight and token of training."""
    return (4 if lora else 6) + (2 if checkpointing else 0)


def trainings(rates: int, search: str, until: float = 1.0) -> float:
    """How many whole trainings a search of that many learning rates costs; until: share of the steps to train.

    A climb is taken to find the peak one step from the middle.
    """
    if search == "grid":
        return rates * until
    total, before = 0.0, 0.0
    for share, count in zip(SHARES[search], CLIMBED, strict=True):
        total, before = total + min(rates, count) * (min(share, until) - before), min(share, until)
    return total


def training(base: Shape, load: Load, device: Device) -> Cost:
    """Of all learning rates of a cell, its checkpoints' validation included."""
    lora = load.lora_rank is not None
    rate, basis = reached(device, base.params_b, lora)
    each = load.train * per_token(lora, load.checkpointing) + load.validation * 2
    operations = trainings(load.rates, load.search, load.until) * each * base.params_b * 1e9
    return Cost(operations / rate / 3600, memory(base, load, device), basis)


def scoring(base: Shape, load: Load, device: Device) -> Cost:
    """Of a trained model on the evaluation."""
    return _forward(base, load.scored, load, device)


def probe(base: Shape, load: Load, device: Device) -> Cost:
    """Of the frozen base on pairs, once."""
    return _forward(base, load.probe, load, device)


def _forward(base: Shape, tokens: float, load: Load, device: Device) -> Cost:
    rate, basis = reached(device, base.params_b)
    precision = _precision(load, device)
    bytes_there = FROZEN[precision] * base.params_b * 1e9 + load.row * LAYER[precision] * base.hidden
    return Cost(tokens * 2 * base.params_b * 1e9 / rate / 3600, bytes_there / GIB, basis)


def memory(base: Shape, load: Load, device: Device) -> float:
    """GiB of each device that a training takes with one row at once, the least; more rows fill what is left."""
    precision = _precision(load, device)
    weights = base.params_b * 1e9
    if load.lora_rank is None:
        state = TRAINED[precision] * weights
    else:
        adapters = 1.6 * load.lora_rank / base.hidden  # inputs + outputs of a layer's maps over its weights
        state = FROZEN[precision] * weights + TRAINED["float32"] * adapters * weights
    layers = base.layers * (RESIDUAL if load.checkpointing else LAYER)[precision]
    layers += LAYER[precision] if load.checkpointing else 0
    return (state / device.count + load.row * base.hidden * layers) / GIB


def _precision(load: Load, device: Device) -> str:
    if load.precision != "auto":
        return load.precision
    return "float32" if device.name == "cpu" else "bf16"


def check_fits(name: str, cost: Cost, device: Device, load: Load | None = None) -> None:
    """Refuse what the device has too little memory for.

    Raises:
        SelectionError: what it needs, what there is, and the ways out.
    """
    if told := too_large({name: cost}, device, load):
        raise SelectionError(told)


def too_large(needs: Mapping[str, Cost], device: Device, load: Load | None = None) -> str:
    """What of these a device has too little memory for, from the smallest on; "" where all fit.

    load: leaves out of the ways out those that are taken already.
    """
    over = sorted((cost.memory_gib, name) for name, cost in needs.items() if not fits(cost, device))
    if not over:
        return ""
    each = [f"{name} ({gib:.0f} GiB)" for gib, name in over]
    head, tail = (f"{each[0]} does", "") if len(needs) == 1 else (f"{len(over)} of {len(needs)} do", shortened(each))
    return (
        f"{head} not fit {device.name}, which has {device.memory_gib:.0f} GiB and keeps {SPARE:.0%} free"
        f"{': ' * bool(tail)}{tail}; give {_ways(load)}a larger device=, or hardware=fsdp over several"
    )


def _ways(load: Load | None) -> str:
    small = load is not None and load.lora_rank is not None and load.precision == "bf16_weights"
    ways = {
        "training=lora hardware.precision=bf16_weights, ": small,
        "training.gradient_checkpointing=true, ": load is not None and load.checkpointing,
    }
    return "".join(way for way, taken in ways.items() if not taken)


def fits(cost: Cost, device: Device) -> bool:
    """Whether a device has the memory, a tenth left free; true where its memory is not known."""
    return device.memory_gib is None or cost.memory_gib <= device.memory_gib * (1 - SPARE)


def refined(cost: Cost, cell: Cell, known: Known) -> Cost:
    """The cost with the hours that finished cells of the study tell, where one does."""
    found = known.estimate(cell)
    if found is None:
        return cost
    return replace(cost, hours=found.seconds * found.devices / 3600, basis=f"finished cells of {found.basis}")


def on_device(cells: Sequence[Cell], device: Device) -> Known:
    """What finished cells on that kind of device took."""
    product = next(row.product for row in cost_tables.devices() if row.name == device.name)
    own = [cell.device.rpartition(" x ")[2] == product for cell in cells]
    return Known([cell if mine else replace(cell, seconds=None) for cell, mine in zip(cells, own, strict=True)])
