"""A folder with a study's results that others can open: Parquet files and a dataset card; written whole, and read.

FOLDER/
    README.md           the card: what is in it, and how `datasets.load_dataset(FOLDER, "runs")` finds it
    runs.parquet        a row a reward model, failed and skipped ones too
    scores.parquet      a row a score: overall, a category, a subset
    features.parquet    a row a figure measured on a checkpoint, and one a measurement that failed
    stages.parquet      a row a post-training stage that was made
    pairs.parquet       a row a scored pair: both rewards
    documents.parquet   a row a document that presence was measured on

A file without rows is left out, for `datasets` cannot read one.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from rm_selection import runs as records_of
from rm_selection import shared_card, shared_rows, stage_tables, studies
from rm_selection.errors import StudyError, TableError
from rm_selection.runs import Record
from rm_selection.shared_columns import FRAMES, KEYS, ROWS, FeatureRow, RunRow, ScoreRow, SharedRow

CARD = "README.md"
OURS = {CARD, *(f"{name}.parquet" for name in (*ROWS, *FRAMES))}
_ARROW = {str: pa.string(), float: pa.float64(), int: pa.int64()}
T = TypeVar("T", bound=SharedRow)


@dataclass(frozen=True)
class Shared:
    """What a folder of others holds: records as far as tables are made of them, and the stages that were made."""

    folder: Path
    runs: Sequence[Record]
    features: Sequence[Record]
    stages: pd.DataFrame

    def beside(self, kind: str, run_id: str) -> pd.DataFrame:
        """The rows of one run or measurement in a file of FRAMES; empty where there are none.

        Raises:
            OSError, ValueError: the file cannot be read.
        """
        path = self.folder / f"{kind}.parquet"
        if not path.exists():
            return pd.DataFrame(columns=list(FRAMES[kind]))
        return pd.read_parquet(path, filters=[("run_id", "==", run_id)])


def write(study: Path, target: Path, licence: str) -> Mapping[str, pd.DataFrame]:
    """Write the results of a study to the folder `target`, all of it or nothing; returns what each file holds.

    Raises:
        StudyError: the study has no results, `target` holds what share did not write, or it cannot be written.
        RunError: a record is damaged.
    """
    tables = _tables(study)
    _check_ours(target)
    with studies.replacing(target) as fresh:
        for name, frame in tables.items():
            table = pa.Table.from_pandas(frame, schema=_schema(name), preserve_index=False)
            pq.write_table(table.replace_schema_metadata(None), fresh / f"{name}.parquet", compression="zstd")
        studies.write_text(fresh / CARD, shared_card.card(study.name, licence, tables))
    return tables


def read(folder: Path) -> Shared:
    """The results that somebody else wrote to a folder.

    Raises:
        TableError: the folder or a file of it is absent or damaged, or a row breaks its columns.
    """
    _check_there(folder)
    scores: dict[str, list[ScoreRow]] = {}
    for score in _rows(folder, "scores", ScoreRow):
        scores.setdefault(score.run_id, []).append(score)
    features: dict[str, list[FeatureRow]] = {}
    for figure in _rows(folder, "features", FeatureRow):
        features.setdefault(figure.run_id, []).append(figure)
    trained = []
    for row in _rows(folder, "runs", RunRow):
        _check_scored(folder, row, scores.get(row.run_id, []))
        trained.append(shared_rows.run(row, scores.get(row.run_id, [])))
    for name in FRAMES:
        _check_columns(folder, name, list(FRAMES[name]))
    stages = folder / "stages.parquet"
    made = pd.read_parquet(stages) if stages.exists() else pd.DataFrame(columns=list(FRAMES["stages"]))
    return Shared(folder, trained, [shared_rows.feature(rows) for rows in features.values()], made)


def _tables(study: Path) -> dict[str, pd.DataFrame]:
    """What each file holds; those without rows left out."""
    trained = [one for one in records_of.records(study) if shared_rows.trained(one)]
    measured = records_of.records(study, "features")
    rows = {
        "runs": [shared_rows.of_run(one) for one in trained],
        "scores": [row for one in trained for row in shared_rows.of_scores(one)],
        "features": [row for one in measured for row in shared_rows.of_feature(one)],
    }
    if not rows["runs"] and not rows["features"]:
        raise StudyError(f"{study} has no runs and no features to share; train or measure first")
    frames = {name: pd.DataFrame(found, columns=list(ROWS[name].model_fields)) for name, found in rows.items()}
    frames["stages"] = stage_tables.made(study)
    frames["pairs"] = _beside(study / "runs", trained, "pairs")
    frames["documents"] = _beside(study / "features", measured, "documents")
    return {name: frame for name, frame in frames.items() if len(frame)}


def _beside(folder: Path, records: Sequence[Record], name: str) -> pd.DataFrame:
    """What lies in scores.parquet beside the records that have such rows, one under the other."""
    columns, parts = list(FRAMES[name]), []
    for record in records:
        path = folder / record["run_id"] / "scores.parquet"
        if record["status"] == "finished" and path.exists():
            try:
                parts.append(pd.read_parquet(path).assign(run_id=record["run_id"]).reindex(columns=columns))
            except (OSError, ValueError) as error:
                raise StudyError(f"{path} cannot be read; remove its folder and make it again") from error
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _schema(name: str) -> pa.Schema:
    """Types of Arrow, the same whatever the rows hold."""
    if name in FRAMES:
        return pa.schema([(column, _ARROW[kind]) for column, (kind, _) in FRAMES[name].items()])
    hints = get_type_hints(ROWS[name])
    return pa.schema([(column, _ARROW[_plain(hints[column])]) for column in ROWS[name].model_fields])


def _plain(hint: Any) -> type:
    """str, float or int, of `X | None` and of words to choose from."""
    if get_origin(hint) in (Union, types.UnionType):
        return _plain(get_args(hint)[0])
    return str if get_origin(hint) is Literal else hint


def _check_ours(target: Path) -> None:
    """Refuse to replace a folder with anything else in it."""
    if target.exists() and not target.is_dir():
        raise StudyError(f"{target} is no folder; give another with to=")
    if others := sorted({path.name for path in target.glob("*")} - OURS):
        raise StudyError(f"{target} holds {others[0]}, which share did not write; give another with to=")


def _check_there(folder: Path) -> None:
    if not folder.is_dir():
        raise TableError(f"results={folder} is no folder; give one that python -m rm_selection.share wrote")
    if not any((folder / f"{name}.parquet").exists() for name in ("runs", "features")):
        raise TableError(f"results={folder} holds neither runs.parquet nor features.parquet; is it a shared result?")
    card = folder / CARD
    lost = [name for name in shared_card.files(card) if not (folder / name).exists()] if card.exists() else []
    if lost:
        raise TableError(f"{folder} lacks {lost[0]}, which its {CARD} names; copy the whole folder again")


def _check_columns(folder: Path, name: str, needed: Sequence[str]) -> bool:
    """Whether the file is there, with these columns."""
    path = folder / f"{name}.parquet"
    if not path.exists():
        return False
    try:
        there = pq.read_schema(path).names
    except (OSError, ValueError) as error:
        raise TableError(f"{path} is no Parquet file ({_line(error)}); copy the whole folder again") from error
    if lost := [column for column in needed if column not in there]:
        raise TableError(f"{path} has no column {lost[0]}; write the folder again with python -m rm_selection.share")
    return True


def _rows(folder: Path, name: str, kind: type[T]) -> list[T]:
    needed = [column for column, field in kind.model_fields.items() if field.is_required()]
    if not _check_columns(folder, name, needed):
        return []
    path = folder / f"{name}.parquet"
    try:
        found = pq.read_table(path).to_pylist()
    except (OSError, ValueError) as error:
        raise TableError(f"{path} cannot be read ({_line(error)}); copy the whole folder again") from error
    rows: dict[tuple[Any, ...], T] = {}
    for number, row in enumerate(found, 1):
        try:
            made = kind.model_validate(row)
        except ValidationError as error:
            raise TableError(f"{path}, row {number}{_broken(error.errors()[0], kind)}") from error
        key = tuple(getattr(made, column) for column in KEYS[name])
        if rows.setdefault(key, made) is not made:
            raise TableError(f"{path}, row {number}: {' '.join(map(str, key))} is there already; keep one")
    return list(rows.values())


def _broken(error: Any, kind: type[SharedRow]) -> str:
    if not error["loc"]:
        return f": {error['msg'].removeprefix('Value error, ')}"
    column = str(error["loc"][0])
    given = ascii(error["input"])[:80]
    return f", column {column}: {given} is not allowed; it holds {kind.model_fields[column].description}"


def _check_scored(folder: Path, row: RunRow, scores: Sequence[ScoreRow]) -> None:
    """A run's score stands twice, for those who look and for those who read all: both must say the same."""
    overall = {one.evaluation: one.score for one in scores if one.part == shared_rows.OVERALL}
    if row.status == "finished" and not overall:
        raise TableError(f"{folder / 'scores.parquet'} has no score of {row.run_id}; copy the whole folder again")
    if row.evaluation is not None and overall.get(row.evaluation) != row.score:
        other = overall.get(row.evaluation)
        raise TableError(f"{folder}: {row.run_id} has score {row.score} in runs.parquet and {other} in scores.parquet")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
