"""A W&B workspace and report of a study: published with a key, otherwise written to files.

python -m rm_selection.dashboards study=NAME
"""

from __future__ import annotations

from rm_selection.config import entry_point
from rm_selection.dashboards_settings import DashboardsConfig


@entry_point("dashboards", DashboardsConfig)
def main(settings: DashboardsConfig) -> None:
    """Build a W&B workspace and report of a study, and publish them; without a key, write their specification."""
    from rm_selection import console, logged, publishing, tracking

    folder, project = settings.folder / "dashboards", settings.tracking.project
    found, points = logged.read(settings.folder), logged.beside(settings.folder)
    view, page = publishing.write(folder, found, points, project)
    console.line(f"workspace: {view}")
    console.line(f"report: {page}")
    if settings.tracking.mode == "auto" and tracking.has_key():
        for name, address in publishing.publish(folder, found, points, project).items():
            console.line(f"{name} published: {address}")
    else:
        publishing.log(folder, settings.study, points, "offline", project)
        console.line(publishing.how(settings.tracking.mode))
    if kept := publishing.offline(settings.folder):
        console.line(kept)


if __name__ == "__main__":
    main()
