"""Which device and precision the settings mean on this machine."""

from __future__ import annotations

from typing import Any

import torch

from rm_selection.distributed import join, local_device, world
from rm_selection.errors import ConfigError
from rm_selection.train_settings import HardwareConfig


def device(hardware: HardwareConfig) -> str:
    """The device to use; where it is a CPU, with as many threads as the settings say.

    Raises:
        ConfigError: CUDA is asked for and there is none; or several processes were started, and not for a training
            that is to be spread over them.
    """
    join(hardware)
    if hardware.threads is not None:
        torch.set_num_threads(hardware.threads)
    if hardware.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("hardware.device=cuda, and no CUDA device is there; choose hardware=auto or hardware=cpu")
    if hardware.device == "cpu" or not torch.cuda.is_available():
        return "cpu"
    return local_device() if hardware.sharded else "cuda"


def precision_of(hardware: HardwareConfig, where: str) -> Any:
    """float32 on CPU and bf16 on CUDA unless one is named."""
    if hardware.precision != "auto":
        return hardware.precision
    return "bf16" if where.startswith("cuda") else "float32"


def device_name(where: str) -> str:
    """The device as the record names it."""
    name = torch.cuda.get_device_name() if where.startswith("cuda") else "cpu"
    return name if world() == 1 else f"{world()} x {name}"
