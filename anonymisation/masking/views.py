"""The views of a picture for a model: crop, scale, and the mapping of detections back to the picture.

A model without a fixed size gets the whole picture and square tiles of it. A model with an `InputForm` gets the picture
at several sizes (a pyramid): the network is convolutional, so one large view costs less than the overlapping tiles that
it replaces, and does not cut objects.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import cv2  # noqa: TID253 - one of the modules that use it
import numpy as np
from numpy.typing import NDArray

from anonymisation.masking.detections import Detections

# Gray level of the padding around the picture, as in the training of YOLOX.
PADDING: Final = 114
# Boxes longer than this fraction of the model's side are taken only from the coarsest view: when an object fills more
# of a view, the network sees too little context, and detects bare asphalt as cars.
LARGEST_SHARE: Final = 0.5
# Largest ratio between the scales of consecutive views, so that an object too long for one view is still long enough in
# the next coarser one: LARGEST_SHARE of 416 pixels becomes 69 pixels there. On held-out training pictures, all objects
# of that length or longer were detected at ratios of 2 and 3; at 4, one in 14 of the shortest was missed.
MOST_STEP: Final = 3.1
# The coarsest view of a wide or tall picture has as many pixels as for a picture of this aspect scaled to the model's
# side: objects that fill such a picture are as long as its shorter side, and would be small in a narrow strip.
USUAL_ASPECT: Final = 4 / 3
# Small pictures are enlarged by this factor, up to ENLARGED_SIDES times the model's side. On held-out training pictures
# of 640 pixels, a size of 704 found more small objects than 512 to 640, and than 832.
ENLARGED: Final = 1.35
ENLARGED_SIDES: Final = 1.7
# A finer view is worth its time if its scale is at least this times the coarsest.
_LEAST_STEP: Final = 1.1
# Most pixels of a view: a larger level is split into parts. Larger views only need more memory (150 bytes per pixel).
MOST_VIEW_PIXELS: Final = 1 << 21
# From this scale on, bilinear interpolation still uses every pixel, in a seventh of the time.
_SAMPLED_FROM: Final = 0.6
# A view may shrink by this fraction if that saves half a row of blocks of padding.
_SHRINK: Final = 1 / 32
# The "halves" of a view are this long, so that they overlap by a fifth; views with shorter sides are not halved.
_HALF: Final = 0.6
_LEAST_HALVED: Final = 128


@dataclass(frozen=True, slots=True)
class Tiles:
    """Squares of `side` pixels that overlap by at least the fraction `overlap` (0 to 0.9) of their side."""

    side: int
    overlap: float

    def __post_init__(self) -> None:
        if self.side < 1 or not 0 <= self.overlap <= 0.9:
            raise ValueError(f"expected a side of at least 1 and an overlap from 0 to 0.9, got {self}")


@dataclass(frozen=True, slots=True)
class InputForm:
    """The input size of a model: it was trained on pictures whose longer side is `side`, and accepts without scaling
    those whose sides are multiples of `multiple` and that have at most `most_pixels` pixels."""

    side: int
    multiple: int
    most_pixels: int

    def __post_init__(self) -> None:
        if not 1 <= self.multiple <= self.side or self.side % self.multiple:
            raise ValueError(f"expected a side that is a multiple of `multiple`, got {self}")
        if self.most_pixels < self.side**2:
            raise ValueError(f"expected most_pixels of at least side squared, got {self}")


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


@dataclass(frozen=True, slots=True)
class View:
    """A part of a picture, scaled to `rows` × `columns` in the upper left corner of a canvas of `height` × `width`.

    Detections with a side longer than `largest` pixels of the canvas are ignored; a coarser view detects them.
    """

    crop: Crop
    rows: int
    columns: int
    height: int
    width: int
    largest: float = math.inf

    @classmethod
    def as_is(cls, crop: Crop) -> View:
        """The part at its original size."""
        return cls(crop, crop.height, crop.width, crop.height, crop.width)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the canvas."""
        return self.height, self.width

    def halves(self, form: InputForm | None) -> tuple[View, ...]:
        """Two views of the halves of this view, at the same scale; none if it is too small to halve."""
        crop = self.crop
        half = math.ceil(max(crop.height, crop.width) * _HALF)
        if max(self.rows, self.columns) < _LEAST_HALVED:
            return ()
        if crop.height > crop.width:
            parts = [Crop(crop.top + start, crop.left, half, crop.width) for start in (0, crop.height - half)]
        else:
            parts = [Crop(crop.top, crop.left + start, crop.height, half) for start in (0, crop.width - half)]
        if form is None:
            return tuple(View.as_is(part) for part in parts)
        scale = max(self.rows, self.columns) / max(crop.height, crop.width)
        return tuple(_fitted(part, scale, form, self.largest) for part in parts)

    def of(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The canvas, (height, width, 3) uint8, for a picture `pixels`, (H, W, 3) uint8."""
        return self.canvas(self.crop.of(pixels))

    def canvas(self, part: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The canvas for the view's part of the picture, given at any size, (h, w, 3) uint8."""
        if (self.rows, self.columns) != part.shape[:2]:
            shrunk = math.sqrt(self.rows * self.columns / (part.shape[0] * part.shape[1]))
            # Average over areas if bilinear interpolation would skip pixels.
            method = cv2.INTER_AREA if shrunk < _SAMPLED_FROM else cv2.INTER_LINEAR
            part = np.asarray(cv2.resize(part, (self.columns, self.rows), interpolation=method), np.uint8)
        if part.shape[:2] == self.shape:
            return part
        canvas = np.full((self.height, self.width, 3), PADDING, np.uint8)
        canvas[: self.rows, : self.columns] = part
        return canvas

    def within_crop(self, found: Detections) -> Detections:
        """Convert detections on the canvas to the part of the picture (boxes as fractions of each).

        Boxes and masks are clipped to the part; detections on the padding only, or longer than `largest`, are dropped.
        """
        if not len(found) or (self.shape == (self.rows, self.columns) and self.largest == math.inf):
            return found
        boxes = found.boxes * np.array([self.height, self.width] * 2, np.float32)
        end = np.array([self.rows, self.columns], np.float32)
        sides = np.minimum(boxes[:, 2:], end) - boxes[:, :2]
        keep = np.flatnonzero((sides.max(axis=1) <= self.largest) & np.all(boxes[:, :2] < end, axis=1))
        boxes, masks = boxes[keep], found.masks[keep]
        beyond = np.flatnonzero(np.any(boxes[:, 2:] > end, axis=1))
        if len(beyond):
            shares = sides[keep][beyond] / np.maximum(boxes[beyond, 2:] - boxes[beyond, :2], 1e-6)
            masks = masks.copy()
            masks[beyond] = _first_part(_first_part(masks[beyond], shares[:, 0], 1), shares[:, 1], 2)
        boxes = np.clip(boxes / np.tile(end, 2), 0, 1).astype(np.float32)
        return Detections(boxes, found.scores[keep], found.classes[keep], masks, found.objects[keep])


def _first_part(masks: NDArray[np.float32], shares: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """(N, h, w) masks of boxes shortened to a fraction `shares` (N,), 0 to 1, along an axis; the first and last samples
    lie on the edges. Each sample is the maximum up to its neighbours, so that no less is hidden.
    """
    count = masks.shape[axis]
    step = shares[:, None]
    end = step * (count - 1)
    place = np.arange(count, dtype=np.float32) * step
    reached = (place - step, np.maximum(np.floor(place), place - step), np.minimum(np.ceil(place), place + step))
    values = [_values(masks, np.clip(places, 0, end), axis) for places in (*reached, place + step)]
    return np.asarray(np.clip(np.maximum.reduce(values), 0, 1), np.float32)


def _values(masks: NDArray[np.float32], places: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Masks interpolated at (N, count) places along an axis of `count` samples."""
    low = np.floor(places).astype(np.intp)
    shape = (len(masks), -1, 1) if axis == 1 else (len(masks), 1, -1)
    before, weight = low.reshape(shape), (places - low).reshape(shape)
    after = np.minimum(before + 1, masks.shape[axis] - 1)
    first, second = np.take_along_axis(masks, before, axis), np.take_along_axis(masks, after, axis)
    return np.asarray(first * (1 - weight) + second * weight, np.float32)


def crops(height: int, width: int, tiles: Tiles) -> tuple[Crop, ...]:
    """Equal crops that cover a picture, row by row from the top left; none if one crop would be the whole picture.

    The crops are evenly spaced, and the last ones end at the picture's edges. If the picture is smaller than a tile in
    one direction, the crops have the picture's size in that direction.
    """
    crop_height, crop_width = min(tiles.side, height), min(tiles.side, width)
    if (crop_height, crop_width) == (height, width):
        return ()
    tops, lefts = _starts(height, crop_height, tiles), _starts(width, crop_width, tiles)
    return tuple(Crop(top, left, crop_height, crop_width) for top in tops for left in lefts)


def _starts(length: int, side: int, tiles: Tiles) -> list[int]:
    step = max(1, math.floor(side * (1 - tiles.overlap)))
    return _spread(length, side, math.ceil((length - side) / step) + 1)


def _spread(length: int, side: int, count: int) -> list[int]:
    return [round(index * (length - side) / max(count - 1, 1)) for index in range(count)]


def views_of(height: int, width: int, tiles: Tiles | None, form: InputForm | None) -> tuple[View, ...]:
    """Views of a picture of `height` × `width` pixels, first the coarsest one of the whole picture.

    Without `form` they are the picture at its original size and its `tiles`. With `form` the picture is scaled to the
    model's side, and with `tiles` also to finer scales, up to the scale at which a tile has the model's side; small
    pictures are enlarged. A level with too many pixels is split into parts that overlap by at least the longest box
    taken from them.
    """
    whole = Crop(0, 0, height, width)
    if form is None:
        return tuple(View.as_is(crop) for crop in (whole, *(crops(height, width, tiles) if tiles else ())))
    coarse = _coarsest_scale(height, width, form)
    levels = _finer_scales(max(height, width), coarse, form, tiles) if tiles else ()
    return (_fitted(whole, coarse, form), *(view for scale in levels for view in _level(whole, scale, form)))


def canvases(views: Sequence[View], pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """The canvas of each view, in order. Views of the whole picture that shrink it are made from the next finer one,
    which takes a third of the time."""
    made: dict[View, NDArray[np.uint8]] = {}
    source = pixels
    for view in reversed([view for view in views if (view.crop.height, view.crop.width) == pixels.shape[:2]]):
        made[view] = view.canvas(source)
        if view.rows < pixels.shape[0]:
            source = made[view][: view.rows, : view.columns]
    return (made.pop(view) if view in made else view.of(pixels) for view in views)


def _coarsest_scale(height: int, width: int, form: InputForm) -> float:
    longer, aspect = max(height, width), max(height, width) / min(height, width)
    return form.side / longer * min(max(1.0, math.sqrt(aspect / USUAL_ASPECT)), ENLARGED_SIDES)


def _finer_scales(longer: int, coarse: float, form: InputForm, tiles: Tiles) -> tuple[float, ...]:
    """The scales of all levels but the coarsest, increasing by a constant factor."""
    finest = max(form.side / tiles.side, min(ENLARGED, ENLARGED_SIDES * form.side / longer))
    if finest < _LEAST_STEP * coarse:
        return ()
    steps = max(1, math.ceil(math.log(finest / coarse, MOST_STEP)))
    return tuple(coarse * (finest / coarse) ** (step / steps) for step in range(1, steps + 1))


def _level(whole: Crop, scale: float, form: InputForm) -> Iterator[View]:
    """Views of the whole picture at a scale: one, or several parts if one would be too large."""
    largest = LARGEST_SHARE * form.side
    single = _fitted(whole, scale, form, largest)
    limit = min(form.most_pixels, MOST_VIEW_PIXELS)
    if single.height * single.width <= limit:
        yield single
        return
    side = math.isqrt(limit) // form.multiple * form.multiple
    rows, columns = (_parts(length, side / scale, largest / scale) for length in (whole.height, whole.width))
    for (top, height), (left, width) in product(rows, columns):
        yield _fitted(Crop(top, left, height, width), scale, form, largest)


def _parts(length: int, most: float, overlap: float) -> list[tuple[int, int]]:
    """The fewest equal parts (start, length) that cover a length, no longer than `most`, overlapping by `overlap`."""
    if length <= most:
        return [(0, length)]
    count = math.ceil((length - overlap) / (most - overlap))
    size = math.floor((length + (count - 1) * overlap) / count)
    return [(start, size) for start in _spread(length, size, count)]


def _fitted(crop: Crop, scale: float, form: InputForm, largest: float = math.inf) -> View:
    """A view of the crop at about this scale, on the smallest canvas that the model accepts without scaling."""
    height, width = (_canvas_side(length * scale, form.multiple) for length in (crop.height, crop.width))
    fitting = min(scale, height / crop.height, width / crop.width)
    rows = min(max(1, round(crop.height * fitting)), height)
    columns = min(max(1, round(crop.width * fitting)), width)
    height, width = (math.ceil(side / form.multiple) * form.multiple for side in (rows, columns))
    return View(crop, rows, columns, height, width, largest)


def _canvas_side(length: float, multiple: int) -> int:
    """The nearest multiple, or the next larger one if the nearest would shrink the length by more than _SHRINK."""
    below = math.floor(length / multiple) * multiple
    nearest = length - below <= min(multiple / 2, length * _SHRINK)
    return below if below and nearest else math.ceil(length / multiple) * multiple
