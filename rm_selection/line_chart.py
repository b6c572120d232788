"""Lines -> a small SVG file: two axes, a legend, in the inks of plot_style. Lengths in px of the file.

Some hundred of them are drawn for a study, one a run and quantity, in the time that matplotlib takes for one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from rm_selection.plot_style import BLUE, GREEN, GRID, MUTED, ORANGE, PURPLE, SKY, TEXT, VERMILLION

WIDTH, HEIGHT = 320, 200
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 24, 34
ROW = 15  # of the legend
COLUMNS = 2
STYLES = tuple(  # a line is known by its dashes where its colour is not seen
    zip((BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY), ("", "7 3", "2 2", "9 3 2 3", "4 4", "1 3"), strict=True)
)


@dataclass(frozen=True)
class Line:
    """Points from left to right, what the legend calls them (nothing: not in the legend), colour and dashes."""

    points: Sequence[tuple[float, float]]
    label: str
    colour: str
    dashes: str = ""
    width: float = 1.6


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def line_chart(title: str, across: str, lines: Sequence[Line]) -> str:
    """The text of an SVG file.

    Args:
        title: above the axes: what is drawn.
        across: name of the horizontal axis.
        lines: one or more, each of one or more points; points that are no finite numbers are left out.
    """
    points = [point for line in lines for point in _finite(line.points)] or [(0.0, 0.0)]
    named = [line for line in lines if line.label]
    below = ROW * math.ceil(len(named) / COLUMNS)
    x = _scale([one for one, _ in points], LEFT, WIDTH - RIGHT)
    y = _scale([two for _, two in points], HEIGHT - BOTTOM, TOP)
    parts = [
        _text(0, 12, title, weight="bold"),
        *_axes(x, y),
        _text(WIDTH - RIGHT, HEIGHT - 6, across, anchor="end"),
        *(_drawn(line, x, y) for line in lines),
        *_legend(named),
    ]
    box = f"0 0 {WIDTH} {HEIGHT + below}"
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">{"".join(parts)}</svg>\n'


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, at most `most` and at least one where a step of 1, 2 or 5 allows."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _finite(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(one, two) for one, two in points if math.isfinite(one) and math.isfinite(two)]


def _scale(values: Sequence[float], start: float, end: float) -> _Scale:
    low, high = min(values), max(values)
    space = 0.04 * (high - low) or abs(high) * 0.1 or 1.0
    return _Scale(low - space, high + space, start, end)


def _axes(x: _Scale, y: _Scale) -> list[str]:
    drawn = []
    for value in ticks(y.low, y.high):
        drawn += [_path([(LEFT, y.at(value)), (WIDTH - RIGHT, y.at(value))], GRID, 0.7)]
        drawn += [_text(LEFT - 4, y.at(value) + 3, f"{value:.4g}", anchor="end")]
    for value in ticks(max(x.low, 0.0), x.high):
        drawn += [_text(x.at(value), HEIGHT - BOTTOM + 13, f"{value:.5g}", anchor="middle")]
    return drawn


def _drawn(line: Line, x: _Scale, y: _Scale) -> str:
    points = [(x.at(one), y.at(two)) for one, two in _finite(line.points)]
    if len(points) == 1:  # a line of one point is a short dash
        points = [(points[0][0] - 3, points[0][1]), (points[0][0] + 3, points[0][1])]
    return _path(points, line.colour, line.width, line.dashes) if points else ""


def _legend(lines: Sequence[Line]) -> list[str]:
    drawn = []
    for place, line in enumerate(lines):
        left, middle = WIDTH / COLUMNS * (place % COLUMNS), HEIGHT + ROW * (place // COLUMNS) + 4
        drawn += [_path([(left, middle), (left + 24, middle)], line.colour, line.width, line.dashes)]
        drawn += [_text(left + 28, middle + 3, line.label)]
    return drawn


def _path(points: Sequence[tuple[float, float]], colour: str, width: float, dashes: str = "") -> str:
    course = " ".join(f"{'L' if place else 'M'} {one:.1f} {two:.1f}" for place, (one, two) in enumerate(points))
    dashed = f"; stroke-dasharray: {dashes}" if dashes else ""
    return f'<path d="{course}" style="fill: none; stroke: {colour}; stroke-width: {width}{dashed}"/>'


def _text(left: float, base: float, text: str, anchor: str = "start", weight: str = "normal") -> str:
    colour = TEXT if weight == "bold" else MUTED
    style = f"font: {weight} 9.5px sans-serif; text-anchor: {anchor}; fill: {colour}"
    return f'<text x="{left:.1f}" y="{base:.1f}" style="{style}">{escape(text)}</text>'
