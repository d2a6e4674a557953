"""Road furniture for `drawn.py`: delineators, guard rail, barriers, huts, culverts, cabinets, bins, rocks and posts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import cv2  # noqa: TID253 - draws
import numpy as np

from training.plates import BLACK, BLUE, GREEN, ORANGE, RED, WHITE, YELLOW, Colour, Points, Rng, Sheet, one_of, word

_STONE: Final = ((95, 92, 88), (130, 126, 120), (70, 68, 66), (205, 200, 192), (150, 120, 95), (60, 45, 38))
_DARK: Final = ((28, 28, 30), (45, 45, 48), (60, 58, 56), (40, 34, 30), (70, 72, 76))
_WALLS: Final = (*_DARK, (150, 40, 35), (200, 195, 185), (120, 85, 55), (180, 185, 190), (215, 120, 40), (70, 95, 120))


def _mixed(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(int(value * factor), 255) for value in colour)
    return red, green, blue


def _box(sheet: Sheet, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
    sheet.fill([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)


def _delineator(rng: Rng) -> Sheet:
    """A post with a dark band and a reflector, thin and lightly leaning."""
    height, width = 300, int(rng.uniform(22, 44))
    sheet = Sheet.empty(height, width)
    colour = one_of(rng, WHITE, WHITE, WHITE, ORANGE, RED, (120, 70, 40))
    sheet.fill([(2, rng.uniform(0, 20)), (width - 3, 0), (width - 3, height), (2, height)], colour)
    _box(sheet, width * 0.7, 4, width - 3, height, _mixed(colour, 0.75))
    low, high = height * rng.uniform(0.05, 0.15), height * rng.uniform(0.2, 0.35)
    slant = rng.uniform(-0.6, 0.6) * width
    sheet.fill([(2, low), (width - 3, low + slant), (width - 3, high + slant), (2, high)], BLACK)
    middle = (low + high) / 2
    _box(
        sheet, width * 0.3, middle - 12, width * 0.62, middle + 14, one_of(rng, WHITE, (220, 120, 20), (190, 190, 180))
    )
    return sheet


def _posts(rng: Rng) -> Sheet:
    """One to four plain posts or stumps next to each other."""
    count = int(rng.integers(1, 5))
    pitch = rng.uniform(18, 60)
    width, height = int(count * pitch + 16), int(rng.uniform(70, 260))
    sheet = Sheet.empty(height, width)
    colour = one_of(rng, *_DARK, *_STONE, WHITE, YELLOW)
    for n in range(count):
        x, thick = 8 + (n + 0.5) * pitch + rng.normal(0, 2), rng.uniform(0.15, 0.4) * pitch
        top = rng.uniform(0, 0.15) * height
        _box(sheet, x - thick, top, x + thick, height, colour)
        _box(sheet, x + thick * 0.3, top, x + thick, height, _mixed(colour, rng.uniform(0.6, 1.3)))
        if rng.random() < 0.3:
            _box(sheet, x - thick, top, x + thick, top + height * 0.12, one_of(rng, RED, WHITE, YELLOW, BLACK))
    return sheet


def _guard_rail(rng: Rng) -> Sheet:
    """A rail of W profile on posts, which recedes; sometimes two pipes instead; straight or in a bend."""
    length, deep = int(rng.uniform(200, 520)), rng.uniform(0.15, 1.0)
    high = 60.0
    drop = rng.uniform(0, 60)
    sheet = Sheet.empty(int(high * 2.3 + drop) + 8, length)
    bend = rng.uniform(-25, 25)
    count = int(rng.uniform(3, 9))
    base = one_of(rng, (165, 168, 172), (135, 138, 142), (190, 192, 195), (110, 105, 100))
    dark = _mixed(base, rng.uniform(0.35, 0.8))

    def scale(t: float) -> float:
        return 1 + (deep - 1) * t

    def row(t: float) -> float:
        return 26 + drop * t + bend * math.sin(math.pi * t)

    for n in range(count):
        t = ((n + 0.5) / count) ** 1.4
        thick = 5 * scale(t)
        _box(sheet, t * length - thick, row(t), t * length + thick, row(t) + high * 1.6 * scale(t), dark)
    steps = [n / 24 for n in range(25)]
    pipes = rng.random() < 0.3
    bands = ((0, 0.22), (0.55, 0.8)) if pipes else ((0, 0.2), (0.2, 0.42), (0.42, 0.58), (0.58, 0.8), (0.8, 1.0))
    for index, (low, upper) in enumerate(bands):
        edge = [(t * length, row(t) + high * 0.62 * low * scale(t)) for t in steps]
        back = [(t * length, row(t) + high * 0.62 * upper * scale(t)) for t in reversed(steps)]
        sheet.fill(edge + back, _mixed(base, (1.12, 0.9, 0.6, 1.05, 0.7)[index]))
    return sheet


def _barrier(rng: Rng) -> Sheet:
    """A board with slanted stripes on feet, or a wall of concrete blocks."""
    length, high = int(rng.uniform(160, 420)), int(rng.uniform(50, 110))
    sheet = Sheet.empty(int(high * 1.7), length)
    if rng.random() < 0.4:
        colour = one_of(rng, *_STONE, (215, 213, 208), RED, WHITE)
        sheet.fill([(6, 4), (length - 7, 4), (length - 1, high), (0, high)], colour)
        sheet.fill([(0, high * 0.6), (length, high * 0.6), (length, high), (0, high)], _mixed(colour, 0.8))
        for x in np.arange(0, length, rng.uniform(70, 160)):
            sheet.line((x, 4), (x, high), _mixed(colour, 0.5), 3)
        return sheet
    for x in (length * 0.12, length * 0.88):
        _box(sheet, x - 5, high * 0.3, x + 5, high * 1.6, one_of(rng, *_STONE))
        _box(sheet, x - 20, high * 1.5, x + 20, high * 1.68, BLACK)
    dark, light = (RED, WHITE) if rng.random() < 0.7 else (BLACK, YELLOW)
    band = Sheet.empty(int(high * 0.55), length)
    _box(band, 0, 0, length, high, light)
    pitch = rng.uniform(30, 70)
    for x in np.arange(-high, length + high, pitch * 2):
        slant = high * 0.5
        band.fill([(x, 0), (x + pitch, 0), (x + pitch + slant, high * 0.55), (x + slant, high * 0.55)], dark)
    sheet.put(band, 0, int(high * 0.2))
    return sheet


def _cone(rng: Rng) -> Sheet:
    sheet = Sheet.empty(160, 110)
    colour = one_of(rng, ORANGE, RED, (230, 80, 30))
    sheet.fill([(48, 4), (62, 4), (90, 145), (20, 145)], colour)
    for low, high in ((0.25, 0.42), (0.6, 0.75)):
        a, b = 48 - 28 * low, 48 - 28 * high
        sheet.fill(
            [(a, 4 + 141 * low), (110 - a, 4 + 141 * low), (110 - b, 4 + 141 * high), (b, 4 + 141 * high)], WHITE
        )
    _box(sheet, 6, 142, 104, 156, one_of(rng, BLACK, colour))
    return sheet


def _hut(rng: Rng) -> Sheet:
    """A hut or a container: a front and a side, sometimes with leaning walls, a roof, doors and windows."""
    width, height = rng.uniform(140, 320), rng.uniform(90, 230)
    side = width * rng.uniform(0.05, 0.6)
    sheet = Sheet.empty(int(height) + 60, int(width + side) + 12)
    colour = one_of(rng, *_DARK, *_WALLS)
    lean, slope = rng.uniform(-0.3, 0.3) * height * (rng.random() < 0.5), rng.uniform(-0.2, 0.25) * height
    top, bottom = 40.0, height + 48
    front = [(6 + max(lean, 0), top), (width + min(lean, 0), top), (width, bottom), (6.0, bottom)]
    far = width + side + min(lean, 0)
    sheet.fill([front[1], (far, top + abs(slope) * 0.6), (width + side, bottom - abs(slope) * 0.4), front[2]],
               _mixed(colour, rng.uniform(0.3, 1.7)))  # fmt: skip
    sheet.fill(front, colour)
    lines = int(rng.integers(0, 14))
    for n in range(lines):
        x = width * (n + 0.5) / lines
        sheet.line((x + lean * 0.5, top + 2), (x, bottom - 2), _mixed(colour, rng.uniform(0.75, 1.2)), 2)
    if rng.random() < 0.4:
        roof = one_of(rng, *_DARK, (150, 60, 45))
        sheet.fill([(0, top + 4), (width * 0.15, 4), (width * 0.9 + side * 0.6, 8), (far + 8, top + 10)], roof)
    for _ in range(int(rng.integers(0, 4))):
        x, y = rng.uniform(0.1, 0.7) * width, rng.uniform(top + height * 0.2, bottom - height * 0.5)
        w, h = rng.uniform(0.08, 0.25) * width, rng.uniform(0.15, 0.5) * height
        _box(sheet, x, y, min(x + w, width * 0.95), min(y + h, bottom), one_of(rng, *_DARK, WHITE, (120, 140, 160)))
    if rng.random() < 0.2:
        sheet.write(word(rng), (width * 0.2, top + 8, width * 0.8, top + 36), one_of(rng, WHITE, YELLOW), rng)
    return sheet


def _culvert(rng: Rng) -> Sheet:
    """The dark mouth of a pipe in a wall or in stones."""
    side = int(rng.uniform(110, 240))
    sheet = Sheet.empty(int(side * 1.1), int(side * 1.5))
    height, width = sheet.alpha.shape
    ground = one_of(rng, *_STONE)
    if rng.random() < 0.6:
        sheet.fill(_ragged(width / 2, height / 2, width * 0.48, height * 0.48, rng), ground)
        _stones(sheet, ground, rng)
    middle, radius = (width / 2, height * 0.55), side * rng.uniform(0.25, 0.42)
    tall = radius * rng.uniform(0.6, 1.0)
    sheet.disc(middle, (radius, tall), one_of(rng, (190, 190, 186), (140, 140, 138), (90, 90, 90)))
    sheet.disc((middle[0] + rng.normal(0, 3), middle[1]), (radius * 0.82, tall * 0.8), one_of(rng, *_DARK))
    sheet.disc((middle[0] + 4, middle[1] + tall * 0.3), (radius * 0.5, tall * 0.4), BLACK)
    return sheet


def _cabinet(rng: Rng) -> Sheet:
    """A power cabinet or a letter box: doors, slots, a small sign, sometimes a leg."""
    width, height = int(rng.uniform(60, 200)), int(rng.uniform(80, 200))
    leg = int(rng.uniform(20, 120)) if rng.random() < 0.35 else 0
    sheet = Sheet.empty(height + leg, width)
    colour = one_of(rng, (150, 155, 150), (60, 95, 75), (185, 185, 180), (40, 85, 55), (95, 98, 100), GREEN, RED)
    if leg:
        _box(sheet, width * 0.42, height * 0.8, width * 0.58, height + leg, one_of(rng, *_DARK))
    _box(sheet, 0, 0, width - 1, height, colour)
    _box(sheet, 0, 0, width - 1, height * 0.06, _mixed(colour, 1.25))
    for n in range(int(rng.integers(1, 4))):
        sheet.line((width * (n + 1) / 4, height * 0.1), (width * (n + 1) / 4, height * 0.94), _mixed(colour, 0.6), 2)
    if rng.random() < 0.5:
        sheet.fill([(width * 0.3, 60), (width * 0.5, 30), (width * 0.7, 60)], YELLOW)
    return sheet


def _bin(rng: Rng) -> Sheet:
    """One to four wheeled bins."""
    count = int(rng.integers(1, 5))
    sheet = Sheet.empty(190, 100 * count + 10)
    for n in range(count):
        colour = one_of(rng, (35, 70, 45), (40, 42, 45), (50, 60, 110), (95, 60, 40), (90, 92, 95), GREEN, BLUE)
        x = n * 100 + 6
        sheet.fill([(x + 4, 36), (x + 92, 36), (x + 82, 180), (x + 14, 180)], colour)
        sheet.fill([(x, 26), (x + 10, 12), (x + 86, 12), (x + 96, 26), (x + 94, 40), (x + 2, 40)], _mixed(colour, 1.25))
        for side in (22, 74):
            sheet.disc((x + side, 178), (10, 10), BLACK)
    return sheet


def _ragged(x: float, y: float, wide: float, high: float, rng: Rng) -> Points:
    """The outline of a rough lump."""
    angles = np.sort(rng.uniform(0, 2 * math.pi, int(rng.integers(7, 16))))
    radii = rng.uniform(0.6, 1.0, len(angles))
    return [(x + wide * r * math.cos(a), y + high * r * math.sin(a)) for a, r in zip(angles, radii, strict=True)]


def _stones(sheet: Sheet, colour: Colour, rng: Rng) -> None:
    """Facets of lighter and darker stone on what is drawn already."""
    height, width = sheet.alpha.shape
    before = sheet.alpha.copy()
    for _ in range(int(rng.integers(4, 30))):
        place = (rng.uniform(0, width), rng.uniform(0, height))
        size = rng.uniform(0.04, 0.25) * width
        sheet.fill(_ragged(*place, size, size * rng.uniform(0.3, 0.9), rng), _mixed(colour, rng.uniform(0.5, 1.4)))
    np.minimum(sheet.alpha, before, out=sheet.alpha)


def _rock(rng: Rng) -> Sheet:
    """Stones, a stump, a heap of snow or of earth."""
    width, height = int(rng.uniform(60, 240)), int(rng.uniform(50, 180))
    sheet = Sheet.empty(height, width)
    colour = one_of(rng, *_STONE, (235, 235, 235))
    for _ in range(int(rng.integers(1, 4))):
        x, y = rng.uniform(0.35, 0.65) * width, rng.uniform(0.45, 0.65) * height
        sheet.fill(_ragged(x, y, width * 0.35, height * 0.4, rng), colour)
    _stones(sheet, colour, rng)
    return sheet


def _bush(rng: Rng) -> Sheet:
    """A dark gap between leaves, or a bush: many small strokes, upright as often as not."""
    width, height = int(rng.uniform(50, 200)), int(rng.uniform(60, 240))
    sheet = Sheet.empty(height, width)
    colour = one_of(rng, (40, 55, 30), (70, 85, 45), (95, 70, 45), (25, 28, 22), (110, 100, 60))
    for _ in range(int(rng.integers(30, 160))):
        x, y = rng.normal(0.5, 0.17) * width, rng.normal(0.5, 0.2) * height
        sheet.disc((x, y), tuple(rng.uniform(2, 16, 2)), _mixed(colour, rng.uniform(0.3, 1.5)))
    return sheet


def _pole(rng: Rng) -> Sheet:
    """A lamp post, a bare trunk or the foot of one, with a lamp or a plinth."""
    width, height = 90, int(rng.uniform(200, 420))
    sheet = Sheet.empty(height, width)
    thick = rng.uniform(3, 14)
    colour = one_of(rng, (150, 152, 155), *_DARK, (110, 80, 60))
    _box(sheet, 45 - thick, 0, 45 + thick, height, colour)
    _box(sheet, 45 + thick * 0.4, 0, 45 + thick, height, _mixed(colour, 1.3))
    if rng.random() < 0.4:
        sheet.line((45, 8), (86, 4), colour, 6)
        _box(sheet, 64, 0, 88, 10, one_of(rng, WHITE, BLACK))
    if rng.random() < 0.4:
        _box(sheet, 10, height * 0.8, 80, height, one_of(rng, *_STONE))
    return sheet


def _lights(rng: Rng) -> Sheet:
    """Traffic lights on a post."""
    sheet = Sheet.empty(330, 90)
    _box(sheet, 40, 100, 50, 330, one_of(rng, *_STONE))
    _box(sheet, 18, 4, 72, 150, BLACK)
    lit = int(rng.integers(3))
    for n, colour in enumerate((RED, YELLOW, (30, 180, 80))):
        sheet.disc((45, 28 + n * 47), (17, 17), colour if n == lit else _mixed(colour, 0.25))
    cv2.rectangle(sheet.pixels, (18, 4), (72, 150), one_of(rng, BLACK, WHITE), 2)
    return sheet


FURNITURE: Final[dict[str, tuple[float, Callable[[Rng], Sheet]]]] = {
    "delineator": (1.5, _delineator),
    "posts": (1.5, _posts),
    "guard rail": (2.5, _guard_rail),
    "barrier": (1.2, _barrier),
    "cone": (0.4, _cone),
    "hut": (2.5, _hut),
    "culvert": (1.2, _culvert),
    "cabinet": (1.2, _cabinet),
    "bin": (0.8, _bin),
    "rock": (1.5, _rock),
    "bush": (0.8, _bush),
    "pole": (0.8, _pole),
    "lights": (0.3, _lights),
}
"""How often each kind is drawn among those of `drawn.KINDS`, and how."""
