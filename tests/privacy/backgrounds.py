"""The surroundings of the objects: real survey pictures, or a drawn road if there are none."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Final

import cv2  # noqa: TID253 - it scales
import numpy as np
from PIL import Image

from tests.privacy.publishing import SURVEY_WIDTH, Pixels

_FOLDER: Final = Path(__file__).resolve().parents[3] / "shared" / "captures" / "TilSladding"
_HEIGHT: Final = 1032
_DRAWN: Final = 3


@functools.cache
def survey_pictures() -> tuple[Pixels, ...]:
    """The seven real pictures, 2692 × 1032; none if they are not next to the checkout."""
    paths = sorted(_FOLDER.glob("**/F[12]_2018_06_21/*.jpg"))
    return tuple(np.asarray(Image.open(path).convert("RGB")) for path in paths)


@functools.cache
def drawn_road(seed: int) -> Pixels:
    """A picture of the same size: sky, verges with leaves, a road with its markings."""
    random = np.random.default_rng(seed)
    rows = np.linspace(0, 1, _HEIGHT, dtype=np.float32)[:, None, None]
    sky, ground = np.array([150, 180, 220], np.float32), np.array([95, 105, 70], np.float32)
    picture = np.where(rows < 0.4, sky + 80 * (0.4 - rows), ground) * np.ones((1, SURVEY_WIDTH, 1), np.float32)
    for cells, strength in ((9, 30), (60, 22), (400, 18)):
        coarse = random.standard_normal((max(4, cells * 2 // 5), cells, 1), np.float32)
        field = cv2.resize(coarse, (SURVEY_WIDTH, _HEIGHT), interpolation=cv2.INTER_CUBIC)
        picture += strength * field[..., None] * (rows > 0.3)
    road = np.array([[1200, 420], [1450, 420], [2500, _HEIGHT], [200, _HEIGHT]], np.int32)
    grain = 6 * random.standard_normal((_HEIGHT, SURVEY_WIDTH, 1), np.float32)
    cover = np.zeros((_HEIGHT, SURVEY_WIDTH), np.uint8)
    cv2.fillPoly(cover, [road], 1)
    picture = np.where(cover[..., None] == 1, 105 + 30 * rows + grain, picture)
    shown = np.ascontiguousarray(picture.clip(0, 255).astype(np.uint8))
    cv2.line(shown, (1325, 430), (1340, _HEIGHT), (220, 220, 210), 9)
    return shown


def backgrounds() -> tuple[Pixels, ...]:
    """The survey pictures, or drawn ones instead."""
    return survey_pictures() or tuple(drawn_road(seed) for seed in range(_DRAWN))


def window(random: np.random.Generator, height: int, width: int) -> Pixels:
    """A writable part of this size of a random picture, mostly from the lower half with the traffic."""
    found = backgrounds()
    picture = found[random.integers(len(found))]
    top = int(random.integers((picture.shape[0] - height) // 2, picture.shape[0] - height + 1))
    left = int(random.integers(0, picture.shape[1] - width + 1))
    return picture[top : top + height, left : left + width].copy()
