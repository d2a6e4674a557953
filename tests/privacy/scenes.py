"""Scenes with something to hide: only the identifying content changes, the surroundings stay the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anonymisation.masking.detections import Detections
from tests.privacy.backgrounds import window
from tests.privacy.lettering import Font, blue_on_yellow, plate, plate_width, random_text
from tests.privacy.publishing import Pixels
from tests.privacy.vehicles import draw_car

Box = tuple[int, int, int, int]
"""Top, left, bottom and right, in pixels."""
Paint = Callable[[np.random.Generator], list[Pixels]]

CAR: Final = 3
PERSON: Final = 1
MARGIN: Final = 32  # pixels around the hidden object in a window


@dataclass(frozen=True, slots=True)
class Candidates:
    """Pictures that differ only in the pixels to hide.

    Attributes:
        pictures: one for each text or face, without noise.
        detections: the detections, the same for all pictures.
    """

    pictures: list[Pixels]
    detections: Detections


@dataclass(frozen=True, slots=True)
class CarScene:
    """A car with a number plate in a picture.

    Attributes:
        picture: (H, W, 3), without noise.
        detections: the car, by its box.
        place: top and left of the plate.
        text: the text of the plate.
    """

    picture: Pixels
    detections: Detections
    place: tuple[int, int]
    text: str


def detections_of(boxes: list[Box], shape: tuple[int, ...], kind: int = CAR) -> Detections:
    """Detections with these boxes, each a separate object, in a picture of this shape."""
    height, width = shape[:2]
    shares = [[top / height, left / width, bottom / height, right / width] for top, left, bottom, right in boxes]
    return Detections.of(np.array(shares).clip(0, 1), [0.9] * len(boxes), [kind] * len(boxes))


def car_width(height: int, plate_height: int) -> int:
    """Width of a car of this height; a plate as large as in the drawings of a cut-off car makes it wider."""
    return max(round(1.25 * height), round(1.15 * plate_width(plate_height)))


def plate_place(height: int, plate_height: int) -> tuple[int, int]:
    """Top and left of the plate, relative to the upper left corner of the car."""
    top = min(round(0.72 * height), height - plate_height - max(14, round(0.05 * height)))
    return top, (car_width(height, plate_height) - plate_width(plate_height)) // 2


def put(picture: Pixels, top: int, left: int, levels: NDArray[np.float32]) -> None:
    """Write gray levels (h, w) or colours (h, w, 3) into a picture at this position, clipped to the picture."""
    first, start = max(0, top), max(0, left)
    bottom, right = min(picture.shape[0], top + levels.shape[0]), min(picture.shape[1], left + levels.shape[1])
    part = levels[first - top : bottom - top, start - left : right - left]
    colours = part if part.ndim == 3 else part[..., None]
    picture[first:bottom, start:right] = np.rint(colours).clip(0, 255)


def car_in_picture(
    picture: Pixels, height: int, plate_height: int, random: np.random.Generator, font: Font = "pillow"
) -> CarScene:
    """Draw a car somewhere on the road of a whole picture, with a random text on its plate."""
    width = car_width(height, plate_height)
    top = int(random.integers(picture.shape[0] - height - 200, picture.shape[0] - height - 60))
    left = int(random.integers(60, picture.shape[1] - width - 60))
    shown = picture.copy()
    draw_car(shown, top, left, height, width, random)
    down, across = plate_place(height, plate_height)
    text = random_text(random)
    put(shown, top + down, left + across, plate(text, plate_height, font))
    found = detections_of([(top, left, top + height, left + width)], shown.shape)
    return CarScene(shown, found, (top + down, left + across), text)


@dataclass(frozen=True, slots=True)
class CarCandidates:
    """Candidates that are one car with different plates; called with a generator and a number of candidates.

    Attributes:
        height: height of the car, in pixels.
        plate_height: height of the plate, in pixels.
    """

    height: int
    plate_height: int

    def __call__(self, random: np.random.Generator, number: int) -> Candidates:
        """A car at a random place, and `number` different texts."""
        width = car_width(self.height, self.plate_height)
        ground = window(random, self.height + 2 * MARGIN, width + 2 * MARGIN)
        draw_car(ground, MARGIN, MARGIN, self.height, width, random)
        down, across = plate_place(self.height, self.plate_height)
        pictures = with_plates(ground, (MARGIN + down, MARGIN + across), self.plate_height, random, number)
        box = (MARGIN, MARGIN, MARGIN + self.height, MARGIN + width)
        return Candidates(pictures, detections_of([box], ground.shape))


def with_plates(
    ground: Pixels,
    place: tuple[int, int],
    plate_height: int,
    random: np.random.Generator,
    number: int,
    *,
    coloured: bool = False,
) -> list[Pixels]:
    """Copies of a picture, each with another plate at this position (top, left)."""
    pictures = []
    for text in different_texts(random, number):
        picture = ground.copy()
        levels = plate(text, plate_height)
        put(picture, *place, blue_on_yellow(levels) if coloured else levels)
        pictures.append(picture)
    return pictures


def different_texts(random: np.random.Generator, number: int) -> list[str]:
    """`number` different texts."""
    texts: dict[str, None] = {}
    while len(texts) < number:
        texts[random_text(random)] = None
    return list(texts)
