"""Convert box-relative masks to pixels: paste, dilate, union.

The work happens inside the (dilated) box of one instance, in strips of rows. So the memory is bounded by a constant,
whatever the size of the picture and the number of instances; only the union itself has the picture's size.

In doubt, more is hidden, never less (fail closed):

- boxes are rounded outward to whole pixels and cover at least one pixel;
- a sample within rounding error of the threshold counts as marked;
- if a mask marks no pixel at all, the whole box is hidden: the model detected something but not where in the box, and
  the record counts the instance as hidden.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2  # noqa: TID253 - one of the modules that use it
import numpy as np
from numpy.typing import NDArray

from anonymisation.core.matmul import product_in_pieces
from anonymisation.masking.detections import Detections

MASK_THRESHOLD: Final = 0.5  # from the original program: a pixel is marked where its mask sample exceeds this
_ROUNDING: Final = 1e-6  # a few units in the last place of a float32 near 0.5, after two interpolations
_STRIP_PIXELS: Final = 1 << 18  # pixels processed at once: 1 MB of float32 samples
_WHOLE_BOX: Final = np.ones((1, 1), np.float32)
_KEPT_WEIGHTS: Final = 8  # cached arrays, each at most 1 MB for the widest pictures

Window = tuple[slice, slice]
"""Rows and columns of a part of a picture."""


@dataclass(frozen=True, slots=True)
class PixelBox:
    """Whole pixels of a picture: rows top to bottom - 1, columns left to right - 1."""

    top: int
    left: int
    bottom: int
    right: int

    def __post_init__(self) -> None:
        if not (0 <= self.top < self.bottom and 0 <= self.left < self.right):
            raise ValueError(f"expected a box of at least one pixel, got {self}")

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.right - self.left

    @property
    def window(self) -> Window:
        """The box as an index into a picture's first two axes."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def within(self, outer: PixelBox) -> Window:
        """The box as an index into the part of the picture within `outer`."""
        rows = slice(self.top - outer.top, self.bottom - outer.top)
        return rows, slice(self.left - outer.left, self.right - outer.left)

    def hull(self, other: PixelBox) -> PixelBox:
        """The smallest box that contains both."""
        return PixelBox(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )

    def common(self, other: PixelBox) -> PixelBox | None:
        """The intersection of the two boxes; None if they share no pixel."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        bottom, right = min(self.bottom, other.bottom), min(self.right, other.right)
        return PixelBox(top, left, bottom, right) if top < bottom and left < right else None

    def grown(self, margin: int, height: int, width: int) -> PixelBox:
        """The box with `margin` pixels added on each side, clipped to a picture of `height` × `width` pixels."""
        return PixelBox(
            max(0, self.top - margin),
            max(0, self.left - margin),
            min(height, self.bottom + margin),
            min(width, self.right + margin),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A part of an instance's pixels: `marked` (rows, columns) bool, with the first pixel at (top, left)."""

    top: int
    left: int
    marked: NDArray[np.bool_]

    @property
    def window(self) -> Window:
        """The position of the patch, as an index into the picture's first two axes."""
        rows, columns = self.marked.shape
        return slice(self.top, self.top + rows), slice(self.left, self.left + columns)


def pixel_box(box: NDArray[np.float32], height: int, width: int) -> PixelBox:
    """The pixels that a box (ymin, xmin, ymax, xmax; fractions of the picture) touches, at least one."""
    top, bottom = _outward(float(box[0]), float(box[2]), height)
    left, right = _outward(float(box[1]), float(box[3]), width)
    return PixelBox(top, left, bottom, right)


def _outward(low: float, high: float, length: int) -> tuple[int, int]:
    first = min(math.floor(low * length), length - 1)
    return first, max(first + 1, min(math.ceil(high * length), length))


def patches(
    box: NDArray[np.float32], mask: NDArray[np.float32], height: int, width: int, dilation: int = 0
) -> Iterator[Patch]:
    """The hidden pixels of one instance, as strips of rows from the top.

    The mask (h, w) is resized bilinearly to the pixel box with its corner samples on the box's corner pixels,
    thresholded at 0.5, and dilated by a square of side 2 · dilation + 1.

    Args:
        box: (4,) ymin, xmin, ymax, xmax as fractions of the picture.
        mask: (h, w) 0 to 1, relative to the box.
        height: height of the picture, in pixels.
        width: width of the picture, in pixels.
        dilation: in pixels, 0 or more.
    """
    if dilation < 0:
        raise ValueError(f"dilation: expected 0 or more pixels, got {dilation}")
    inner = pixel_box(box, height, width)
    outer = inner.grown(dilation, height, width)
    # A strip needs `dilation` additional rows on each side, so low strips would mostly repeat work.
    rows = max(_STRIP_PIXELS // outer.width, 2 * dilation, 1)
    mask = _collapsed(mask, inner)
    if rows >= outer.height:
        patch = _strip(mask, inner, outer, outer.top, outer.bottom, dilation)
        yield patch if patch.marked.any() else _strip(_WHOLE_BOX, inner, outer, outer.top, outer.bottom, dilation)
        return
    if not _marks_anything(mask, inner):
        mask = _WHOLE_BOX
    for top in range(outer.top, outer.bottom, rows):
        yield _strip(mask, inner, outer, top, min(top + rows, outer.bottom), dilation)


def union(detections: Detections, height: int, width: int, dilation: int = 0) -> NDArray[np.bool_]:
    """(height, width) bool: the pixels that any instance hides, after dilation by `dilation` pixels."""
    hidden = np.zeros((height, width), np.bool_)
    for box, mask in zip(detections.boxes, detections.masks, strict=True):
        for patch in patches(box, mask, height, width, dilation):
            hidden[patch.window] |= patch.marked
    return hidden


def _strip(mask: NDArray[np.float32], inner: PixelBox, outer: PixelBox, top: int, bottom: int, dilation: int) -> Patch:
    """The rows top to bottom - 1 of the dilated instance."""
    first = max(top - dilation, inner.top)
    last = min(bottom + dilation, inner.bottom)
    seed = np.zeros((bottom - top + 2 * dilation, outer.width + 2 * dilation), np.uint8)
    if first < last:
        row, column = first - (top - dilation), inner.left - (outer.left - dilation)
        window = (slice(row, row + last - first), slice(column, column + inner.width))
        seed[window] = _paste_rows(mask, inner, first - inner.top, last - inner.top)
    if dilation:
        side = 2 * dilation + 1
        seed = np.asarray(cv2.dilate(seed, np.ones((side, side), np.uint8)), np.uint8)
    marked = seed[dilation : dilation + bottom - top, dilation : dilation + outer.width]
    return Patch(top, outer.left, marked.view(np.bool_))


def _collapsed(mask: NDArray[np.float32], inner: PixelBox) -> NDArray[np.float32]:
    # A box one pixel high or wide has no two corners to interpolate between: its pixel takes the maximum of the mask.
    if inner.height == 1:
        mask = mask.max(axis=0, keepdims=True)
    if inner.width == 1:
        mask = mask.max(axis=1, keepdims=True)
    return mask


def _marks_anything(mask: NDArray[np.float32], inner: PixelBox) -> bool:
    if not np.any(mask > MASK_THRESHOLD):
        return False
    # The row of pixels nearest to the maximum usually decides.
    peak = int(np.argmax(mask)) // mask.shape[1] * (inner.height - 1) // max(mask.shape[0] - 1, 1)
    if _paste_rows(mask, inner, peak, peak + 1).any():
        return True
    rows = max(_STRIP_PIXELS // inner.width, 1)
    starts = range(0, inner.height, rows)
    return any(_paste_rows(mask, inner, start, min(start + rows, inner.height)).any() for start in starts)


def _paste_rows(mask: NDArray[np.float32], inner: PixelBox, first: int, last: int) -> NDArray[np.bool_]:
    """The pixels that the resized mask marks, in the rows first to last - 1 of the box."""
    lower, share = _samples(mask.shape[0], inner.height)
    lower, share = lower[first:last], share[first:last, None]
    upper = np.minimum(lower + 1, mask.shape[0] - 1)
    rows = mask[lower] * (1 - share) + mask[upper] * share
    values = product_in_pieces(rows, _weights(mask.shape[1], inner.width))
    return np.asarray(values > MASK_THRESHOLD - _ROUNDING, np.bool_)


@functools.lru_cache(_KEPT_WEIGHTS)
def _weights(cells: int, pixels: int) -> NDArray[np.float32]:
    """(cells, pixels): the weight of each cell of a row in each pixel; only two neighbouring cells are not 0."""
    lower, share = _samples(cells, pixels)
    weights = np.zeros((cells, pixels), np.float32)
    weights[lower, np.arange(pixels)] = 1 - share
    weights[np.minimum(lower + 1, cells - 1), np.arange(pixels)] += share
    weights.setflags(write=False)
    return weights


def _samples(cells: int, pixels: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """For each pixel along an axis: the mask cell before it, and its distance (0 to 1) from there to the next cell.

    Pixel i is at i · (cells - 1) / (pixels - 1), as in `tf.compat.v1.image.resize_bilinear(align_corners=True)`.
    """
    positions = np.arange(pixels) * ((cells - 1) / max(pixels - 1, 1))
    lower = np.minimum(positions.astype(np.int64), cells - 1)
    return lower, (positions - lower).astype(np.float32)
