"""One picture as a whole and as overlapping squares, so that small things in large pictures are found too."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cv2  # noqa: TID253 - one of the modules that use it
import numpy as np
from numpy.typing import NDArray

from anonymisation.masking.detections import Detections
from anonymisation.masking.detector import BatchModel
from anonymisation.masking.merging import same_objects

# Tiles given to the model at once: beyond a few the throughput no longer grows, while the memory for the network's
# intermediate results does.
MAX_BATCH: Final = 8


@dataclass(frozen=True, slots=True)
class Tiles:
    """Squares of `side` pixels that overlap by at least the share `overlap` (0 to 0.9) of their side."""

    side: int
    overlap: float

    def __post_init__(self) -> None:
        if self.side < 1 or not 0 <= self.overlap <= 0.9:
            raise ValueError(f"expected a side of at least 1 and an overlap from 0 to 0.9, got {self}")


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A view of the part."""
        return pixels[self.top : self.top + self.height, self.left : self.left + self.width]


def crops(height: int, width: int, tiles: Tiles) -> tuple[Crop, ...]:
    """Equal crops that cover a picture, row by row from the top left; none when one would be the whole picture.

    They are spread evenly, so that the last ones end at the picture's edges. A picture that is smaller than the side in
    one direction gives crops of its own size there.
    """
    crop_height, crop_width = min(tiles.side, height), min(tiles.side, width)
    if (crop_height, crop_width) == (height, width):
        return ()
    tops, lefts = _starts(height, crop_height, tiles), _starts(width, crop_width, tiles)
    return tuple(Crop(top, left, crop_height, crop_width) for top in tops for left in lefts)


def _starts(length: int, side: int, tiles: Tiles) -> list[int]:
    step = max(1, math.floor(side * (1 - tiles.overlap)))
    count = math.ceil((length - side) / step) + 1
    return [round(index * (length - side) / max(count - 1, 1)) for index in range(count)]


def scaled_down(pixels: NDArray[np.uint8], max_num_pixels: int) -> NDArray[np.uint8]:
    """The picture in the same aspect with at most `max_num_pixels` pixels; as it is where it has no more."""
    height, width = pixels.shape[:2]
    if height * width <= max_num_pixels:
        return pixels
    factor = math.sqrt(max_num_pixels / (height * width))
    size = (max(1, int(width * factor)), max(1, int(height * factor)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


@dataclass(frozen=True, slots=True)
class TilingDetector:
    """A detector that shows a model the whole picture and, with `tiles`, its crops, and puts the results together.

    Every instance found anywhere is kept; instances of one object share a number. `max_num_pixels` bounds what the
    model is shown; detections are in shares of the picture, so that they fit the picture as it was.
    """

    model: BatchModel
    identity: str
    max_num_pixels: int
    tiles: Tiles | None

    def detect(self, pixels: NDArray[np.uint8]) -> Detections:
        """Detections in an upright picture, (H, W, 3) uint8 RGB; raises what the model raises."""
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
            raise ValueError(f"pixels: expected uint8 (H, W, 3), got {pixels.dtype} {pixels.shape}")
        pixels = scaled_down(pixels, self.max_num_pixels)
        height, width = pixels.shape[:2]
        parts = crops(height, width, self.tiles) if self.tiles else ()
        whole = Crop(0, 0, height, width)
        found = [self.model.predict(pixels[None])[0]]
        for batch in _batches(parts, min(self.model.max_batch, MAX_BATCH)):
            found.extend(self.model.predict(np.stack([crop.of(pixels) for crop in batch])))
        return _joined(found, (whole, *parts), height, width)


def _batches(parts: Sequence[Crop], size: int) -> Iterator[Sequence[Crop]]:
    for start in range(0, len(parts), size):
        yield parts[start : start + size]


def _joined(found: Sequence[Detections], parts: Sequence[Crop], height: int, width: int) -> Detections:
    """The detections of all crops in the coordinates of the picture, with one number per object."""
    filled = [(number, part, crop) for number, (part, crop) in enumerate(zip(found, parts, strict=True)) if len(part)]
    if not filled:
        return Detections.empty()
    scale = np.array([height, width, height, width], np.float64)
    areas, boxes = [], []
    for _, part, crop in filled:
        corner = np.array([crop.top, crop.left, crop.top, crop.left]) / scale
        size = np.array([crop.height, crop.width, crop.height, crop.width]) / scale
        end = corner[:2] + size[:2]
        areas.append(np.tile(np.concatenate([corner[:2], end]), (len(part), 1)))
        boxes.append(np.clip(corner + part.boxes * size, 0, 1))
    sources = np.repeat([number for number, _, _ in filled], [len(part) for _, part, _ in filled]).astype(np.int32)
    joined = Detections.concatenate(part for _, part, _ in filled)
    mapped = np.concatenate(boxes)
    objects = same_objects(mapped, joined.classes, np.concatenate(areas), sources)
    return Detections(mapped.astype(np.float32), joined.scores, joined.classes, joined.masks, objects)
