"""Number plates with text in two fonts, and an attacker's score by guessing."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final, Literal

import cv2  # noqa: TID253 - has the second font
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Font = Literal["pillow", "opencv"]
Levels = NDArray[np.float32]
"""Gray levels, (rows, columns) float32."""

LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS: Final = "0123456789"
ALPHABETS: Final = (LETTERS, LETTERS, DIGITS, DIGITS, DIGITS, DIGITS, DIGITS)
"""The possible characters at each position of a plate: Norwegian plates have two letters and five digits."""
GUESSING: Final = tuple(1 / len(alphabet) for alphabet in ALPHABETS)
"""For each position of a plate, the probability that a random guess is right: 0.58 of 7 characters on average."""

_WHITE, _BLACK = 235.0, 25.0
_YELLOW, _BLUE = np.array([240, 225, 40], np.float32), np.array([20, 30, 190], np.float32)
_ASPECT: Final = 520 / 110  # Norwegian plates, in mm
_DRAWN: Final = 96  # pixels: glyphs are drawn this large, and scaled down
_GAP: Final = 0.6  # between letters and digits, as a fraction of a character's width
_MARGIN: Final = 0.06  # on each side, as a fraction of the plate's width


def random_text(random: np.random.Generator) -> str:
    """The text of a plate, each character equally likely."""
    return "".join(alphabet[random.integers(len(alphabet))] for alphabet in ALPHABETS)


def plate_width(height: int) -> int:
    """Width of a plate of this height, in pixels."""
    return round(_ASPECT * height)


@dataclass(frozen=True, slots=True)
class Slots:
    """Positions of a plate's characters in pixels: top, height and width of all, and the left edge of each."""

    top: int
    height: int
    width: int
    lefts: tuple[int, ...]

    @classmethod
    def of(cls, height: int) -> Slots:
        """The positions of the seven characters on a plate of this height."""
        whole = plate_width(height)
        pitch = whole * (1 - 2 * _MARGIN) / (len(ALPHABETS) + _GAP)
        steps = [place + (_GAP if place >= 2 else 0) for place in range(len(ALPHABETS))]
        lefts = tuple(round(whole * _MARGIN + step * pitch) for step in steps)
        tall = max(3, round(0.68 * height))
        return cls((height - tall) // 2, tall, max(2, int(0.9 * pitch)), lefts)


def blank_plate(height: int) -> Levels:
    """A plate without text: white, with a thin dark rim."""
    plate = np.full((height, plate_width(height)), _WHITE, np.float32)
    rim = max(1, height // 24)
    for edge in (np.s_[:rim], np.s_[-rim:], np.s_[:, :rim], np.s_[:, -rim:]):
        plate[edge] = (_WHITE + _BLACK) / 2
    return plate


def ink(character: str, place: int, height: int, font: Font) -> Levels:
    """The levels that a character at this position adds to a blank plate: negative where it is black."""
    slots = Slots.of(height)
    added = np.zeros((height, plate_width(height)), np.float32)
    window = np.s_[slots.top : slots.top + slots.height, slots.lefts[place] : slots.lefts[place] + slots.width]
    added[window] = _glyph(character, font, slots.height, slots.width) * (_BLACK - _WHITE)
    return added


def plate(text: str, height: int, font: Font = "pillow") -> Levels:
    """A plate with its text."""
    levels = blank_plate(height)
    for place, character in enumerate(text):
        levels += ink(character, place, height, font)
    return levels


def blue_on_yellow(levels: Levels) -> NDArray[np.float32]:
    """A black and white plate (h, w) in colours (h, w, 3) that differ strongly in all channels."""
    white = ((levels - _BLACK) / (_WHITE - _BLACK))[..., None]
    return np.asarray(white * _YELLOW + (1 - white) * _BLUE, np.float32)


@functools.lru_cache(4096)
def _glyph(character: str, font: Font, height: int, width: int) -> Levels:
    """(height, width), 0 to 1: the fraction of each pixel that the character covers; narrow ones are centred."""
    drawn = _in_pillow(character) if font == "pillow" else _in_opencv(character)
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    drawn = drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    wide = max(1, min(width, round(drawn.shape[1] * height / drawn.shape[0])))
    glyph = np.zeros((height, width), np.float32)
    left = (width - wide) // 2
    glyph[:, left : left + wide] = cv2.resize(drawn, (wide, height), interpolation=cv2.INTER_AREA)
    glyph.setflags(write=False)
    return glyph


def _in_pillow(character: str) -> Levels:
    """The character in Pillow's font."""
    picture = Image.new("L", (2 * _DRAWN, 2 * _DRAWN))
    font = ImageFont.load_default(size=_DRAWN)
    ImageDraw.Draw(picture).text((_DRAWN // 2, _DRAWN // 4), character, fill=255, font=font, stroke_width=2)
    return np.asarray(np.asarray(picture, np.float32) / 255, np.float32)


def _in_opencv(character: str) -> Levels:
    """The character in OpenCV's font."""
    picture = np.zeros((2 * _DRAWN, 2 * _DRAWN), np.uint8)
    scale = cv2.getFontScaleFromHeight(cv2.FONT_HERSHEY_SIMPLEX, _DRAWN)
    cv2.putText(picture, character, (20, _DRAWN + 40), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 9, cv2.LINE_AA)
    return np.asarray(picture.astype(np.float32) / 255, np.float32)
