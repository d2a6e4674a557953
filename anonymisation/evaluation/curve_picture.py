"""The curve as an SVG picture, drawn without any library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from anonymisation.evaluation.curve import Curve, Point

_WIDTH, _HEIGHT = 900, 620
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 40, 90, 70  # margins
_STYLE: Final = (
    "text{font:14px sans-serif;fill:#222}.title{font-size:18px;font-weight:bold}.small{font-size:12px;fill:#555}"
    ".grid{stroke:#ddd}.axis{stroke:#444}.line{fill:none;stroke-width:2.5}.ring{fill:none;stroke-width:3}"
)
_COLOURS: Final = {"person": "#b3312c", "vehicle": "#1f5fa8", "clean": "#5a7d1e"}
_STEPS: Final = (1, 2, 5, 10)  # the distances of grid lines, times a power of ten
_LINES: Final = 6  # about so many grid lines each way
_APART: Final = 30  # the least distance of two labels across, in pixels
_LEAST_SPREAD: Final = 1e-3  # of an axis, so that equal values have one
_LEAST_SHOWN: Final = 0.7  # recall below this is of no use, and would squeeze the rest


@dataclass(frozen=True, slots=True)
class _Series:
    """A line: (x, y, label) of each point, and of the point in force."""

    name: str
    points: tuple[tuple[float, float, str], ...]
    in_force: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class _Axis:
    """From a value to a place in pixels; `ticks` are the values of the grid lines."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float, most: float = 1.0) -> _Axis:
        """An axis that shows all values, from 0 to `most` at the widest."""
        low, high = min(values), max(values)
        spread = max(high - low, _LEAST_SPREAD)
        step = _step(spread * 1.1)
        first, last = math.floor((low - 0.03 * spread) / step), math.ceil((high + 0.03 * spread) / step)
        first, last = max(first, 0), min(last, round(most / step))
        ticks = tuple(round(number * step, 6) for number in range(first, max(last, first + 1) + 1))
        return cls(ticks[0], ticks[-1], start, end, ticks)

    def at(self, value: float) -> float:
        """The place of a value."""
        return self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low)


def curve_svg(curve: Curve, title: str) -> str:
    """Recall of persons and vehicles over the share of clean pixels hidden, with the thresholds at the points.

    If nothing to hide is annotated: the share of clean pixels hidden, over the threshold.
    """
    recall = [series for group in ("person", "vehicle") if (series := _recall(curve, group)) is not None]
    drawn = recall or [_clean(curve)]
    names = (
        ("clean pixels hidden by mistake (share)", "hidden pixels of those that must be (share)")
        if recall
        else ("threshold", "clean pixels hidden by mistake (share)")
    )
    drawn = [_worth_showing(series) for series in drawn] if recall else drawn
    places = [place for series in drawn for place in _places(series)]
    across = _Axis.over([x for x, _ in places] or [0.0], _LEFT, _WIDTH - _RIGHT)
    up = _Axis.over([y for _, y in places] or [0.0], _HEIGHT - _BOTTOM, _TOP)
    parts = [*_grid(across, up, *names), *_heading(title, drawn)]
    for series in drawn:
        parts += _line(series, across, up)
    parts += _labels(drawn, curve.in_force.threshold, across, up)
    note = _note(curve, with_recall=bool(recall))
    parts.append(f'<text class="small" x="20" y="{_HEIGHT - 8}">{escape(note)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}"><style>{_STYLE}</style>'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )


def _recall(curve: Curve, group: str) -> _Series | None:
    """The line of a group; None if nothing of it is annotated."""

    def place(point: Point) -> tuple[float, float] | None:
        share = getattr(point, group).share
        return None if share is None else (point.clean.share or 0.0, share)

    points = [(found, f"{point.threshold:g}") for point in curve.points if (found := place(point)) is not None]
    if not points:
        return None
    return _Series(group, tuple((x, y, label) for (x, y), label in points), place(curve.in_force))


def _clean(curve: Curve) -> _Series:
    points = tuple((point.threshold, point.clean.share or 0.0, f"{point.threshold:g}") for point in curve.points)
    return _Series("clean", points, (curve.in_force.threshold, curve.in_force.clean.share or 0.0))


def _worth_showing(series: _Series) -> _Series:
    """The line without the points of little recall."""
    least = _LEAST_SHOWN if series.in_force is None else min(_LEAST_SHOWN, series.in_force[1])
    shown = tuple(point for point in series.points if point[1] >= least)
    return _Series(series.name, shown, series.in_force)


def _places(series: _Series) -> list[tuple[float, float]]:
    return [(x, y) for x, y, _ in series.points] + ([] if series.in_force is None else [series.in_force])


def _step(spread: float) -> float:
    power = 10.0 ** math.floor(math.log10(spread / _LINES))
    return next(step * power for step in _STEPS if step * power * _LINES >= spread)


def _grid(across: _Axis, up: _Axis, below: str, left: str) -> list[str]:
    parts = []
    for tick in across.ticks:
        x = across.at(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{up.start}" y2="{up.end}"/>')
        parts.append(f'<text x="{x:.1f}" y="{up.start + 20}" text-anchor="middle">{tick:g}</text>')
    for tick in up.ticks:
        y = up.at(tick)
        parts.append(f'<line class="grid" x1="{across.start}" x2="{across.end}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{across.start - 8}" y="{y + 5:.1f}" text-anchor="end">{tick:g}</text>')
    middle = (across.start + across.end) / 2
    parts.append(f'<text x="{middle}" y="{up.start + 42}" text-anchor="middle">{below}</text>')
    turned = f'transform="translate(22 {(up.start + up.end) / 2}) rotate(-90)"'
    parts.append(f'<text {turned} text-anchor="middle">{left}</text>')
    parts.append(f'<path class="axis line" style="stroke-width:1" d="M{_LEFT} {up.end}V{up.start}H{across.end}"/>')
    return parts


def _heading(title: str, drawn: Sequence[_Series]) -> list[str]:
    parts = [f'<text class="title" x="{_LEFT}" y="32">{escape(title)}</text>']
    for place, series in enumerate(drawn):
        x = _LEFT + 120 * place
        parts.append(f'<line x1="{x}" x2="{x + 24}" y1="58" y2="58" stroke="{_COLOURS[series.name]}" class="line"/>')
        parts.append(f'<text x="{x + 30}" y="63">{series.name}</text>')
    x = _LEFT + 120 * len(drawn)
    parts.append(f'<circle class="ring" cx="{x + 12}" cy="58" r="8" stroke="#222"/>')
    parts.append(f'<text x="{x + 30}" y="63">settings in force</text>')
    return parts


def _line(series: _Series, across: _Axis, up: _Axis) -> list[str]:
    colour = _COLOURS[series.name]
    places = [(across.at(x), up.at(y), label) for x, y, label in series.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
    parts = [f'<polyline class="line" stroke="{colour}" points="{path}"/>']
    parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y, _ in places]
    if series.in_force is not None:
        x, y = across.at(series.in_force[0]), up.at(series.in_force[1])
        parts.append(f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="8" stroke="{colour}"/>')
    return parts


def _labels(drawn: Sequence[_Series], in_force: float, across: _Axis, up: _Axis) -> list[str]:
    """The threshold above the highest point of each, as far as there is room; that in force first."""
    highest: dict[str, tuple[float, float]] = {}
    for series in drawn:
        for x, y, label in series.points:
            highest[label] = (across.at(x), min(up.at(y), highest.get(label, (0.0, math.inf))[1]))
    parts, taken = [], list[float]()
    for label in sorted(highest, key=lambda label: (label != f"{in_force:g}", float(label))):
        x, y = highest[label]
        if all(abs(x - other) >= _APART for other in taken):
            taken.append(x)
            parts.append(f'<text class="small" x="{x:.1f}" y="{y - 12:.1f}" text-anchor="middle">{label}</text>')
    return parts


def _note(curve: Curve, *, with_recall: bool) -> str:
    text = "Numbers: one score_threshold for all."
    if with_recall:
        text += f" Recall below {_LEAST_SHOWN}: in the table only."
    if curve.cut:
        text += f" The model gave no score below {curve.lowest_score:.3f}: the curve ends there."
    return text
