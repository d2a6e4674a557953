"""Attack (c): does a published hidden region resemble its original content?

Pictures with random content in the hidden region, unrelated to its surroundings, are published. Each published region
is compared with each original one, in pixels and in the coefficients of 8 × 8 blocks, for each channel. If the right
pairs are more similar than random pairs, some of the content leaked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import cv2  # noqa: TID253 - converts colours, and has the cosine transform
import numpy as np
from numpy.typing import NDArray

from anonymisation.masking.geometry import PixelBox, pixel_box
from tests.privacy.backgrounds import window
from tests.privacy.publishing import QUALITY, Hide, Pixels, camera_frame, photographed, publish
from tests.privacy.scenes import MARGIN, detections_of
from tests.privacy.stats import shuffled_at_least

Vectors = NDArray[np.float64]
"""(pictures, L): the compared values of each picture."""

CHANNELS: Final = ("Y", "Cb", "Cr")
MEASURES: Final = tuple(f"{channel}, {domain}" for channel in CHANNELS for domain in ("pixels", "coefficients"))
PICTURES: Final = 14
_SIZE: Final = (176, 240)
_BLOCK: Final = 8
_SCALES: Final = (4, 16, 64, 320)  # cells of the content across
_STRENGTH: Final = 34.0  # standard deviation of each scale, in gray levels


def likeness_levels(hide: Hide, seed: int, quality: int = QUALITY) -> dict[str, float]:
    """For each channel, in pixels and in coefficients: the probability that random pairs are as similar as the right
    ones."""
    random = np.random.default_rng(seed)
    original, published, box = _pictures(hide, random, quality)
    levels = {}
    for index, channel in enumerate(CHANNELS):
        for domain, of in (("pixels", _pixel_vectors), ("coefficients", _coefficient_vectors)):
            before, after = (of(regions, index, box) for regions in (original, published))
            levels[f"{channel}, {domain}"] = shuffled_at_least(_correlations(before, after), random)
    return levels


def _pictures(hide: Hide, random: np.random.Generator, quality: int) -> tuple[list[Pixels], list[Pixels], PixelBox]:
    """The original and the published pictures, both as YCrCb, and the box of the hidden region."""
    ground = window(random, _SIZE[0] + 2 * MARGIN, _SIZE[1] + 2 * MARGIN)
    found = detections_of([(MARGIN, MARGIN, MARGIN + _SIZE[0], MARGIN + _SIZE[1])], ground.shape)
    box = pixel_box(found.boxes[0], *ground.shape[:2])
    original, published = [], []
    for _ in range(PICTURES):
        picture = ground.copy()
        picture[box.window] = _content(random, box.height, box.width)
        frame = camera_frame(photographed(picture, random), quality)
        original.append(_luma_and_colour(frame.pixels))
        published.append(_luma_and_colour(publish(frame, found, hide).pixels))
    return original, published, box


def _luma_and_colour(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb), np.uint8)


def _content(random: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Random colours in cells of several sizes around the same gray; each scale has an average of 0."""
    content = np.full((height, width, 3), 128, np.float32)
    for cells in _SCALES:
        coarse = random.standard_normal((max(3, cells * height // width), cells, 3), np.float32)
        coarse -= coarse.mean(axis=(0, 1))
        content += _STRENGTH * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return content.clip(0, 255).astype(np.uint8)


def _channel(picture: Pixels, index: int) -> NDArray[np.float32]:
    return picture[..., (0, 2, 1)[index]].astype(np.float32)


def _pixel_vectors(pictures: list[Pixels], index: int, box: PixelBox) -> Vectors:
    return np.array([_channel(picture, index)[box.window].ravel() for picture in pictures], np.float64)


def _coefficient_vectors(pictures: list[Pixels], index: int, box: PixelBox) -> Vectors:
    """The AC coefficients of all blocks within the box, each divided by its standard deviation."""
    coded = np.array([[cv2.dct(block)[1:] for block in _blocks(_channel(picture, index), box)] for picture in pictures])
    spread = coded.std(axis=(0, 1), keepdims=True)
    vectors: Vectors = (coded / np.maximum(spread, 1e-6)).reshape(len(pictures), -1)
    return vectors


def _blocks(plane: NDArray[np.float32], box: PixelBox) -> Iterator[NDArray[np.float32]]:
    """The file's blocks within the box."""
    for top in range(-(-box.top // _BLOCK) * _BLOCK, box.bottom - _BLOCK + 1, _BLOCK):
        for left in range(-(-box.left // _BLOCK) * _BLOCK, box.right - _BLOCK + 1, _BLOCK):
            yield np.ascontiguousarray(plane[top : top + _BLOCK, left : left + _BLOCK])


def _correlations(before: Vectors, after: Vectors) -> Vectors:
    """(n, n): correlation of each original with each published region; 0 for a region without structure."""
    parts = []
    for vectors in (before, after):
        centred = vectors - vectors.mean(axis=1, keepdims=True)
        parts.append(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9))
    return np.asarray(parts[0] @ parts[1].T)
