"""The sweeper of conf/hydra/sweeper/: Hydra's own, which also notes for `status` what it is going to run."""

from __future__ import annotations

from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper


class NotingSweeper(BasicSweeper):
    """Before a sweep begins Hydra composes the settings of every job, to check them; they are noted then."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Check and note; what cannot be composed Hydra tells."""
        from rm_selection.planning import noted

        assert self.hydra_context is not None  # as Hydra sets it up
        assert self.config is not None
        load = self.hydra_context.config_loader.load_sweep_config
        noted(self.config, [load(self.config, list(overrides)) for overrides in batch])
