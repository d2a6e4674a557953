"""A bound for every attack: the number of different published files over all hidden contents."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tests.privacy.publishing import DILATION, QUALITY, Hide, Pixels, Published, camera_frame, photographed, publish
from tests.privacy.scenes import Candidates

_COLOURS = 24


def published_files(
    candidates: Candidates, hide: Hide, random: np.random.Generator, quality: int = QUALITY, dilation: int = DILATION
) -> list[Published]:
    """The published file of each candidate, with noise that differs only in the hidden regions."""
    first = photographed(candidates.pictures[0], random)
    changing = np.any([picture != candidates.pictures[0] for picture in candidates.pictures], axis=(0, 3))
    made = []
    for picture in candidates.pictures:
        taken = np.where(changing[..., None], photographed(picture, random), first)
        made.append(publish(camera_frame(taken, quality), candidates.detections, hide, dilation))
    return made


def with_extremes(candidates: Candidates, random: np.random.Generator) -> Candidates:
    """The same scene with contents that change averages the most: plain colours, halves, and noise."""
    first = candidates.pictures[0]
    changing = np.any([picture != first for picture in candidates.pictures], axis=(0, 3))
    pictures = []
    for content in _extremes(random, first.shape):
        pictures.append(np.where(changing[..., None], content, first))
    return Candidates(pictures, candidates.detections)


def _extremes(random: np.random.Generator, shape: tuple[int, ...]) -> Iterator[NDArray[np.uint8]]:
    for level in (0, 64, 128, 192, 255):
        yield np.full(shape, level, np.uint8)
    yield random.integers(0, 256, shape, np.uint8)
    for _ in range(_COLOURS):
        colours = random.integers(0, 256, (2, 3), np.uint8)
        halves: Pixels = np.empty(shape, np.uint8)
        middle = int(random.integers(1, shape[1]))
        halves[:, :middle], halves[:, middle:] = colours
        yield halves
