"""Plates and boards for `drawn.py`: European signs of every class, direction boards, advertisements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2  # noqa: TID253 - draws
import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Colour = tuple[int, int, int]
Points = Sequence[tuple[float, float]]

RED: Final = (196, 30, 40)
BLUE: Final = (0, 90, 170)
GREEN: Final = (0, 110, 70)
YELLOW: Final = (250, 205, 20)
ORANGE: Final = (240, 120, 20)
WHITE: Final = (240, 240, 238)
BLACK: Final = (25, 25, 28)
BACK: Final = (140, 142, 145)

_SIDE: Final = 160
_WORDS: Final = (
    "Oslo", "Drammen", "Kongsberg", "Notodden", "Damåsen", "Hokksund", "Sentrum", "Skole", "Camping", "Kirke", "Kafe",
    "MASKINUTLEIE", "TIL SALGS", "Bensin", "24t", "SALG", "Hotell", "Stokke", "Larvik", "Bergen", "Trondheim",
    "Kjør forsiktig", "Utkjøring", "Brakke", "P-hus", "Bomstasjon",
)  # fmt: skip
_NUMBERS: Final = ("30", "40", "50", "60", "70", "80", "90", "100", "110", "3,5t", "8t", "4,2m")


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """What is drawn so far: `pixels` (H, W, 3) RGB, `alpha` (H, W) 0 to 255."""

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8]

    @classmethod
    def empty(cls, height: int, width: int) -> Sheet:
        """A transparent sheet."""
        return cls(np.full((height, width, 3), 90, np.uint8), np.zeros((height, width), np.uint8))

    def fill(self, points: Points, colour: Colour) -> None:
        """Fill a polygon."""
        corners = [np.round(np.array(points, np.float64) * 16).astype(np.int32)]
        cv2.fillPoly(self.pixels, corners, colour, cv2.LINE_AA, shift=4)
        cv2.fillPoly(self.alpha, corners, 255, cv2.LINE_AA, shift=4)

    def disc(self, centre: tuple[float, float], radii: tuple[float, float], colour: Colour) -> None:
        """Fill an ellipse."""
        place, axes = (round(centre[0]), round(centre[1])), (max(round(radii[0]), 1), max(round(radii[1]), 1))
        cv2.ellipse(self.pixels, place, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)
        cv2.ellipse(self.alpha, place, axes, 0, 0, 360, 255, -1, cv2.LINE_AA)

    def line(self, start: tuple[float, float], end: tuple[float, float], colour: Colour, thick: float) -> None:
        """Draw a straight line."""
        ends = (round(start[0]), round(start[1])), (round(end[0]), round(end[1]))
        cv2.line(self.pixels, *ends, colour, max(round(thick), 1), cv2.LINE_AA)
        cv2.line(self.alpha, *ends, 255, max(round(thick), 1), cv2.LINE_AA)

    def write(self, text: str, box: tuple[float, float, float, float], colour: Colour, rng: Rng) -> None:
        """Write a text as large as fits into the box (x0, y0, x1, y1), in its middle."""
        font = int(rng.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX]))
        (width, height), _ = cv2.getTextSize(text, font, 1.0, 2)
        size = min((box[2] - box[0]) / max(width, 1), (box[3] - box[1]) / max(height, 1))
        thick = max(round(size * rng.uniform(2, 4.5)), 1)
        place = (round((box[0] + box[2] - width * size) / 2), round((box[1] + box[3] + height * size) / 2))
        cv2.putText(self.pixels, text, place, font, size, colour, thick, cv2.LINE_AA)

    def put(self, other: Sheet, x: int, y: int) -> None:
        """Paste another sheet that fits at this place."""
        height, width = other.alpha.shape
        part = self.pixels[y : y + height, x : x + width]
        share = other.alpha[..., None] / 255.0
        part[:] = np.round(part * (1 - share) + other.pixels * share).astype(np.uint8)
        alpha = self.alpha[y : y + height, x : x + width]
        alpha[:] = np.maximum(alpha, other.alpha)


def plates(rng: Rng) -> list[Sheet]:
    """What hangs on one post, from above: one to three plates, sometimes a number of the road below."""
    shown = [
        _PLATES[int(rng.integers(len(_PLATES)))](rng) for _ in range(int(rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15])))
    ]
    if rng.random() < 0.3:
        shown.append(_road_number(rng))
    if rng.random() < 0.12:
        for plate in shown:
            plate.pixels[:] = BACK
    return shown


def one_of(rng: Rng, *choices: Colour) -> Colour:
    """A random one of these colours."""
    return choices[int(rng.integers(len(choices)))]


def word(rng: Rng) -> str:
    """A random word, or a number."""
    return _WORDS[int(rng.integers(len(_WORDS)))] if rng.random() < 0.85 else str(rng.integers(1, 999))


def regular(sides: int, centre: float, radius: float, turned: float = 0.0) -> list[tuple[float, float]]:
    """The corners of a regular polygon, with one of them above the centre, turned by `turned` (radians)."""
    angles = [turned - math.pi / 2 + 2 * math.pi * n / sides for n in range(sides)]
    return [(centre + radius * math.cos(a), centre + radius * math.sin(a)) for a in angles]


def _scaled(points: Points, share: float) -> list[tuple[float, float]]:
    x, y = (sum(p[axis] for p in points) / len(points) for axis in (0, 1))
    return [(x + (p[0] - x) * share, y + (p[1] - y) * share) for p in points]


def _warning(rng: Rng) -> Sheet:
    sheet = Sheet.empty(int(_SIDE * 0.88), _SIDE)
    outline = [(_SIDE / 2, 2), (_SIDE - 3, _SIDE * 0.86), (3, _SIDE * 0.86)]
    sheet.fill(outline, RED)
    sheet.fill(_scaled(outline, 0.72), one_of(rng, WHITE, YELLOW, YELLOW))
    _symbol(sheet, (_SIDE / 2, _SIDE * 0.57), _SIDE * 0.17, BLACK, rng)
    return sheet


def _give_way(rng: Rng) -> Sheet:
    sheet = Sheet.empty(int(_SIDE * 0.88), _SIDE)
    outline = [(_SIDE / 2, _SIDE * 0.86), (_SIDE - 3, 2), (3, 2)]
    sheet.fill(outline, RED)
    sheet.fill(_scaled(outline, 0.68), one_of(rng, WHITE, YELLOW))
    return sheet


def _prohibition(rng: Rng) -> Sheet:
    sheet, middle = Sheet.empty(_SIDE, _SIDE), _SIDE / 2
    sheet.disc((middle, middle), (middle - 2, middle - 2), RED)
    sheet.disc((middle, middle), (middle * 0.76, middle * 0.76), one_of(rng, WHITE, YELLOW))
    if rng.random() < 0.6:
        number = _NUMBERS[int(rng.integers(len(_NUMBERS)))]
        sheet.write(number, (_SIDE * 0.22, _SIDE * 0.32, _SIDE * 0.78, _SIDE * 0.68), BLACK, rng)
    else:
        _symbol(sheet, (middle, middle), _SIDE * 0.25, BLACK, rng)
        if rng.random() < 0.6:
            sheet.line((_SIDE * 0.2, _SIDE * 0.2), (_SIDE * 0.8, _SIDE * 0.8), RED, _SIDE * 0.08)
    return sheet


def _mandatory(rng: Rng) -> Sheet:
    sheet, middle = Sheet.empty(_SIDE, _SIDE), _SIDE / 2
    sheet.disc((middle, middle), (middle - 2, middle - 2), WHITE)
    sheet.disc((middle, middle), (middle - 6, middle - 6), BLUE)
    if rng.random() < 0.5:
        _arrow(sheet, (middle, middle), _SIDE * 0.3, float(rng.choice([0, 45, 90, 135, 180, -45])), WHITE)
    else:
        _symbol(sheet, (middle, middle), _SIDE * 0.25, WHITE, rng)
    return sheet


def _no_stopping(rng: Rng) -> Sheet:
    sheet, middle = Sheet.empty(_SIDE, _SIDE), _SIDE / 2
    sheet.disc((middle, middle), (middle - 2, middle - 2), RED)
    sheet.disc((middle, middle), (middle * 0.8, middle * 0.8), BLUE)
    sheet.line((_SIDE * 0.2, _SIDE * 0.2), (_SIDE * 0.8, _SIDE * 0.8), RED, _SIDE * 0.1)
    if rng.random() < 0.5:
        sheet.line((_SIDE * 0.8, _SIDE * 0.2), (_SIDE * 0.2, _SIDE * 0.8), RED, _SIDE * 0.1)
    return sheet


def _priority(rng: Rng) -> Sheet:
    sheet, middle = Sheet.empty(_SIDE, _SIDE), _SIDE / 2
    sheet.fill(regular(4, middle, middle - 2), one_of(rng, WHITE, BLACK))
    sheet.fill(regular(4, middle, middle * 0.92), WHITE)
    sheet.fill(regular(4, middle, middle * 0.62), one_of(rng, YELLOW, ORANGE))
    return sheet


def _stop(rng: Rng) -> Sheet:
    sheet, middle = Sheet.empty(_SIDE, _SIDE), _SIDE / 2
    sheet.fill(regular(8, middle, middle - 1, math.pi / 8), WHITE)
    sheet.fill(regular(8, middle, middle * 0.92, math.pi / 8), RED)
    sheet.write("STOP", (_SIDE * 0.14, _SIDE * 0.36, _SIDE * 0.86, _SIDE * 0.64), WHITE, rng)
    return sheet


def _information(rng: Rng) -> Sheet:
    high = int(_SIDE * rng.choice([1.0, 1.0, 1.4, 0.6]))
    sheet = Sheet.empty(high, _SIDE)
    _framed(sheet, one_of(rng, BLUE, BLUE, GREEN), WHITE, rng)
    if rng.random() < 0.4:
        sheet.write(str(rng.choice(["P", "M", "i", "H", "WC"])), (30, high * 0.2, _SIDE - 30, high * 0.8), WHITE, rng)
    else:
        triangle = [(_SIDE / 2, high * 0.12), (_SIDE * 0.86, high * 0.86), (_SIDE * 0.14, high * 0.86)]
        sheet.fill(triangle, WHITE)
        _symbol(sheet, (_SIDE / 2, high * 0.6), high * 0.2, BLACK, rng)
    return sheet


def _chevrons(rng: Rng) -> Sheet:
    count, side = int(rng.integers(1, 5)), int(_SIDE * 0.8)
    tall = rng.random() < 0.3
    sheet = Sheet.empty(side * (count if tall else 1), side * (1 if tall else count))
    dark, light = (BLACK, YELLOW) if rng.random() < 0.7 else (WHITE, RED)
    _framed(sheet, dark, dark, rng)
    right = rng.random() < 0.5
    for n in range(count):
        x, y = (0, n * side) if tall else (n * side, 0)
        shape = [(0.1, 0.05), (0.45, 0.05), (0.85, 0.5), (0.45, 0.95), (0.1, 0.95), (0.5, 0.5)]
        sheet.fill([(x + (a if right else 1 - a) * side, y + b * side) for a, b in shape], light)
    return sheet


def _road_number(rng: Rng) -> Sheet:
    sheet = Sheet.empty(int(_SIDE * 0.36), int(_SIDE * 0.8))
    green = rng.random() < 0.6
    _framed(sheet, GREEN if green else one_of(rng, WHITE, BLUE), WHITE if green else BLACK, rng)
    text = f"E{rng.integers(6, 140)}" if green else f"{rng.integers(2, 900)}"
    sheet.write(text, (12, 12, _SIDE * 0.8 - 12, _SIDE * 0.36 - 12), WHITE if green else BLACK, rng)
    return sheet


def _panel(rng: Rng) -> Sheet:
    """A white or yellow plate with one or two lines of text, below other signs."""
    sheet = Sheet.empty(int(_SIDE * rng.uniform(0.3, 0.7)), _SIDE)
    _framed(sheet, one_of(rng, WHITE, YELLOW), BLACK, rng)
    _lines(sheet, BLACK, int(rng.integers(1, 3)), rng)
    return sheet


_PLATES: Final = (
    _warning, _warning, _give_way, _prohibition, _prohibition, _prohibition, _mandatory, _mandatory, _no_stopping,
    _priority, _stop, _information, _information, _chevrons, _panel,
)  # fmt: skip


def direction_board(rng: Rng) -> Sheet:
    """A board with names of places, distances and arrows, in a country's colours; some are pointed at one end."""
    width = int(rng.uniform(200, 460))
    rows = int(rng.integers(1, 6))
    sheet = Sheet.empty(int(rows * rng.uniform(45, 70)) + 14, width)
    ground = one_of(rng, BLUE, BLUE, GREEN, YELLOW, WHITE, (110, 60, 25))
    text = BLACK if ground in (YELLOW, WHITE) else WHITE
    height = sheet.alpha.shape[0]
    if rows <= 2 and rng.random() < 0.5:
        tip = height * 0.4
        corners = [(0, 0), (width - tip, 0), (width - 1, height / 2), (width - tip, height - 1), (0, height - 1)]
        if rng.random() < 0.5:
            corners = [(width - 1 - x, y) for x, y in corners]
        sheet.fill(corners, text)
        sheet.fill(_scaled(corners, 0.95), ground)
    else:
        _framed(sheet, ground, text, rng)
    _lines(sheet, text, rows, rng, arrows=True)
    return sheet


def advertisement(rng: Rng) -> Sheet:
    """A board with bands of colour, texts, discs and shapes that mean nothing."""
    height, width = int(rng.uniform(90, 320)), int(rng.uniform(120, 460))
    sheet = Sheet.empty(height, width)
    levels = (rng.integers(0, 256, 3).tolist() for _ in range(4))
    colours = [(red, green, blue) for red, green, blue in levels] + [WHITE, YELLOW, RED, BLACK, BLUE]
    chosen = [colours[int(rng.integers(len(colours)))] for _ in range(6)]
    _framed(sheet, chosen[0], chosen[1], rng)
    if rng.random() < 0.6:
        edge = height * rng.uniform(0.2, 0.8)
        sheet.fill([(4, 4), (width - 4, 4), (width - 4, edge), (4, edge + rng.normal(0, 20))], chosen[2])
    for _ in range(int(rng.integers(0, 4))):
        place = (rng.uniform(0.15, 0.85) * width, rng.uniform(0.2, 0.8) * height)
        radius = rng.uniform(0.05, 0.2) * min(width, height)
        if rng.random() < 0.5:
            sheet.disc(place, (radius, radius * rng.uniform(0.5, 1.0)), chosen[3])
        else:
            _symbol(sheet, place, radius, chosen[3], rng)
    _lines(sheet, chosen[4], int(rng.integers(1, 6)), rng)
    return sheet


def _framed(sheet: Sheet, ground: Colour, frame: Colour, rng: Rng) -> None:
    height, width = sheet.alpha.shape
    thick = float(rng.uniform(2, 7))
    sheet.fill([(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)], frame)
    inner = [(thick, thick), (width - thick, thick), (width - thick, height - thick), (thick, height - thick)]
    sheet.fill(inner, ground)


def _lines(sheet: Sheet, colour: Colour, rows: int, rng: Rng, *, arrows: bool = False) -> None:
    height, width = sheet.alpha.shape
    step = (height - 12) / rows
    for row in range(rows):
        top = 6 + row * step
        left, right = width * 0.06, width * rng.uniform(0.6, 0.95)
        if arrows and rng.random() < 0.5:
            _arrow(sheet, (left + step * 0.3, top + step / 2), step * 0.3, float(rng.choice([0, -90, 90])), colour)
            left += step * 0.8
        if right - left > 12:
            box = (left, top + step * 0.2, right, top + step * 0.8)
            sheet.write(" ".join(word(rng) for _ in range(int(rng.integers(1, 3)))), box, colour, rng)


def _arrow(sheet: Sheet, centre: tuple[float, float], size: float, degrees: float, colour: Colour) -> None:
    shape = [(0, -1), (0.7, -0.2), (0.25, -0.2), (0.25, 1), (-0.25, 1), (-0.25, -0.2), (-0.7, -0.2)]
    turn = math.radians(degrees)
    sheet.fill(
        [(centre[0] + size * (x * math.cos(turn) - y * math.sin(turn)),
          centre[1] + size * (x * math.sin(turn) + y * math.cos(turn))) for x, y in shape], colour
    )  # fmt: skip


def _symbol(sheet: Sheet, centre: tuple[float, float], size: float, colour: Colour, rng: Rng) -> None:
    """A figure of a sign: a walker, a cyclist, a car, an animal, a bend, a mark of exclamation."""
    strokes, shapes, discs = _FIGURES[int(rng.integers(len(_FIGURES)))]
    x, y = centre

    def placed(point: tuple[float, float]) -> tuple[float, float]:
        return x + size * point[0], y + size * point[1]

    for start, end, thick in strokes:
        sheet.line(placed(start), placed(end), colour, size * thick)
    for shape in shapes:
        sheet.fill([placed(point) for point in shape], colour)
    for place, radius in discs:
        sheet.disc(placed(place), (radius * size, radius * size), colour)


_WHEELS: Final = tuple(
    ((side + 0.4 * math.cos(turn), 0.4 + 0.4 * math.sin(turn)),
     (side + 0.4 * math.cos(turn + 0.7), 0.4 + 0.4 * math.sin(turn + 0.7)), 0.1)
    for side in (-0.6, 0.6) for turn in (0.0, 0.7, 1.4, 2.1, 2.8, 3.5, 4.2, 4.9, 5.6)
)  # fmt: skip
_FIGURES: Final = (
    ((((0, -0.6), (0, 0.1), 0.18), ((0, -0.5), (0.45, -0.1), 0.18), ((0, -0.5), (-0.4, 0), 0.18),
      ((0, 0.1), (0.4, 0.9), 0.18), ((0, 0.1), (-0.35, 0.9), 0.18)), (), (((0, -0.8), 0.2),)),
    ((*_WHEELS, ((-0.6, 0.4), (0, -0.3), 0.1), ((0, -0.3), (0.6, 0.4), 0.1), ((-0.1, 0.4), (0.4, -0.3), 0.1)), (), ()),
    ((), (((-1, 0.1), (-0.6, -0.1), (-0.4, -0.5), (0.4, -0.5), (0.6, -0.1), (1, 0.1), (1, 0.5), (-1, 0.5)),),
     (((-0.55, 0.5), 0.22), ((0.55, 0.5), 0.22))),
    ((), (((-0.9, -0.3), (-0.3, -0.4), (0.4, -0.4), (0.7, -0.9), (1, -0.7), (0.7, -0.2), (0.6, 0.9), (0.45, 0.9),
           (0.4, 0.1), (-0.5, 0.1), (-0.6, 0.9), (-0.75, 0.9)),), ()),
    ((((-0.2, 0.9), (-0.2, 0.2), 0.25), ((-0.2, 0.2), (0.3, -0.3), 0.25), ((0.3, -0.3), (0.3, -0.9), 0.25)), (), ()),
    ((), (((-0.2, -1), (0.2, -1), (0.1, 0.3), (-0.1, 0.3)),), (((0, 0.7), 0.17),)),
)  # fmt: skip
"""Each figure's strokes (from, to, thickness), shapes and discs (place, radius), within a square from -1 to 1."""
