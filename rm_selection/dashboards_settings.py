"""What conf/dashboards.yaml holds."""

from __future__ import annotations

from dataclasses import dataclass

from rm_selection.errors import ConfigError
from rm_selection.settings import PUBLISHED, StudyConfig, in_group
from rm_selection.train_settings import TrackingConfig


@dataclass
class DashboardsConfig(StudyConfig):
    """conf/dashboards.yaml."""

    tracking: TrackingConfig = in_group("as the study was trained with; tracking.mode=offline writes files only")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.study == PUBLISHED:
            raise ConfigError(f"study={PUBLISHED} has no runs to show; give study=NAME, one of your own")
        if self.tracking.mode == "off":
            raise ConfigError("tracking=off leaves nothing to show on W&B; give tracking.mode=offline for files only")
