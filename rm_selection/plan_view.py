"""How a plan is shown: a row a kind of cell, then hours, memory, and the checkpoints that do not fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rm_selection.cell_states import DONE, FAILED
from rm_selection.costs import SPARE, Cost, too_large
from rm_selection.errors import StudyError
from rm_selection.planned import Plan, Planned, by_kind

_OUT = Console(width=None if Console().is_terminal else 100, highlight=False)
_LISTED = 8  # names in a sentence


def show(plan: Plan) -> None:
    """Print it; sentences are not wrapped, so that each stays one line in a pipe."""
    _OUT.print(_kinds(plan))
    for sentence in sentences(plan):
        _OUT.print(Text(sentence), soft_wrap=True)


def _kinds(plan: Plan) -> Table:
    """A row a command and objective or feature."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("command", "what"):
        table.add_column(name, overflow="fold")
    for name in ("cells", "done", "failed", "left", "trainings", "hours left", "largest GiB"):
        table.add_column(name, justify="right")
    for command, what, cells in by_kind(plan.cells):
        left = [one for one in cells if one.cell.state != DONE]
        states = [sum(one.cell.state == state for one in cells) for state in (DONE, FAILED)]
        trainings = sum(one.trainings for one in left)
        shown = f"{trainings:.3g}" if trainings else ""
        row = [len(cells), *states, len(left), shown, _hours(left), _largest(left)]
        table.add_row(Text(command), Text(what), *map(str, row))
    return table


def sentences(plan: Plan) -> Iterator[str]:
    """What the left cells take in all, what that rests on, and which checkpoints do not fit."""
    left, device = plan.left, plan.device
    known = [one.cost for one in left if one.cost is not None]
    yield f"{len(left)} of {len(plan.cells)} cells are left"
    if known:
        hours = sum(cost.hours for cost in known)
        longest = max(cost.hours / device.count for cost in known)
        wall = max(hours / plan.jobs, longest)
        yield f"about {_number(hours)} hours of {device.name}; {_number(wall)} hours with {plan.jobs} at once"
        bases = {cost.basis: sum(one.basis == cost.basis for one in known) for cost in known}
        yield f"hours are from: {'; '.join(f'{basis} ({count} cells)' for basis, count in bases.items())}"
    if unknown := sorted({one.cell.what for one in left if one.cost is None}):
        count = sum(one.cost is None for one in left)
        yield f"{count} cells are left out, for nothing tells their hours before one is done: {', '.join(unknown)}"
    yield from _memory(plan, left)


def _memory(plan: Plan, left: Sequence[Planned]) -> Iterator[str]:
    device = plan.device
    needed: dict[str, Cost] = {}
    for one in left:
        if one.cost is not None and one.cell.command == "train":
            other = needed.get(one.checkpoint, one.cost)
            needed[one.checkpoint] = max(one.cost, other, key=lambda cost: cost.memory_gib)
    if not needed or device.memory_gib is None:
        return
    largest = max(needed, key=lambda name: needed[name].memory_gib)
    yield (
        f"most memory: {largest}, {needed[largest].memory_gib:.0f} GiB; {device.name} has {device.memory_gib:.0f}, of "
        f"which {SPARE:.0%} is left free"
    )
    if large := too_large(needed, device):
        yield f"warning: {large}"


def check_finished(plan: Plan) -> None:
    """Refuse a plan that has cells left.

    Raises:
        StudyError: they are counted, and those that failed named with their reasons.
    """
    if not plan.left:
        return
    failed = [f"{one.checkpoint} {one.cell.what}: {one.cell.reason}" for one in plan.left if one.cell.reason]
    more = f"; failed: {'; '.join(failed[:_LISTED])}" if failed else ""
    raise StudyError(f"{len(plan.left)} of {len(plan.cells)} cells are left, the same command goes on with them{more}")


def _hours(cells: Sequence[Planned]) -> str:
    known = [one.cost.hours for one in cells if one.cost is not None]
    return "0" if not cells else _number(sum(known)) if known else "unknown"


def _largest(cells: Sequence[Planned]) -> str:
    known = [one.cost.memory_gib for one in cells if one.cost is not None]
    return f"{max(known):.0f}" if known else ""


def _number(hours: float) -> str:
    """Whole hours from ten on, two figures below."""
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"
