"""What the tables of a study are made of: its own records, and those that others shared; each run once.

A run is known by its name, and by its checkpoint, seed and protocol where the names of files differ. Where two records
of it say different things, or a checkpoint is one thing here and another there, both are named and nothing is returned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from rm_selection import alike, stage_tables
from rm_selection import runs as records_of
from rm_selection.errors import StudyError
from rm_selection.runs import Record
from rm_selection.shared_folder import Shared, read

OWN = "this study"
FACTS = ("family", "params_b", "tokens_t", "licence")  # of a checkpoint, the same wherever it is told of
FIGURES = ("score", "n", "categories", "subsets")


@dataclass(frozen=True)
class Gathered:
    """The records of a study and of folders of others.

    runs: finished reward models, settings as `alike.protocol` tells them. features: finished measurements.
    stages: those that others made, as `stage_tables.made`. others: where records come from that are not the study's, by
    run_id. mixes: whether runs that were made in different ways may share a table. counts: of each source, its records.
    """

    folder: Path
    runs: Sequence[Record]
    features: Sequence[Record]
    stages: Sequence[pd.DataFrame] = ()
    others: Mapping[str, Shared] = field(default_factory=dict)
    mixes: bool = False
    counts: Sequence[Mapping[str, Any]] = ()

    def made(self) -> pd.DataFrame:
        """The stages that were made, as `stage_tables.made`."""
        found = [stage_tables.made(self.folder), *self.stages]
        return pd.concat([one for one in found if len(one)] or found[:1]).drop_duplicates(ignore_index=True)

    def pairs(self, run_id: str) -> pd.DataFrame:
        """The pairs that a run scored.

        Raises:
            OSError, ValueError: they are not there, or cannot be read.
        """
        return self._beside("pairs", self.folder / "runs" / run_id, run_id)

    def documents(self, run_id: str) -> pd.DataFrame:
        """The documents that presence was measured on; raises as `pairs`."""
        return self._beside("documents", self.folder / "features" / run_id, run_id)

    def place(self, record: Record) -> Path:
        """Where the documents of a measurement lie."""
        other = self.others.get(record["run_id"])
        own = self.folder / "features" / record["run_id"] / "scores.parquet"
        return own if other is None else other.folder / "documents.parquet"

    def source(self, record: Record) -> str:
        """Where a record comes from, in a word."""
        other = self.others.get(record["run_id"])
        return OWN if other is None else str(other.folder)

    def _beside(self, kind: str, own: Path, run_id: str) -> pd.DataFrame:
        other = self.others.get(run_id)
        return pd.read_parquet(own / "scores.parquet") if other is None else other.beside(kind, run_id)


def gathered(folder: Path, results: Sequence[str | Path] = (), mixes: bool = False) -> Gathered:
    """The records of a study, and of the folders of others that `results` names.

    Raises:
        RunError: a record is damaged.
        TableError: a folder of others is absent or damaged.
        StudyError: the same run has other figures in two places, or a checkpoint is another one there.
    """
    own = Shared(folder, records_of.records(folder), records_of.records(folder, "features"), pd.DataFrame())
    shared = [own, *(read(Path(one)) for one in results)]
    runs, places = _once(shared, "runs")
    features, others = _once(shared, "features")
    places |= others
    found = Gathered(
        folder,
        runs,
        features,
        [one.stages for one in shared[1:]],
        {run_id: one for run_id, one in places.items() if one is not own},
        mixes,
        [_counted(one, OWN if one is own else str(one.folder)) for one in shared] if results else (),
    )
    if results:
        _check_checkpoints(found)
    return found


def _once(shared: Sequence[Shared], kind: str) -> tuple[list[Record], dict[str, Shared]]:
    """Finished records of a kind by run_id, and where each comes from.

    Raises:
        StudyError: two records of one run differ in their figures.
    """
    kept: dict[str, tuple[Record, Shared]] = {}
    for source in shared:
        for record in source.runs if kind == "runs" else source.features:
            if not records_of.known_base(record):
                continue
            made = record | _comparable(record)
            names = _names(made)
            if there := next((kept[name] for name in names if name in kept), None):
                _check_same(there, (made, source))
            else:
                kept |= dict.fromkeys(names, (made, source))
    found = {record["run_id"]: (record, source) for record, source in kept.values()}
    return [found[run_id][0] for run_id in sorted(found)], {run_id: one for run_id, (_, one) in found.items()}


def _comparable(record: Record) -> dict[str, Any]:
    """How a record was made, without paths of this machine."""
    if "values" in record:
        return {"protocols": {name: alike.without_paths(how) for name, how in record["protocols"].items()}}
    return {"settings": alike.protocol(record)}


def _names(record: Record) -> list[str]:
    """What a record goes by; a run's name stands for the paths of its data too, what its protocol does not."""
    if "values" in record:
        return [record["run_id"]]
    cell = {name: record["checkpoint"][name] for name in ("base", "stage")} | {"seed": record["provenance"]["seed"]}
    return [record["run_id"], records_of.digest(cell | {"settings": record["settings"]})]


def _check_same(first: tuple[Record, Shared], second: tuple[Record, Shared]) -> None:
    (one, here), (two, there) = first, second
    if found := alike.difference(_told(one), _told(two)):
        name, value, other = found
        way = "leave one of the two folders out, and give two bases that are both called local their own base.name"
        raise StudyError(
            f"the same run is told in two ways: {name} is {value} in {one['run_id']} of {here.folder} and {other} in "
            f"{two['run_id']} of {there.folder}; {'remove one of them' if here is there else way}"
        )


def _told(record: Record) -> dict[str, Any]:
    """How a record was made, and its figures."""
    if "values" in record:
        return {"protocols": record["protocols"], "values": record["values"]}
    scores = {name: {key: one[key] for key in FIGURES if key in one} for name, one in record["scores"].items()}
    return {"settings": record["settings"], "scores": scores}


def _check_checkpoints(found: Gathered) -> None:
    """Refuse one name for two checkpoints."""
    known: dict[tuple[str, str], tuple[Any, Record]] = {}
    for record in (*found.runs, *found.features):
        model = record["checkpoint"]["name"]
        for name, value in _known(record, found.mixes):
            before, other = known.setdefault((model, name), (value, record))
            if before != value:
                raise StudyError(
                    f"{model} is not the same everywhere: its {name} is {before} in {other['run_id']} of "
                    f"{found.source(other)} and {value} in {record['run_id']} of {found.source(record)}; leave one of "
                    "the two folders out"
                )


def _known(record: Record, mixes: bool) -> Iterator[tuple[str, Any]]:
    facts = {name: record["checkpoint"][name] for name in FACTS} | alike.weights(record)
    if mixes:
        facts.pop("revision")  # another commit of the same repository
    yield from ((name, value) for name, value in facts.items() if value is not None)


def _counted(source: Shared, name: str) -> dict[str, Any]:
    """How many records a source has, and in which ways its runs were made."""
    done = list(filter(records_of.known_base, source.runs))
    measured = [one for one in source.features if one["status"] == "finished"]
    lost = [one for one in (*source.runs, *source.features) if one["status"] != "finished"]
    ways = sorted({records_of.digest(alike.protocol(one)) for one in done})
    told = {"source": name, "runs": len(done), "measurements": len(measured), "failed": len(lost)}
    return told | {"protocols": " ".join(ways)}
