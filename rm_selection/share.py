"""Write the runs and features of a study, failed ones too, as a folder that others can open and fit theirs with.

python -m rm_selection.share study=NAME
"""

from __future__ import annotations

from rm_selection.config import entry_point
from rm_selection.settings import ShareConfig


@entry_point("share", ShareConfig)
def main(settings: ShareConfig) -> None:
    """Write the runs and features of a study, failed ones too, as Parquet files with a dataset card."""
    from rm_selection import console, shared_folder

    tables = shared_folder.write(settings.folder, settings.target, settings.licence)
    console.line(f"{', '.join(f'{len(frame)} {name}' for name, frame in tables.items())}: {settings.target}")


if __name__ == "__main__":
    main()
