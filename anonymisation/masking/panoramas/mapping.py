"""Map detections in a look at a panorama back to the panorama.

A box of a look has bent edges in the panorama, and may lie on both sides of the seam. The mask is sampled again on a
finer grid in a box around it, one box for each side of the seam. Every sample is the highest value up to its
neighbours, so no pixel that the mask marks in the look stays visible in the panorama.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import cv2  # noqa: TID253 - one of the modules that use it
import numpy as np
from numpy.typing import NDArray

from anonymisation.masking.detections import Detections
from anonymisation.masking.geometry import MASK_THRESHOLD, PixelBox, pixel_box
from anonymisation.masking.panoramas.looks import Extent, Look

Mask = NDArray[np.float32]

LEAST_SAMPLES: Final = 100
"""Samples along a mapped mask. A box becomes up to twice as long by bending, so these are at least twice as dense as
those of a usual mask of 28 to 33 samples."""
_DENSE: Final = 2  # places at which the mask is read, per sample and axis
_INSIDE: Final = 0.25  # edges of a box lie this far inside their pixels, so that rounding adds no pixel
_PART: Final = 1e-9  # shorter parts of the width are no part


def finer(found: Detections) -> Detections:
    """The same detections with masks of the size that `mapped` gives, which mark exactly the same pixels.

    The number of intervals between samples is multiplied by a whole number, so interpolation gives the same values.
    """
    if not len(found):
        return found
    masks = found.masks
    for axis in (1, 2):
        masks = _finer(masks, axis)
    return Detections(found.boxes, found.scores, found.classes, masks, found.objects)


def finer_size(size: tuple[int, ...]) -> tuple[int, int]:
    """The size of the masks (h, w) that `finer` gives for masks of this size."""
    height, width = (LEAST_SAMPLES if count == 1 else (count - 1) * _factor(count) + 1 for count in size)
    return height, width


def _factor(count: int) -> int:
    return math.ceil((LEAST_SAMPLES - 1) / (count - 1))


def _finer(masks: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    count = masks.shape[axis]
    if count == 1:
        return np.repeat(masks, LEAST_SAMPLES, axis)
    places = np.arange((count - 1) * _factor(count) + 1) / _factor(count)
    low = np.minimum(places.astype(np.intp), count - 2)
    share = (places - low).astype(np.float32).reshape(-1, 1) if axis == 1 else (places - low).astype(np.float32)
    values = masks.take(low, axis) * (1 - share) + masks.take(low + 1, axis) * share
    return np.asarray(np.clip(values, 0, 1), np.float32)


def mapped(found: Detections, look: Look, size: tuple[int, int]) -> tuple[Detections, NDArray[np.intp]]:
    """The detections in the panorama, one row for each side of the seam, and the row of `found` that each comes from.

    Rows that come from one detection have its object number. `size` is that of the panorama: height, width in pixels.
    """
    boxes: list[NDArray[np.float32]] = []
    masks: list[Mask] = []
    rows: list[int] = []
    for row in range(len(found)):
        for box, mask in _placed(found.boxes[row], found.masks[row], look, size):
            boxes.append(box)
            masks.append(mask)
            rows.append(row)
    if not rows:
        return Detections.empty(), np.zeros(0, np.intp)
    which = np.array(rows, np.intp)
    return Detections(
        np.stack(boxes), found.scores[which], found.classes[which], np.stack(masks), found.objects[which]
    ), which


def sides(extent: Extent) -> list[Extent]:
    """The extent as boxes within the picture: one, or two if it reaches beyond the seam."""
    if extent.right <= 1:
        return [extent]
    if extent.right - extent.left >= 1:
        return [Extent(extent.top, 0.0, extent.bottom, 1.0)]
    right = Extent(extent.top, extent.left, extent.bottom, 1.0)
    left = Extent(extent.top, 0.0, extent.bottom, extent.right - 1)
    return [side for side in (right, left) if side.right - side.left > _PART]


def _placed(
    box: NDArray[np.float32], mask: Mask, look: Look, size: tuple[int, int]
) -> Iterator[tuple[NDArray[np.float32], Mask]]:
    """The box and the mask of a detection on each side of the seam; only sides with a marked sample if there is any."""
    if not (mask > MASK_THRESHOLD).any():
        mask = np.ones_like(mask)  # as in geometry: it is not known where in the box the object is
    placed = []
    for side in sides(look.extent(box)):
        whole = pixel_box(np.array([side.top, side.left, side.bottom, side.right]), *size)
        share = _edges(whole, size)
        placed.append((share, _sampled(box, mask, look, size, share)))
    marking = [pair for pair in placed if (pair[1] > MASK_THRESHOLD).any()]
    yield from marking or placed


def _edges(place: PixelBox, size: tuple[int, int]) -> NDArray[np.float32]:
    """The edges of whole pixels as shares of the picture: those of the picture itself exactly, others _INSIDE."""
    low = [edge + _INSIDE if edge else 0.0 for edge in (place.top, place.left)]
    ends = zip((place.bottom, place.right), size, strict=True)
    high = [float(edge) if edge == length else edge - _INSIDE for edge, length in ends]
    return (np.array([*low, *high]) / [*size, *size]).astype(np.float32)


def _sampled(
    box: NDArray[np.float32], mask: Mask, look: Look, size: tuple[int, int], target: NDArray[np.float32]
) -> Mask:
    """The mask of the detection `box` of a look, for the box `target` of the panorama."""
    rows, columns = finer_size(mask.shape)
    place = pixel_box(target, *size)
    x = _dense(place.left, place.width, columns) / size[1]
    y = _dense(place.top, place.height, rows) / size[0]
    u, v = look.places(*np.meshgrid(x, y))
    height, width = look.size
    own = pixel_box(box, height, width)
    if own.height == 1:  # as in geometry: no two pixels to interpolate between
        mask = mask.max(axis=0, keepdims=True)
    if own.width == 1:
        mask = mask.max(axis=1, keepdims=True)
    across = _on_mask(u * width - own.left, own.width, mask.shape[1])
    down = _on_mask(v * height - own.top, own.height, mask.shape[0])
    values = cv2.remap(mask, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    outside = (u * width < own.left) | (u * width > own.right) | (v * height < own.top) | (v * height > own.bottom)
    values = np.where(outside, np.float32(0), np.asarray(values, np.float32))
    around = np.ones((2 * _DENSE + 1,) * 2, np.uint8)
    reached = np.asarray(cv2.dilate(values, around), np.float32)  # the highest value up to the neighbouring samples
    return np.ascontiguousarray(np.clip(reached[::_DENSE, ::_DENSE], 0, 1))


def _dense(first: int, pixels: int, samples: int) -> NDArray[np.float64]:
    """Places from the centre of the first pixel to that of the last, _DENSE for each interval between samples."""
    return first + 0.5 + np.linspace(0, pixels - 1, (samples - 1) * _DENSE + 1)


def _on_mask(offset: NDArray[np.float64], pixels: int, samples: int) -> NDArray[np.float32]:
    """Offsets in pixels from the edge of a box as places on its mask, whose end samples are on the end pixels."""
    steps = (offset - 0.5) * ((samples - 1) / max(pixels - 1, 1))
    return np.clip(steps, 0, samples - 1).astype(np.float32)
