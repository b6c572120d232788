"""What a study has cost and what is left, from its finished cells and from how many run at a time.

A cell that is not done is taken to cost what finished ones of its base did (their median); without any, what those of
the base nearest in size did, in proportion to parameters. First finished cells of the same objective, feature or stage
are asked, then, for reward models, those of the other objective.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from rm_selection.cell_states import DONE, NOT_BEGUN, RUNNING, STOPPED, WAITING, Cell

SAME, NEAREST = "the same base", "the base nearest in size"


@dataclass(frozen=True)
class Estimate:
    """What one cell is expected to take: seconds, on so many devices; basis: SAME or NEAREST."""

    seconds: float
    devices: int
    basis: str


@dataclass(frozen=True)
class Forecast:
    """What a study costs.

    spent: device-hours, of finished, failed and running cells. left: device-hours. seconds: until all is done; both
    None where nothing finished says. at_once: cells that run now; where none does, what is left is what the same
    command would go on with, one at a time. bases: how many estimates have each basis; unknown: cells that are left and
    have none, and that `left` and `seconds` leave out.
    """

    spent: float
    left: float | None
    seconds: float | None
    at_once: int
    bases: Mapping[str, int]
    unknown: int


def forecast(cells: Sequence[Cell], now: float) -> Forecast:
    """Expect what is left of a study.

    Args:
        cells: all of the study.
        now: seconds since the epoch.
    """
    known, states = Known(cells), (RUNNING, WAITING) if going(cells) else (STOPPED, NOT_BEGUN)
    ahead = [cell for cell in cells if cell.state in states]
    pairs = [(cell, found) for cell in ahead if (found := known.estimate(cell)) is not None]
    works = [(max(0.0, found.seconds - _elapsed(cell, now)), found.devices) for cell, found in pairs]
    at_once = sum(cell.state == RUNNING for cell in cells)
    told = bool(pairs) or not ahead
    seconds = [work for work, _ in works]
    bases = {basis: sum(found.basis == basis for _, found in pairs) for basis in (SAME, NEAREST)}
    return Forecast(
        spent=sum(_spent(cell, known, now) for cell in cells) / 3600,
        left=sum(work * devices for work, devices in works) / 3600 if told else None,
        seconds=max(sum(seconds) / max(at_once, 1), max(seconds, default=0.0)) if told else None,
        at_once=at_once,
        bases={basis: count for basis, count in bases.items() if count},
        unknown=len(ahead) - len(pairs),
    )


def going(cells: Sequence[Cell]) -> bool:
    """Whether anything runs, or waits for a sweep that does."""
    return any(cell.state in (RUNNING, WAITING) for cell in cells)


class Known:
    """What finished cells took, by command, objective (or feature, or stage) and base."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        by_base: dict[tuple[str, str], dict[str, list[Cell]]] = defaultdict(lambda: defaultdict(list))
        for cell in cells:
            if cell.state == DONE and cell.seconds is not None:
                for what in (cell.what, "any"):
                    by_base[cell.command, what][cell.base].append(cell)
        self.took = {
            key: {base: (_median(done), done[0]) for base, done in each.items()} for key, each in by_base.items()
        }
        self.sizes = {cell.base: cell.params_b for cell in cells if cell.params_b is not None}

    def estimate(self, cell: Cell) -> Estimate | None:
        """What the cell is expected to take in all; None: nothing finished says."""
        kinds = (cell.what, "any") if cell.command == "train" else (cell.what,)  # features differ a thousandfold
        for what in kinds:
            took = self.took.get((cell.command, what), {})
            if cell.base in took:
                seconds, one = took[cell.base]
                return Estimate(seconds, devices(one.device), SAME)
            if found := self._nearest(self.sizes.get(cell.base), took):
                return found
        return None

    def _nearest(self, size: float | None, took: Mapping[str, tuple[float, Cell]]) -> Estimate | None:
        sized = [(self.sizes[base], *known) for base, known in took.items() if base in self.sizes]
        if size is None or not sized:
            return None
        near, seconds, one = min(sized, key=lambda known: abs(math.log(known[0] / size)))
        return Estimate(seconds * size / near, devices(one.device), NEAREST)


def devices(name: str) -> int:
    """How many devices the name in a record means: "4 x NVIDIA H200" is four."""
    several = re.match(r"(\d+) x ", name)
    return int(several[1]) if several else 1


def _median(done: Sequence[Cell]) -> float:
    return median(cell.seconds for cell in done if cell.seconds is not None)


def _elapsed(cell: Cell, now: float) -> float:
    return max(0.0, now - cell.began) if cell.state == RUNNING and cell.began is not None else 0.0


def _spent(cell: Cell, known: Known, now: float) -> float:
    """Device-seconds: as recorded, else since a process took it, till its record or till now."""
    if cell.seconds is not None:
        return cell.seconds * devices(cell.device)
    if cell.state == RUNNING:
        found = known.estimate(cell)
        return _elapsed(cell, now) * (found.devices if found else 1)
    return max(0.0, cell.ended - cell.began) if cell.ended is not None and cell.began is not None else 0.0
