"""What conf/plan.yaml holds."""

from __future__ import annotations

from dataclasses import dataclass

from rm_selection.errors import ConfigError
from rm_selection.settings import setting, within


@dataclass
class PlanConfig:
    """conf/plan.yaml."""

    sweeps: list[str] = setting("commands as after python -m rm_selection., each in quotes: train -m base=a,b")
    device: str | None = setting("what it will run on, as h100 or a6000; null: the first GPU here, else the CPU")
    devices: int = setting("of them that share a training, as with hardware=fsdp")
    jobs: int | None = setting("cells that run at once; null: as the launcher says, else one")
    finished: bool = setting("refuse where cells are left")

    def __post_init__(self) -> None:
        if not self.sweeps:
            raise ConfigError("sweeps is empty; give commands: 'sweeps=[\"train -m base=llama3,qwen2\"]'")
        within("devices", self.devices, 1, 10_000)
        if self.jobs is not None:
            within("jobs", self.jobs, 1, 1_000_000)
