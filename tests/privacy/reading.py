"""Attack (a): read a number plate from a published picture, character by character, without a list of candidates.

A blur is linear: the published pixels are the sum of the contributions of each character. The attacker knows the blur,
the font, the size of the plate and, to ±10 pixels, its position, but nothing about the car. Horizontal derivatives of
the published pixels are compared with those of a blurred drawing (normalised correlation). Each character in turn is
replaced by the one that fits best, until the fit no longer improves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tests.privacy.lettering import ALPHABETS, Font, Levels, blank_plate, ink
from tests.privacy.publishing import QUALITY, Hide, Pixels, camera_frame, photographed, publish
from tests.privacy.scenes import car_in_picture
from tests.privacy.weak_blurs import WeakKind, weakly_blurred

UNSURE: Final = 10
"""The attacker knows the position of the plate to this many pixels, in each direction."""
PLATE_SHARE: Final = 33 / 440
"""The height of a plate as a fraction of its car's."""
_SWEEPS: Final = 8
_ROWS: Final = 5  # number of compared rows: after a blur wider than a plate, rows hardly differ
_STEPS: Final = (2, 1)  # pixels between the tried positions, first coarse and then fine


@dataclass(frozen=True, slots=True)
class Reader:
    """The attacker's knowledge, as templates made once for all pictures with plates of one size.

    Attributes:
        margin: pixels around the plate that are compared too.
        shape: shape of the compared part of the picture.
        known: (n, L), orthonormal: the contribution of the plate without text, and constants. Removed from all data.
        templates: for each position, the contributions of its possible characters, (characters, L).
    """

    margin: int
    shape: tuple[int, int]
    known: NDArray[np.float32]
    templates: tuple[NDArray[np.float32], ...]

    @classmethod
    def of(cls, plate_height: int, font: Font, side: int, kind: WeakKind) -> Reader:
        """The reader for a blur of this kind, whose box has this side in pixels."""
        margin = side // 2 + 2
        blank = blank_plate(plate_height)

        def seen(levels: Levels) -> NDArray[np.float32]:
            wide = np.pad(levels, margin + side)
            return _compared(weakly_blurred(wide, side, kind)[side:-side, side:-side])

        plain = [seen(np.ones_like(blank)), seen(blank)]
        known = np.linalg.qr(np.array([*plain, np.ones_like(plain[0])]).T)[0].T.astype(np.float32)
        templates = []
        for place, alphabet in enumerate(ALPHABETS):
            rows = np.array([seen(ink(character, place, plate_height, font)) for character in alphabet])
            templates.append(_without(rows, known))
        return cls(margin, (blank.shape[0] + 2 * margin, blank.shape[1] + 2 * margin), known, tuple(templates))

    def read(self, published: Pixels, place: tuple[int, int]) -> str:
        """The text that fits best, for a plate with its upper left corner near `place`."""
        luma = np.asarray(published @ np.array([0.299, 0.587, 0.114], np.float32), np.float32)
        best = max(self._tries(luma, place, _STEPS[0], UNSURE))
        return max(self._tries(luma, (best[2], best[3]), _STEPS[1], _STEPS[0] - 1))[1]

    def _tries(
        self, luma: NDArray[np.float32], place: tuple[int, int], step: int, reach: int
    ) -> list[tuple[float, str, int, int]]:
        """For each position around, the fit of the best text, the text and the position."""
        shifts = range(-reach, reach + 1, step)
        tops = sorted({place[0] + shift for shift in shifts})
        lefts = [place[1] + shift for shift in shifts]
        return [(*self._fit(luma, top, left), top, left) for top in tops for left in lefts]

    def _fit(self, luma: NDArray[np.float32], top: int, left: int) -> tuple[float, str]:
        first, start = max(0, top - self.margin), max(0, left - self.margin)
        part = luma[first : first + self.shape[0], start : start + self.shape[1]]
        if part.shape != self.shape:
            return -1.0, "".join(alphabet[0] for alphabet in ALPHABETS)
        data = _without(_compared(part)[None], self.known)[0]
        chosen, fits = _descend(data, self.templates)
        return fits, "".join(alphabet[index] for alphabet, index in zip(ALPHABETS, chosen, strict=True))


@dataclass(frozen=True, slots=True)
class Readings:
    """The number of characters and of whole plates that were read."""

    characters: int
    whole: int


def read_plates(
    pictures: Sequence[Pixels],
    car: int,
    hide: Hide,
    kind: WeakKind,
    side: int,
    *,
    seed: int,
    quality: int = QUALITY,
    font: Font = "pillow",
) -> Readings:
    """Publish a car of this height in each of the pictures, with a new text each, and read its plate.

    The attacker assumes `font` and the blur (`kind`, and `side` in pixels).
    """
    plate_height = round(PLATE_SHARE * car)
    reader = Reader.of(plate_height, font, side, kind)
    characters = whole = 0
    for index, picture in enumerate(pictures):
        random = np.random.default_rng([seed, index])
        scene = car_in_picture(picture, car, plate_height, random)
        frame = camera_frame(photographed(scene.picture, random), quality)
        published = publish(frame, scene.detections, hide)
        top, left = (place + int(random.integers(-UNSURE, UNSURE + 1)) for place in scene.place)
        text = reader.read(published.pixels, (top, left))
        right = sum(read == written for read, written in zip(text, scene.text, strict=True))
        characters, whole = characters + right, whole + (right == len(scene.text))
    return Readings(characters, whole)


def _compared(part: NDArray[np.float32]) -> NDArray[np.float32]:
    """The horizontal derivatives of some rows, as one vector."""
    rows = np.array([band.mean(axis=0) for band in np.array_split(part, _ROWS)])
    return np.diff(rows, axis=1).ravel()


def _without(rows: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows - (rows @ known.T) @ known, np.float32)


def _descend(data: NDArray[np.float32], templates: tuple[NDArray[np.float32], ...]) -> tuple[list[int], float]:
    """Coordinate descent: indexes of the characters, and the correlation of their sum with the data."""
    chosen = [int(np.argmax(_likeness(options, data))) for options in templates]
    fits = -1.0
    for _ in range(_SWEEPS):
        before = list(chosen)
        for place, options in enumerate(templates):
            rest = sum(other[chosen[index]] for index, other in enumerate(templates) if index != place)
            scores = _likeness(options + rest, data)
            chosen[place] = int(np.argmax(scores))
            fits = float(scores[chosen[place]])
        if chosen == before:
            break
    return chosen, fits


def _likeness(options: NDArray[np.float32], data: NDArray[np.float32]) -> NDArray[np.float32]:
    norms = np.linalg.norm(options, axis=1) * np.linalg.norm(data)
    return np.asarray(options @ data / np.maximum(norms, 1e-6), np.float32)
