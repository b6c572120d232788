"""A study's folder: written whole or left as it was, whatever kills the writer.

A folder is made beside its final place under a temporary name. Two renames put it there; between them the old one lies
under `.<name>.previous`, from where the next reader or writer takes it back.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rm_selection.errors import StudyError

if TYPE_CHECKING:
    import pandas as pd

# A sign followed by words and numbers only, such as `-3.1% of the score`, can call nothing.
FORMULA = re.compile(r"[\t\r]|\s*[=@]|\s*[+-](?![\w\s.,%\[\]-]*$)")
STALE_S = 24 * 3600  # a writer takes minutes; what it left a day ago it was killed over


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A new empty folder that takes the place of `target` when the block ends without an error.

    Raises:
        StudyError: the folder cannot be written.
    """
    fresh = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        recover(target)
        _clear(target)
        fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        yield fresh
        fresh.chmod(0o755)
        _swap(fresh, target)
    except OSError as error:
        raise _unwritable(target, error) from error
    finally:
        if fresh is not None:
            shutil.rmtree(fresh, ignore_errors=True)
            recover(target)


def check_writable(folder: Path) -> None:
    """Find out before hours of work whether a study can be written.

    Raises:
        StudyError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from error


def recover(target: Path) -> None:
    """Put `target` back where a writer was killed between the two renames."""
    previous = _previous(target)
    if previous.exists() and not target.exists():
        with _locked(target.parent):
            if previous.exists() and not target.exists():  # no writer was between its renames
                previous.rename(target)


def write_table(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Write `frame` as <name>.csv and <name>.parquet into `folder`, each replaced atomically.

    People open the CSV with a spreadsheet, so an apostrophe stands before what that would take for a formula; programs
    read the Parquet file, which holds every text as it is.
    """
    for suffix, write in (("csv", _without_formulas(frame).to_csv), ("parquet", frame.to_parquet)):
        part = folder / f".{name}.{suffix}.{os.getpid()}"
        write(part, index=False)
        part.replace(folder / f"{name}.{suffix}")


def write_study(
    folder: Path, tables: Mapping[str, pd.DataFrame], summaries: Mapping[str, str], draw: Callable[[Path], None]
) -> None:
    """Replace the tables, summaries and figures of a study; nothing changes unless all could be written.

    A ranking that lies with the tables stays: it was made from the shipped figures, not from what is replaced.

    Raises:
        StudyError: the folder cannot be written.
    """
    with (
        replacing(folder / "tables") as new_tables,
        replacing(folder / "summaries") as new_summaries,
        replacing(folder / "figures") as new_figures,
    ):
        for name, frame in tables.items():
            write_table(new_tables, name, frame)
        for name, text in summaries.items():
            write_text(new_summaries / f"{name}.txt", text)
        draw(new_figures)
        for path in (folder / "tables").glob("recommendation.*"):
            shutil.copy2(path, new_tables)


def write_recommendation(
    folder: Path, table: pd.DataFrame, header: list[str], warnings: list[str], settings: Mapping[str, object]
) -> Path:
    """Write the ranking beside the study's tables, and how it was made as recommendation.json; returns the CSV's path.

    Raises:
        StudyError: the folder cannot be written.
    """
    text = json.dumps({"header": header, "warnings": warnings, "settings": dict(settings)}, indent=2)
    try:
        recover(folder / "tables")
        (folder / "tables").mkdir(parents=True, exist_ok=True)
        write_table(folder / "tables", "recommendation", table)
        write_text(folder / "recommendation.json", text + "\n")
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder / "tables" / "recommendation.csv"


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, which holds the old text or the new one whatever happens."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def read_tables(folder: Path) -> Mapping[str, pd.DataFrame]:
    """Every table of a study by name.

    Raises:
        StudyError: the study holds no tables yet.
    """
    import pandas as pd

    target = folder / "tables"
    recover(target)
    found = {path.stem: pd.read_parquet(path) for path in sorted(target.glob("[!.]*.parquet"))}
    if not {"predictor", "scores"} & found.keys():
        raise StudyError(f"{target} holds no fitted study; run: python -m rm_selection.regress study={folder.name}")
    return found


def _without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    tamed = frame.copy()
    for name, kind in frame.dtypes.items():
        if kind.kind not in "biuf":
            tamed[name] = frame[name].map(_tame)
    return tamed.rename(columns=_tame)


def _tame(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def _swap(fresh: Path, target: Path) -> None:
    previous = _previous(target)
    with _locked(target.parent):
        if target.exists():
            shutil.rmtree(previous, ignore_errors=True)
            target.rename(previous)
        fresh.rename(target)
        shutil.rmtree(previous, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Alone among the processes that rename in `folder`; the system lets go of a lock whose holder is killed."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems lock no folders: then writers must not meet
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _clear(target: Path) -> None:
    """Remove the temporary folders of writers that were killed long ago."""
    for path in target.parent.glob(f".{target.name}.????????"):
        with suppress(FileNotFoundError):  # another writer clears too
            if path != _previous(target) and time.time() - path.stat().st_mtime > STALE_S:
                shutil.rmtree(path, ignore_errors=True)


def _unwritable(folder: Path, error: OSError) -> StudyError:
    return StudyError(f"{folder} cannot be written ({error.strerror or error}); choose another with output=")


def _previous(target: Path) -> Path:
    return target.with_name(f".{target.name}.previous")
