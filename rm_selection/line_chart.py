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
FONT = "9.5px sans-serif"
STYLES = tuple(  # a line is known by its dashes where its colour is not seen
    zip((BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY), ("", "7 3", "2 2", "9 3 2 3", "4 4", "1 3"), strict=True)
)


Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """One course or several alike, each of points from left to right; what the legend calls them, colour and dashes."""

    courses: Sequence[Points]
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
        lines: points that are no finite numbers are left out.
    """
    points = [point for line in lines for course in line.courses for point in _finite(course)] or [(0.0, 0.0)]
    below = ROW * math.ceil(len(lines) / COLUMNS)
    x = _scale([one for one, _ in points], LEFT, WIDTH - RIGHT)
    y = _scale([two for _, two in points], HEIGHT - BOTTOM, TOP)
    parts = [
        _group("start", [_text(0, 12, title)], f"bold {FONT}", TEXT),
        *_axes(x, y, across),
        *(_path([_drawn(course, x, y) for course in line.courses], line) for line in lines),
        *_legend(lines),
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


def _finite(points: Points) -> list[tuple[float, float]]:
    return [(one, two) for one, two in points if math.isfinite(one) and math.isfinite(two)]


def _scale(values: Sequence[float], start: float, end: float) -> _Scale:
    low, high = min(values), max(values)
    space = 0.04 * (high - low) or abs(high) * 0.1 or 1.0
    return _Scale(low - space, high + space, start, end)


def _axes(x: _Scale, y: _Scale, across: str) -> list[str]:
    up, along = ticks(y.low, y.high), ticks(max(x.low, 0.0), x.high)
    heights = [_text(LEFT - 4, y.at(value) + 3, f"{value:.4g}") for value in up]
    steps = [_text(x.at(value), HEIGHT - BOTTOM + 13, f"{value:.5g}") for value in along]
    return [
        _path([[(LEFT, y.at(value)), (WIDTH - RIGHT, y.at(value))] for value in up], Line((), "", GRID, width=0.7)),
        _group("end", [*heights, _text(WIDTH - RIGHT, HEIGHT - 6, across)]),
        _group("middle", steps),
    ]


def _drawn(course: Points, x: _Scale, y: _Scale) -> Points:
    points = [(x.at(one), y.at(two)) for one, two in _finite(course)]
    if len(points) == 1:  # a line of one point is a short dash
        points = [(points[0][0] - 3, points[0][1]), (points[0][0] + 3, points[0][1])]
    return points


def _legend(lines: Sequence[Line]) -> list[str]:
    drawn, texts = [], []
    for place, line in enumerate(lines):
        left, middle = WIDTH / COLUMNS * (place % COLUMNS), HEIGHT + ROW * (place // COLUMNS) + 4
        drawn += [_path([[(left, middle), (left + 24, middle)]], line)]
        texts += [_text(left + 28, middle + 3, line.label)]
    return [*drawn, _group("start", texts)]


def _path(courses: Sequence[Points], line: Line) -> str:
    """Several courses in one element; after the first point of each, the others follow without a letter."""
    course = "".join("M" + " ".join(f"{one:.1f} {two:.1f}" for one, two in points) for points in courses if points)
    dashed = f"; stroke-dasharray: {line.dashes}" if line.dashes else ""
    return f'<path d="{course}" style="fill: none; stroke: {line.colour}; stroke-width: {line.width}{dashed}"/>'


def _group(anchor: str, texts: Sequence[str], font: str = FONT, colour: str = MUTED) -> str:
    return f'<g style="font: {font}; text-anchor: {anchor}; fill: {colour}">{"".join(texts)}</g>'


def _text(left: float, base: float, text: str) -> str:
    return f'<text x="{left:.1f}" y="{base:.1f}">{escape(text)}</text>'
