"""How a study's progress is shown: what counts on top, a row a base rather than a cell, then what runs and what failed.

Pandas, and with it the tables of console.py, would take half of the second that the command has.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from statistics import mean

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rm_selection.activity import activity
from rm_selection.cell_states import DONE, FAILED, NOT_BEGUN, RUNNING, STATES, STOPPED, WAITING, Cell
from rm_selection.forecast import Forecast, forecast, going
from rm_selection.sweeps import Sweep

_OUT = Console(width=None if Console().is_terminal else 100, highlight=False)
_ALWAYS = (DONE, RUNNING, WAITING, FAILED)  # shown also where none is in that state
Bases = Sequence[tuple[str, Sequence[Cell]]]  # each with its cells


@dataclass(frozen=True)
class Snapshot:
    """A study as it is now (seconds since the epoch)."""

    study: str
    cells: Sequence[Cell]
    sweeps: Sequence[Sweep]
    now: float


def show(snapshot: Snapshot, rows: int) -> None:
    """Print it; lines of text are not wrapped, so that each stays one line in a pipe."""
    for part in view(snapshot, rows):
        _OUT.print(part, soft_wrap=isinstance(part, Text))


def follow(look: Callable[[], Snapshot], every: float, rows: int) -> None:
    """Show what `look` sees until nothing runs or waits, or the user interrupts; in a pipe, only the last of it."""
    with suppress(KeyboardInterrupt), Live(console=_OUT, auto_refresh=False) as live:
        fitting = max(3, (_OUT.height - 18) // 3) if _OUT.is_terminal else rows
        while True:
            snapshot = look()
            live.update(Group(*view(snapshot, min(rows, fitting))), refresh=True)
            if not going(snapshot.cells):
                return
            time.sleep(every)


def view(snapshot: Snapshot, rows: int) -> Iterator[RenderableType]:
    """The parts of the view. rows: most rows of a list."""
    cells, now = snapshot.cells, snapshot.now
    yield _line(f"{snapshot.study}: {_count(cells, DONE)} of {len(cells)} cells done")
    yield _commands(cells)
    yield from _outlook(snapshot, forecast(cells, now))
    running = [cell for cell in cells if cell.state == RUNNING]
    if running:
        yield _running(running[:rows], now)
        yield from _more(len(running), rows, "cells that run")
    bases = _ordered(cells)
    names = _scored(bases[:rows])
    fitting = _fitting(bases[:rows], names)
    yield _bases(bases[:rows], names[:fitting])
    if left := [f"{what} {name}" for what, name in names[fitting:]]:
        yield _line(f"more scores: {', '.join(left)}; a wider terminal shows them")
    yield from _more(len(bases), rows, "bases")
    failed = [cell for cell in cells if cell.state == FAILED]
    for cell in failed[:rows]:
        yield _line(f"failed: {cell.folder.name}: {cell.reason or 'no reason was recorded'}")
    yield from _more(len(failed), rows, "cells that failed")
    yield from _to_go_on(snapshot, rows)


def _commands(cells: Sequence[Cell]) -> Table:
    """A row a command: its bar, and how many cells are in each state."""
    states = [state for state in STATES if state in _ALWAYS or _count(cells, state)]
    table = _table("", "", *states)
    for command, own in _grouped(cells, "command").items():
        bar = ProgressBar(len(own), _count(own, DONE), width=20)
        table.add_row(Text(command), bar, *[_number(_count(own, state)) for state in states])
    return table


def _outlook(snapshot: Snapshot, expected: Forecast) -> Iterator[Text]:
    """Time and cost, spent and left, and what the estimate rests on."""
    cells, now = snapshot.cells, snapshot.now
    begun = [sweep.began for sweep in snapshot.sweeps if sweep.live]
    begun = begun or [cell.began for cell in cells if cell.state == RUNNING and cell.began is not None]
    elapsed = f"running for {span(now - min(begun))}" if begun else "nothing runs"
    hours = " + ".join(sorted({cell.device for cell in cells if cell.device})) or "unknown until a cell is done"
    left = "unknown" if expected.seconds is None else f"about {span(expected.seconds)}"
    cost = "unknown" if expected.left is None else f"about {_hours(expected.left)}"
    if not going(cells) and not expected.bases and not expected.unknown:
        left = cost = "none"
    yield _line(f"time: {elapsed}, left {left}")
    yield _line(f"device-hours ({hours}): {_hours(expected.spent)} spent, left {cost}")
    if expected.bases:
        basis = ", ".join(f"{count} from {name}" for name, count in expected.bases.items())
        pace = f"{expected.at_once} at a time, as now" if expected.at_once else "one at a time, since none runs"
        left_out = f"; {expected.unknown} left out, nothing finished tells of them" if expected.unknown else ""
        yield _line(f"estimated from finished cells ({basis}), {pace}{left_out}")
    elif expected.unknown:
        yield _line(f"no finished cell tells what those that are left will take ({expected.unknown})")


def _running(cells: Sequence[Cell], now: float) -> Table:
    table = _table("running", "objective", "seed", "rate", "step", "so far", "for", "wrote")
    for cell in cells:
        known = activity(cell.folder)
        rate = "" if known.rate is None else f"{known.rate:g}"
        step = "" if known.step is None else f"{known.step}" if known.steps is None else f"{known.step}/{known.steps}"
        since = "" if cell.began is None else span(now - cell.began)
        wrote = "" if known.wrote is None else f"{span(now - known.wrote)} ago"
        model = cell.folder.name.partition("__")[0]
        texts = (model, cell.what, cell.seed or "", rate, step, _figure(known.figure), since, wrote)
        table.add_row(*[Text(text) for text in texts])
    return table


def _figure(figure: tuple[str, float] | None) -> str:
    """The last validation: accuracy in per cent, anything else as it is."""
    if figure is None:
        return ""
    name, value = figure[0].removeprefix("validation_"), figure[1]
    return f"{100 * value:.1f}%" if name == "accuracy" else f"{name} {value:.3g}"


def _scored(bases: Bases) -> list[tuple[str, str]]:
    """Objective and evaluation of every score that there is."""
    trained = [cell for _, cells in bases for cell in cells if cell.scores]
    return sorted({(cell.what, name) for cell in trained for name in cell.scores})


def _rest(bases: Bases) -> str:
    """The state that is not always shown, `other` where there are several, nothing where there is none."""
    found = {cell.state for _, cells in bases for cell in cells} - set(_ALWAYS)
    return "other" if len(found) > 1 else next(iter(found), "")


def _fitting(bases: Bases, names: Sequence[tuple[str, str]]) -> int:
    """How many scores fit beside the names of the bases, one at least: names in pieces cannot be read."""
    columns = [max((base for base, _ in bases), key=len, default=""), *_ALWAYS, _rest(bases)]
    room = _OUT.width - sum(len(name) + 1 for name in columns if name)
    ends = accumulate(max(map(len, name)) + 1 for name in names)
    return max(1, sum(end <= room for end in ends))


def _bases(bases: Bases, names: Sequence[tuple[str, str]]) -> Table:
    """A row a base: cells by state, and the mean score of its reward models by objective and evaluation."""
    rest = _rest(bases)
    table = _table("base", *_ALWAYS, *([rest] if rest else []), *[f"{what}\n{name}" for what, name in names])
    for base, cells in bases:
        counts = [_count(cells, state) for state in _ALWAYS]
        counts += [len(cells) - sum(counts)] if rest else []
        found = [[one.scores[name] for one in cells if one.what == what and name in one.scores] for what, name in names]
        scores = [Text(f"{mean(each):.1f}" if each else "") for each in found]
        table.add_row(Text(base), *[_number(count) for count in counts], *scores)
    return table


def _ordered(cells: Sequence[Cell]) -> list[tuple[str, list[Cell]]]:
    """The cells of each base; first bases of which some run, then those with failures, then those that wait."""
    states = (RUNNING, FAILED, WAITING)
    bases = _grouped(cells, "base").items()
    return sorted(bases, key=lambda base: [_count(base[1], state) == 0 for state in states] + [base[0]])


def _to_go_on(snapshot: Snapshot, rows: int) -> Iterator[Text]:
    """What was killed or never begun, and the command that goes on with it."""
    stopped = [cell for cell in snapshot.cells if cell.state == STOPPED]
    for cell in stopped[:rows]:
        yield _line(f"stopped: {cell.folder.name}: will go on with the same command")
    yield from _more(len(stopped), rows, "cells that stopped")
    left = {cell.folder.name for cell in snapshot.cells if cell.state in (STOPPED, NOT_BEGUN, FAILED)}
    for sweep in snapshot.sweeps:
        if not sweep.live and (count := len(left & {place.partition("/")[2] for place in sweep.cells})):
            words = shlex.join(["python", "-m", f"rm_selection.{sweep.command}", "-m", *sweep.words])
            yield _line(
                f"the last sweep of {sweep.command} ended; {count} of its {len(sweep.cells)} cells go on with: {words}"
            )


def _more(count: int, rows: int, what: str) -> Iterator[Text]:
    if count > rows:
        yield _line(f"more {what}: {count - rows}; rows={count} shows them")


def span(seconds: float) -> str:
    """A time as people say it, in its two largest units."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    return (
        f"{hours} h {minutes} min" if hours else f"{minutes} min {whole % 60} s" if minutes < 10 else f"{minutes} min"
    )


def _hours(hours: float) -> str:
    return f"{hours:.1f}" if hours >= 10 else f"{hours:.2g}"


def _count(cells: Sequence[Cell], state: str) -> int:
    return sum(cell.state == state for cell in cells)


def _number(count: int) -> Text:
    return Text(str(count))


def _grouped(cells: Sequence[Cell], by: str) -> dict[str, list[Cell]]:
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(getattr(cell, by), []).append(cell)
    return groups


def _line(text: str) -> Text:
    """One line, whatever lines and marks the text from a record has."""
    return Text("".join(sign if sign.isprintable() else " " for sign in " ".join(text.split())))


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right", overflow="fold")
    return table
