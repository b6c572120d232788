"""Which device and precision the settings mean on this machine."""

from __future__ import annotations

import os
from typing import Any

import torch

from rm_selection.errors import ConfigError
from rm_selection.train_settings import HardwareConfig


def device(hardware: HardwareConfig) -> str:
    """The device to use; where it is a CPU, with as many threads as the settings say.

    Raises:
        ConfigError: CUDA is asked for and there is none, or several processes were started for one cell.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # torchrun, accelerate launch; the others would wait for ever
        raise ConfigError("WORLD_SIZE is above 1, and a cell is trained by one process; start it without torchrun")
    if hardware.threads is not None:
        torch.set_num_threads(hardware.threads)
    if hardware.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("hardware.device=cuda, and no CUDA device is there; choose hardware=auto or hardware=cpu")
    if hardware.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return hardware.device


def precision_of(hardware: HardwareConfig, where: str) -> Any:
    """float32 on CPU and bf16 on CUDA unless one is named."""
    if hardware.precision != "auto":
        return hardware.precision
    return "bf16" if where == "cuda" else "float32"


def device_name(where: str) -> str:
    """The device as the record names it."""
    return torch.cuda.get_device_name() if where == "cuda" else "cpu"
