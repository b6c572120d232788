"""Where a sweep stands: cells done, running, waiting and failed, how fast it goes, and what is left.

python -m rm_selection.status study=NAME follow=true
"""

from __future__ import annotations

from rm_selection.config import entry_point
from rm_selection.settings import StatusConfig


@entry_point("status", StatusConfig)
def main(settings: StatusConfig) -> None:
    """Show which cells of a study are done, running, waiting or failed (exit code 0 all the same), and what is left."""
    import time

    from rm_selection import cell_states, status_view, sweeps

    cell_states.check(settings.folder)

    def look() -> status_view.Snapshot:
        known = sweeps.read(settings.folder)
        return status_view.Snapshot(settings.study, cell_states.cells(settings.folder, known), known, time.time())

    if settings.follow:
        status_view.follow(look, settings.every, settings.rows)
    else:
        status_view.show(look(), settings.rows)


if __name__ == "__main__":
    main()
