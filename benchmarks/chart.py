"""Results as a chart: bars with their figures, as an SVG picture without any library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

_ROW: Final = 22
_LABELS: Final = 300
_BARS: Final = 420
_SHOWN: Final = ("CPU", "CPU seconds", "decode")  # the first of these that a result has is its bar


def chart(results: Sequence[tuple[str, Mapping[str, float]]]) -> str:
    """One row for each result: its name, a bar for its CPU time (each kind of case has its own scale), its figures."""
    greatest: dict[str, float] = {}
    for name, figures in results:
        kind = name.split(" · ")[0]
        greatest[kind] = max(greatest.get(kind, 0.0), _value(figures))
    rows = [_row(index, *result, greatest[result[0].split(" · ")[0]]) for index, result in enumerate(results)]
    size = f'width="1400" height="{_ROW * len(results) + 20}"'
    style = "text{font:12px sans-serif}.bar{fill:#4878a8}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{style}</style>'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(rows)}</svg>\n'
    )


def _value(figures: Mapping[str, float]) -> float:
    return next((figures[name] for name in _SHOWN if name in figures), 0.0)


def _row(index: int, name: str, figures: Mapping[str, float], greatest: float) -> str:
    y = 10 + _ROW * index
    width = _BARS * _value(figures) / greatest if greatest else 0.0
    text = "  ".join(f"{figure} {value:g}" for figure, value in figures.items())
    return (
        f'<text x="10" y="{y + 14}">{escape(name)}</text>'
        f'<rect class="bar" x="{_LABELS}" y="{y + 3}" width="{width:.1f}" height="{_ROW - 7}"/>'
        f'<text x="{_LABELS + width + 8:.1f}" y="{y + 14}">{escape(text)}</text>'
    )
