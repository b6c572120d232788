"""The tables of this folder, a row a way: ours and stock TRL in turn. Rows are appended to throughput.csv.

python experiments/throughput/run.py cpu     (part of `make bench`: a 15M Llama, about five minutes on two cores)
python experiments/throughput/run.py cuda    (part of `make gpu`: 1B in full, 7B with adapters)
"""

from __future__ import annotations

import subprocess
import sys

import torch

from rm_selection import console

CPU = ["hardware=cpu", "shape=15m", "lengths=chat", "training.global_batch=32"]
CUDA = ["hardware=gpu", "lengths=helpsteer2", "max_length=2048", "steps=4", "training.global_batch=64"]
RUNS = {
    "cpu": [[*CPU], [*CPU, "tasks=[score]", "responses=3", "limit=8"]],
    "cuda": [
        [*CUDA, "shape=1b", "hardware.micro_tokens=16384"],
        [*CUDA, "shape=7b", "training=lora", "training.gradient_checkpointing=true", "hardware.precision=bf16_weights"],
        [*CUDA, "shape=7b", "tasks=[score]", "responses=3", "limit=64", "hardware.precision=bf16_weights"],
    ],
}


def main() -> None:
    """Run the commands of a device."""
    device = sys.argv[1] if len(sys.argv) == 2 else ""
    if device not in RUNS:
        sys.exit(f"name a device: python experiments/throughput/run.py {' or '.join(RUNS)}")
    if device == "cuda" and not torch.cuda.is_available():
        console.line("no CUDA device: nothing was run")
        return
    for settings in RUNS[device]:
        command = ["-m", "rm_selection.throughput", *settings]
        console.line(f"python {' '.join(command)}")
        subprocess.run([sys.executable, *command], check=True)


if __name__ == "__main__":
    main()
