"""Difficult geometries: plates at the edge of a mask or a picture, touching objects, crowds, whole pictures."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from anonymisation.masking.detections import Detections
from tests.privacy.backgrounds import window
from tests.privacy.identification import MakeCandidates
from tests.privacy.lettering import Slots, plate_width
from tests.privacy.publishing import Pixels
from tests.privacy.scenes import MARGIN, PERSON, Box, Candidates, car_width, detections_of, with_plates
from tests.privacy.vehicles import draw_car, draw_person

_CAR: Final = 220
_PLATE: Final = 40
_TILES: Final = (7, 9)  # rows and columns of a crowd
_GAP: Final = 8  # pixels between the tiles of a loose crowd: as wide as dilation can close
_TEXT: Final = plate_width(_PLATE)
_WIDTH: Final = car_width(_CAR, _PLATE)


def _ground(random: np.random.Generator, height: int = _CAR, width: int = _WIDTH) -> Pixels:
    return window(random, height + 2 * MARGIN, width + 2 * MARGIN)


@dataclass(frozen=True, slots=True)
class TextAtTheEdge:
    """The mask ends with the text, on the left and below: coded blocks contain both text and visible pixels."""

    coloured: bool

    def __call__(self, random: np.random.Generator, number: int) -> Candidates:
        """A car at a random offset to the grid of blocks."""
        ground = _ground(random)
        draw_car(ground, MARGIN, MARGIN, _CAR, _WIDTH, random)
        top, left = (int(random.integers(side, side + 16)) for side in (MARGIN + 120, MARGIN + 30))
        slots = Slots.of(_PLATE)
        box = (MARGIN, left + slots.lefts[0], top + slots.top + slots.height, MARGIN + _WIDTH)
        pictures = with_plates(ground, (top, left), _PLATE, random, number, coloured=self.coloured)
        return Candidates(pictures, detections_of([box], ground.shape))


def cut_by_the_border(random: np.random.Generator, number: int) -> Candidates:
    """Half of the car is beyond the corner of the picture; the plate touches the lower edge."""
    ground = window(random, _CAR + MARGIN, _WIDTH + MARGIN)
    height, width = ground.shape[:2]
    top, left = height - 170, width - _TEXT - 80
    draw_car(ground, top, left, _CAR, _WIDTH, random)
    box = (top, left, height, width)
    pictures = with_plates(ground, (height - _PLATE, width - _TEXT - 10), _PLATE, random, number)
    return Candidates(pictures, detections_of([box], ground.shape))


def fills_the_picture(random: np.random.Generator, number: int) -> Candidates:
    """A vehicle right in front of the camera: no pixel is visible."""
    ground = window(random, _CAR + MARGIN, _WIDTH + MARGIN)
    draw_car(ground, -10, -10, len(ground) + 40, ground.shape[1] + 20, random)
    pictures = with_plates(ground, (len(ground) // 2, 60), _PLATE, random, number)
    return Candidates(pictures, detections_of([(0, 0, *ground.shape[:2])], ground.shape))


def objects_that_overlap(random: np.random.Generator, number: int) -> Candidates:
    """Two cars and a person, one in front of the other; the plate is inside all three boxes."""
    ground = _ground(random, _CAR, 2 * _WIDTH)
    middle = MARGIN + _WIDTH - 40
    draw_car(ground, MARGIN, MARGIN, _CAR - 30, _WIDTH, random)
    draw_car(ground, MARGIN + 20, middle - 140, _CAR - 20, _WIDTH, random)
    draw_person(ground, MARGIN + 10, middle - 50, _CAR - 20, 90, random)
    boxes = [
        (MARGIN, MARGIN, MARGIN + _CAR - 30, MARGIN + _WIDTH),
        (MARGIN + 20, middle - 140, MARGIN + _CAR, middle - 140 + _WIDTH),
    ]
    cars = detections_of(boxes, ground.shape)
    person = detections_of([(MARGIN + 10, middle - 50, MARGIN + _CAR - 10, middle + 40)], ground.shape, PERSON)
    pictures = with_plates(ground, (MARGIN + 140, middle - 110), _PLATE, random, number)
    return Candidates(pictures, Detections.concatenate([cars, person]))


def crowd_on_one_car(random: np.random.Generator, number: int) -> Candidates:
    """The model detects one car as dozens of small objects next to each other: they must not have separate tones."""
    ground = _ground(random)
    draw_car(ground, MARGIN, MARGIN, _CAR, _WIDTH, random)
    pictures = with_plates(ground, (MARGIN + 140, MARGIN + 40), _PLATE, random, number)
    return Candidates(pictures, detections_of(_tiles((MARGIN, MARGIN, MARGIN + _CAR, MARGIN + _WIDTH)), ground.shape))


def loose_crowd_on_one_car(random: np.random.Generator, number: int) -> Candidates:
    """The same with small gaps between the objects."""
    ground = _ground(random)
    draw_car(ground, MARGIN, MARGIN, _CAR, _WIDTH, random)
    box = (MARGIN, MARGIN, MARGIN + _CAR, MARGIN + _WIDTH)
    tiles = [(top, left, bottom - _GAP, right - _GAP) for top, left, bottom, right in _tiles(box)]
    pictures = with_plates(ground, (MARGIN + 140, MARGIN + 40), _PLATE, random, number)
    return Candidates(pictures, detections_of(tiles, ground.shape))


def _tiles(box: Box) -> list[Box]:
    rows = np.linspace(box[0], box[2], _TILES[0] + 1).astype(int).tolist()
    columns = np.linspace(box[1], box[3], _TILES[1] + 1).astype(int).tolist()
    return [
        (top, left, bottom, right)
        for top, bottom in itertools.pairwise(rows)
        for left, right in itertools.pairwise(columns)
    ]


INSIDE: Final[Mapping[str, MakeCandidates]] = {
    "cut by the border": cut_by_the_border,
    "fills the picture": fills_the_picture,
    "objects that overlap": objects_that_overlap,
    "crowd on one car": crowd_on_one_car,
    "loose crowd on one car": loose_crowd_on_one_car,
}
"""The text is far enough inside the mask not to share a coded block with visible pixels."""

AT_THE_EDGE: Final[Mapping[str, MakeCandidates]] = {
    "text at the mask's edge": TextAtTheEdge(coloured=False),
    "coloured text at the mask's edge": TextAtTheEdge(coloured=True),
}
