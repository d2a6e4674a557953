"""Map detections in a look at a panorama back to the panorama.

A box of a look has bent edges in the panorama, and may lie on both sides of the seam. The pixels that the mask marks in
the look are read on a grid in a box around them, one box for each side of the seam. No pixel of the panorama whose
centre lies in such a pixel stays visible: the marked pixels grow by half a step of the grid before they are read, and
every sample of the new mask is the highest value up to its neighbours.
"""

from __future__ import annotations

import math
from typing import Final

import cv2  # noqa: TID253 - one of the modules that use it
import numpy as np
from numpy.typing import NDArray

from anonymisation.masking.detections import Detections
from anonymisation.masking.geometry import PixelBox, patches, pixel_box
from anonymisation.masking.panoramas.looks import Extent, Look

Box = NDArray[np.float32]
Mask = NDArray[np.float32]
Places = NDArray[np.floating]

LEAST_SAMPLES: Final = 100
"""Samples along a mapped mask: three times a usual mask's, since bending makes boxes up to three times as long."""
_DENSE: Final = 2  # places at which the marked pixels are read, per sample and axis
_FINE: Final = 1024  # marked pixels of a small box are split into parts, at most so many along each side of the box ...
_MOST_PARTS: Final = 8  # ... and so many along each pixel
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


def mapped(
    found: Detections, look: Look, size: tuple[int, int], samples: tuple[int, int] = (LEAST_SAMPLES, LEAST_SAMPLES)
) -> tuple[Detections, NDArray[np.intp]]:
    """The detections in the panorama, one row for each side of the seam, and the row of `found` that each comes from.

    Rows that come from one detection have its object number. A detection that lies where the look shows nothing of the
    panorama has no row.

    Args:
        found: the detections in the look; their masks may have any size.
        look: the look.
        size: height and width of the panorama, in pixels.
        samples: rows and columns of the new masks, at least 2 of each.
    """
    placed = [(row, pair) for row in range(len(found)) for pair in _placed(found, row, look, size, samples)]
    if not placed:
        return Detections.empty(), np.zeros(0, np.intp)
    rows = np.array([row for row, _ in placed], np.intp)
    boxes, masks = (np.stack([pair[part] for _, pair in placed]) for part in (0, 1))
    return Detections(boxes, found.scores[rows], found.classes[rows], masks, found.objects[rows]), rows


def sides(extent: Extent) -> list[Extent]:
    """The extent as boxes within the picture: one, two if it reaches beyond the seam, none if it is empty."""
    if extent.right - extent.left >= 1:
        parts = [Extent(extent.top, 0.0, extent.bottom, 1.0)]
    else:
        right = Extent(extent.top, extent.left, extent.bottom, min(extent.right, 1.0))
        left = Extent(extent.top, 0.0, extent.bottom, extent.right - 1)
        parts = [right, left]
    return [part for part in parts if min(part.right - part.left, part.bottom - part.top) > _PART]


def _placed(
    found: Detections, row: int, look: Look, size: tuple[int, int], samples: tuple[int, int]
) -> list[tuple[Box, Mask]]:
    """The box and the mask of a detection on each side of the seam; only sides with a marked sample if there is any."""
    own = pixel_box(found.boxes[row], *look.size)
    marked = _marked(found, row, own, look)
    height, width = look.size
    box = (np.array([own.top, own.left, own.bottom, own.right]) / [height, width, height, width]).astype(np.float32)
    placed = []
    for side in sides(look.extent(box)):
        place = pixel_box(np.array([side.top, side.left, side.bottom, side.right]), *size)
        placed.append((_edges(place, size), _sampled(marked, own, look, size, place, samples)))
    return [pair for pair in placed if pair[1].any()] or placed


def _marked(found: Detections, row: int, own: PixelBox, look: Look) -> NDArray[np.uint8]:
    """The pixels of the look within `own`, 1 where the detection marks them."""
    marked = np.zeros((own.height, own.width), np.uint8)
    for patch in patches(found.boxes[row], found.masks[row], *look.size):
        rows, columns = patch.marked.shape
        top, left = patch.top - own.top, patch.left - own.left
        marked[top : top + rows, left : left + columns] = patch.marked
    return marked


def _edges(place: PixelBox, size: tuple[int, int]) -> Box:
    """The edges of whole pixels as shares of the picture: those of the picture itself exactly, others _INSIDE."""
    low = [edge + _INSIDE if edge else 0.0 for edge in (place.top, place.left)]
    ends = zip((place.bottom, place.right), size, strict=True)
    high = [float(edge) if edge == length else edge - _INSIDE for edge, length in ends]
    return (np.array([*low, *high]) / [*size, *size]).astype(np.float32)


def _sampled(
    marked: NDArray[np.uint8],
    own: PixelBox,
    look: Look,
    size: tuple[int, int],
    place: PixelBox,
    samples: tuple[int, int],
) -> Mask:
    """The mask of `samples` in `place` of the panorama, for the `marked` pixels in the box `own` of a look."""
    x = _dense(place.left, place.width, samples[1]) / size[1]
    y = _dense(place.top, place.height, samples[0]) / size[0]
    u, v = np.broadcast_arrays(*look.places(x[None], y[:, None]))
    parts = max(1, min(_MOST_PARTS, _FINE // max(own.height, own.width)))
    across, down = (u * look.size[1] - own.left) * parts, (v * look.size[0] - own.top) * parts
    shown = (u >= 0) & (u <= 1) & (v >= 0) & (v <= 1)
    wide, high = _half_step(across, shown), _half_step(down, shown)
    grown = np.pad(np.kron(marked, np.ones((parts, parts), np.uint8)), ((high, high), (wide, wide)))
    grown = np.asarray(cv2.dilate(grown, np.ones((2 * high + 1, 2 * wide + 1), np.uint8)), np.uint8)
    columns, rows = np.floor(across).astype(np.intp) + wide, np.floor(down).astype(np.intp) + high
    inside = (columns >= 0) & (columns < grown.shape[1]) & (rows >= 0) & (rows < grown.shape[0])
    values = np.where(inside, grown[np.where(inside, rows, 0), np.where(inside, columns, 0)], np.uint8(0))
    around = np.ones((2 * _DENSE + 1,) * 2, np.uint8)
    reached = np.asarray(cv2.dilate(values, around), np.uint8)  # the highest value up to the neighbouring samples
    return np.ascontiguousarray(reached[::_DENSE, ::_DENSE], np.float32)


def _half_step(places: Places, shown: NDArray[np.bool_]) -> int:
    """How far a place in a cell of four neighbouring `places` (rows, columns) may lie from the nearest, rounded up.

    Only cells that the look shows count (`shown`).
    """
    whole = shown[1:, 1:] & shown[1:, :-1] & shown[:-1, 1:] & shown[:-1, :-1]
    down, across = np.abs(np.diff(places, axis=0)), np.abs(np.diff(places, axis=1))
    steps = np.maximum(down[:, 1:], down[:, :-1]) + np.maximum(across[1:], across[:-1])
    return math.ceil(float(steps.max(where=whole, initial=0.0)) / 2)


def _dense(first: int, pixels: int, samples: int) -> Places:
    """Places from the centre of the first pixel to that of the last, _DENSE for each interval between samples."""
    return first + 0.5 + np.linspace(0, pixels - 1, (samples - 1) * _DENSE + 1)
