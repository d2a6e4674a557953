"""Augment training pictures: random scale, position, mirroring and colour, mosaics of four; targets of fixed shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import cv2  # noqa: TID253 - draws the pictures
import keras  # noqa: TID253
import numpy as np
from numpy.typing import NDArray

from training.data import Sample
from training.drawn import Drawn, draw
from training.network import PROTOTYPE_STRIDE

MAX_OBJECTS: Final = 24
MAX_IGNORED: Final = 28
SMALLEST_SIDE: Final = 4.0
"""Pixels; the loss ignores objects with a smaller side after scaling."""
VISIBLE_SHARE: Final = 0.25
"""The loss also ignores objects of which less than this fraction is inside the picture."""
MOSAIC_SHARE: Final = 0.3
"""Fraction of the training pictures that are mosaics of four pictures."""
WHOLE_SHARE: Final = 0.25
"""Fraction of the other pictures at the scale of the coarsest view, which alone detects large objects."""
LONGER_SIDES: Final = (280.0, 1000.0)
WHOLE_LONGER_SIDES: Final = (380.0, 440.0)
MOSAIC_LONGER_SIDES: Final = (150.0, 640.0)
"""Limits for the longer side of a picture (in network pixels, log-uniform): from less than the coarsest view to the
finest."""
PASTE_SHARE: Final = 0.35
"""Fraction of the training pictures into which objects of other pictures are pasted, as small as on distant roads."""
PASTED_SIDES: Final = (8.0, 70.0)
"""Limits for the longer side of a pasted object (in network pixels, log-uniform)."""
MOST_PASTED: Final = 5
PASTED_CLASSES: Final = (0.3, 0.05, 0.2, 0.05, 0.15, 0.25)
"""Probability of each class for a pasted object: lorries and buses are rare in the pictures, but not on roads."""
HAZY_SHARE: Final = 0.5
"""Fraction of the pasted objects with little contrast, about as dark as their surroundings or darker: distant, or
backlit."""
DRAWN_SHARE: Final = 0.55
"""Fraction of the training pictures with drawn signs, boards and road furniture, which are no objects."""
DRAWN_SIDES: Final = (9.0, 230.0)
"""Limits for the longer side of a drawn thing (in network pixels, log-uniform)."""
MOST_DRAWN: Final = 5
DRAWN_POOL: Final = 3000
"""Different drawn things."""
NEAR_SHARE: Final = 0.45
"""Fraction of the pasted objects next to a drawn thing, or before it; and of the drawn things next to an object."""
MOST_COVERED: Final = 0.3
"""A drawn thing hides at most this fraction of an object's box."""

Target = dict[str, NDArray[Any]]


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of uint8 RGB pictures (batch, size, size, 3) and their targets.

    Batch n of epoch m is the same in every run with the same seed."""

    def __init__(
        self, samples: Sequence[Sample], weights: Sequence[float], *, size: int, batch: int, steps: int, seed: int
    ):
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=8)
        self._samples = list(samples)
        found = cutouts(samples)
        rows = range(len(PASTED_CLASSES))
        self._cutouts = [[(sample, row) for sample, row in found if sample.classes[row] == name] for name in rows]
        self._chances = np.asarray(weights, np.float64) / np.sum(weights)
        self._size, self._batch, self._steps, self._seed, self._epoch = size, batch, steps, seed, 0

    def __len__(self) -> int:
        return self._steps

    def on_epoch_end(self) -> None:
        self._epoch += 1

    def resume_at(self, epoch: int) -> None:
        """Go on with this epoch, after an interruption."""
        self._epoch = epoch

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], Target]:
        rng = np.random.default_rng([self._seed, self._epoch, index])
        made = [self._one(rng) for _ in range(self._batch)]
        targets = {key: np.stack([target[key] for _, target in made]) for key in made[0][1]}
        return np.stack([picture for picture, _ in made]), targets

    def _one(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], Target]:
        canvas = Canvas(self._size)
        if rng.random() < MOSAIC_SHARE:
            middle = rng.uniform(0.3, 0.7, 2) * self._size
            for left, top in ((0, 0), (1, 0), (0, 1), (1, 1)):
                canvas.place(self._drawn(rng), _quarter(self._size, middle, left, top), rng, MOSAIC_LONGER_SIDES)
        else:
            sides = WHOLE_LONGER_SIDES if rng.random() < WHOLE_SHARE else LONGER_SIDES
            canvas.place(self._drawn(rng), (0, 0, self._size, self._size), rng, sides)
        things = int(rng.integers(1, MOST_DRAWN + 1)) if rng.random() < DRAWN_SHARE else 0
        for _ in range(things):
            canvas.cover(_thing(self._seed, int(rng.integers(DRAWN_POOL))), rng)
        if rng.random() < PASTE_SHARE:
            for _ in range(int(rng.integers(1, MOST_PASTED + 1))):
                found = self._cutouts[int(rng.choice(len(PASTED_CLASSES), p=PASTED_CLASSES))]
                if found:
                    canvas.paste(*found[int(rng.integers(len(found)))], rng)
            if things:
                canvas.cover(_thing(self._seed, int(rng.integers(DRAWN_POOL))), rng)
        return recolour(canvas.pixels, rng), canvas.target()

    def _drawn(self, rng: np.random.Generator) -> Sample:
        return self._samples[int(rng.choice(len(self._samples), p=self._chances))]


def _quarter(size: int, middle: NDArray[np.float64], left: int, top: int) -> tuple[int, int, int, int]:
    x, y = int(middle[0]), int(middle[1])
    return (x if left else 0, y if top else 0, size if left else x, size if top else y)


@lru_cache(maxsize=DRAWN_POOL)
def _thing(seed: int, number: int) -> Drawn:
    return draw(np.random.default_rng([seed, number]))


class Canvas:
    """A square training picture under construction, with the objects placed so far."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.pixels = np.full((size, size, 3), 114, np.uint8)
        self._boxes: list[NDArray[np.float32]] = []
        self._classes: list[int] = []
        self._masks: list[NDArray[np.uint8] | None] = []
        self._ignore: list[NDArray[np.float32]] = []
        self._drawn: list[NDArray[np.float32]] = []

    def place(
        self, sample: Sample, window: tuple[int, int, int, int], rng: np.random.Generator, sides: tuple[float, float]
    ) -> None:
        """Draw a random part of the sample into the window (x0, y0, x1, y1). The longer side of the whole sample is
        scaled to a random length within `sides`, in pixels."""
        source = sample.pixels()
        height, width = source.shape[:2]
        factor = _between(rng, sides) / max(height, width)
        aspect = math.exp(rng.uniform(-0.1, 0.1))
        scale = np.array([factor * aspect, factor / aspect])
        mirror = rng.random() < 0.5
        x0, y0, x1, y1 = window
        room = np.array([x1 - x0, y1 - y0]) - np.array([width, height]) * scale  # negative: the sample is larger
        shift = np.array([x0, y0]) + room * rng.random(2)
        matrix = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]], np.float64)
        if mirror:
            matrix[0] = [-scale[0], 0, shift[0] + width * scale[0]]
        # OpenCV's warp has pixel centres at integer coordinates.
        warp = matrix.copy()
        warp[:, 2] += warp[:, :2] @ [0.5, 0.5] - 0.5
        if factor < 0.6:
            side = round(0.8 / factor)
            source = np.asarray(cv2.blur(source, (side, side)), np.uint8)
        drawn = cv2.warpAffine(
            source, warp, (self.size, self.size), flags=cv2.INTER_LINEAR, borderValue=(114, 114, 114)
        )
        self.pixels[y0:y1, x0:x1] = drawn[y0:y1, x0:x1]
        self._add(sample, matrix, np.array([x0, y0, x1, y1], np.float32))

    def paste(self, sample: Sample, row: int, rng: np.random.Generator) -> None:
        """Draw one object of a sample, small, at a random position, unless it would overlap another object."""
        box = sample.boxes[row]
        factor = _between(rng, PASTED_SIDES) / float((box[2:] - box[:2]).max())
        scale = np.array([factor if rng.random() < 0.5 else -factor, factor])
        sides = (box[2:] - box[:2]) * factor
        corner = self._corner(sides, self._drawn, rng)
        target = np.concatenate([corner, corner + sides]).astype(np.float32)
        others = np.array(self._boxes + self._ignore, np.float32).reshape(-1, 4)
        if sides.min() < SMALLEST_SIDE or _touch(target, others):
            return
        start = box[[0 if scale[0] > 0 else 2, 1]]
        matrix = np.concatenate([np.diag(scale), (corner - start * scale)[:, None]], axis=1)
        x0, y0, x1, y1 = (int(v) for v in (*np.floor(target[:2]), *np.ceil(target[2:]) + 1))
        cut, alpha = _cut_out(sample, row, matrix - [[0, 0, x0], [0, 0, y0]], (x1 - x0, y1 - y0))
        part = self.pixels[y0:y1, x0:x1]
        if rng.random() < HAZY_SHARE:
            cut = _hazy(cut, float(part.mean()), rng)
        alpha = alpha[: part.shape[0], : part.shape[1], None]
        self.pixels[y0:y1, x0:x1] = (part * (1 - alpha) + cut[: part.shape[0], : part.shape[1]] * alpha).astype(
            np.uint8
        )
        whole = np.array([0, 0, self.size, self.size], np.float32)
        self._boxes.append(target)
        self._classes.append(int(sample.classes[row]))
        self._masks.append(self._mask(sample.polygons[row], matrix, whole))

    def cover(self, thing: Drawn, rng: np.random.Generator) -> None:
        """Draw a thing that is no object, at a random size and position, unless it would hide much of an object."""
        height, width = thing.alpha.shape
        factor = _between(rng, DRAWN_SIDES) / max(height, width)
        wide, high = max(round(width * factor), 1), max(round(height * factor), 1)
        if max(wide, high) >= self.size or min(wide, high) < 2:
            return
        sides = np.array([wide, high], np.float64)
        x, y = (int(v) for v in self._corner(sides, self._boxes, rng))
        alpha = np.asarray(cv2.resize(thing.alpha, (wide, high), interpolation=cv2.INTER_AREA), np.float32)
        if any(_hidden(alpha, x, y, box) > MOST_COVERED for box in self._boxes):
            return
        pixels = np.asarray(cv2.resize(thing.pixels, (wide, high), interpolation=cv2.INTER_AREA), np.uint8)
        part = self.pixels[y : y + high, x : x + wide]
        if rng.random() < HAZY_SHARE:
            pixels = _hazy(pixels, float(part.mean()), rng)
        if (blur := rng.uniform(0, 1.2)) > 0.4:
            pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), blur), np.uint8)
            alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), blur), np.float32)
        part[:] = (part * (1 - alpha[..., None]) + pixels * alpha[..., None]).astype(np.uint8)
        self._drawn.append(np.array([x, y, x + wide, y + high], np.float32))

    def _corner(
        self, sides: NDArray[np.float64], others: Sequence[NDArray[np.float32]], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """The upper left corner of a new thing: anywhere, or next to one of the others."""
        room = self.size - sides
        if not others or rng.random() >= NEAR_SHARE:
            return np.asarray(rng.random(2) * room)
        box = others[int(rng.integers(len(others)))]
        low, high = box[:2] - 1.2 * sides, box[2:] + 0.2 * sides
        return np.clip(low + rng.random(2) * (high - low), 0, np.maximum(room, 0))

    def _add(self, sample: Sample, matrix: NDArray[np.float64], window: NDArray[np.float32]) -> None:
        for box, name, outlines in zip(sample.boxes, sample.classes, sample.polygons, strict=True):
            whole = _moved_box(box, matrix)
            seen = _clipped(whole, window)
            sides = seen[2:] - seen[:2]
            if sides.min() <= 0:
                continue
            share = sides.prod() / max((whole[2:] - whole[:2]).prod(), 1e-6)
            if sides.min() < SMALLEST_SIDE or share < VISIBLE_SHARE:
                self._ignore.append(seen)
                continue
            mask = self._mask(outlines, matrix, window) if outlines else None
            self._boxes.append(seen)
            self._classes.append(int(name))
            self._masks.append(mask)
        for box in sample.ignore:
            seen = _clipped(_moved_box(box, matrix), window)
            if (seen[2:] - seen[:2]).min() > 0:
                self._ignore.append(seen)

    def _mask(
        self, outlines: Sequence[NDArray[np.float32]], matrix: NDArray[np.float64], window: NDArray[np.float32]
    ) -> NDArray[np.uint8]:
        """Cells of the prototype grid that the object touches."""
        side = self.size // PROTOTYPE_STRIDE
        mask = np.zeros((side, side), np.uint8)
        fine = 16  # fillPoly takes fixed-point numbers: 4 bits after the point
        points = [((o @ matrix[:, :2].T + matrix[:, 2]) / PROTOTYPE_STRIDE - 0.5) * fine for o in outlines]
        cv2.fillPoly(mask, [np.round(p).astype(np.int32) for p in points], 1, shift=4)
        x0, y0, x1, y1 = (window / PROTOTYPE_STRIDE).astype(int)
        inside = np.zeros_like(mask)
        inside[y0 : y1 + 1, x0 : x1 + 1] = 1
        return mask * inside

    def target(self) -> Target:
        """Fixed shapes: boxes (MAX_OBJECTS, 4), classes (-1: none), masks (MAX_OBJECTS, size/4, size/4), has_mask
        (MAX_OBJECTS,), ignore (MAX_IGNORED, 4)."""
        side = self.size // PROTOTYPE_STRIDE
        boxes = np.zeros((MAX_OBJECTS, 4), np.float32)
        classes = np.full(MAX_OBJECTS, -1, np.int32)
        masks = np.zeros((MAX_OBJECTS, side, side), np.uint8)
        has_mask = np.zeros(MAX_OBJECTS, np.float32)
        ignore = np.zeros((MAX_IGNORED, 4), np.float32)
        # The largest objects become targets; the loss ignores the rest.
        order = sorted(range(len(self._boxes)), key=lambda i: -float((self._boxes[i][2:] - self._boxes[i][:2]).prod()))
        for row, index in enumerate(order[:MAX_OBJECTS]):
            boxes[row], classes[row], mask = self._boxes[index], self._classes[index], self._masks[index]
            if mask is not None:
                masks[row], has_mask[row] = mask, 1.0
        left_out = [self._boxes[index] for index in order[MAX_OBJECTS:]] + self._ignore
        for row, box in enumerate(left_out[:MAX_IGNORED]):
            ignore[row] = box
        return {"boxes": boxes, "classes": classes, "masks": masks, "has_mask": has_mask, "ignore": ignore}


def cutouts(samples: Sequence[Sample]) -> list[tuple[Sample, int]]:
    """Objects that can be pasted elsewhere: with outlines, not small, and not cut by their picture's edge."""
    found = []
    for sample in samples:
        if not any(sample.polygons):
            continue
        height, width = sample.pixels().shape[:2]
        for row, box in enumerate(sample.boxes):
            inside = box[:2].min() > 1 and box[2] < width - 1 and box[3] < height - 1
            if sample.polygons[row] and inside and (box[2:] - box[:2]).min() >= 24:
                found.append((sample, row))
    return found


def _cut_out(
    sample: Sample, row: int, matrix: NDArray[np.float64], size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The scaled object with its surroundings (height, width, 3), and the object's coverage of each pixel (0 to 1)."""
    x0, y0, x1, y1 = (int(v) for v in sample.boxes[row])
    cut = sample.pixels()[y0 : y1 + 2, x0 : x1 + 2]
    mask = np.zeros(cut.shape[:2], np.float32)
    cv2.fillPoly(mask, [np.round(o - [x0, y0]).astype(np.int32) for o in sample.polygons[row]], 1.0)
    factor = abs(matrix[0, 0])
    if factor < 0.6:
        side = round(0.8 / factor)
        cut = np.asarray(cv2.blur(cut, (side, side)), np.uint8)
        mask = np.asarray(cv2.blur(mask, (side, side)), np.float32)
    warp = matrix.copy()
    warp[:, 2] += warp[:, :2] @ [x0 + 0.5, y0 + 0.5] - 0.5
    return (
        np.asarray(cv2.warpAffine(cut, warp, size, borderMode=cv2.BORDER_REPLICATE), np.uint8),
        np.asarray(cv2.warpAffine(mask, warp, size), np.float32),
    )


def _hazy(cut: NDArray[np.uint8], around: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The cutout with less contrast, about as dark as its surroundings (mean level `around`) or darker."""
    out = (cut - cut.mean(axis=(0, 1))) * rng.uniform(0.1, 0.9) + around * rng.uniform(0.35, 1.1)
    return np.asarray(np.clip(out, 0, 255), np.uint8)


def _hidden(alpha: NDArray[np.float32], x: int, y: int, box: NDArray[np.float32]) -> float:
    """The fraction of a box that a thing with its corner at (x, y) hides."""
    x0, y0, x1, y1 = (int(max(v, 0)) for v in (box - [x, y, x, y]))
    return float(alpha[y0:y1, x0:x1].sum()) / max(float((box[2:] - box[:2]).prod()), 1.0)


def _between(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    """A random number between the limits, log-uniform."""
    return math.exp(rng.uniform(math.log(limits[0]), math.log(limits[1])))


def _touch(box: NDArray[np.float32], others: NDArray[np.float32]) -> bool:
    """Whether a box overlaps any of the others (n, 4)."""
    return bool(np.any(np.all((box[:2] < others[:, 2:]) & (others[:, :2] < box[2:]), axis=1)))


def _moved_box(box: NDArray[np.float32], matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    corners = box.reshape(2, 2) @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)]).astype(np.float32)


def _clipped(box: NDArray[np.float32], window: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([np.maximum(box[:2], window[:2]), np.minimum(box[2:], window[2:])])


def recolour(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Random hue, saturation, brightness, contrast and gamma, sometimes blur, noise, JPEG compression or no colour:
    other cameras, light and weather."""
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
    values = np.arange(256)
    shift, saturation = rng.integers(-6, 7), 1 + rng.uniform(-0.6, 0.5)
    if rng.random() < 0.05:
        saturation = 0.0
    gain, gamma = 1 + rng.uniform(-0.35, 0.35), math.exp(rng.uniform(-0.6, 0.6)) if rng.random() < 0.4 else 1.0
    contrast = rng.uniform(0.4, 1.0) if rng.random() < 0.2 else 1.0
    bright = (values / 255) ** gamma * 255 * gain
    tables = [(values + shift) % 180, values * saturation, (bright - 110) * contrast + 110]
    table = np.stack([np.clip(t, 0, 255) for t in tables], axis=-1).astype(np.uint8)[None]
    out = np.asarray(cv2.cvtColor(cv2.LUT(hsv, table), cv2.COLOR_HSV2RGB), np.uint8)
    if rng.random() < 0.15:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), rng.uniform(0.5, 1.6)), np.uint8)
    if rng.random() < 0.1:
        noise = rng.normal(0, rng.uniform(3, 12), out.shape).astype(np.float32)
        out = np.clip(out + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        _, data = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 85))])
        out = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return out
