"""Run a model on several views of a picture, so that small objects in large pictures are detected too."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any, Final

import cv2  # noqa: TID253 - one of the modules that use it
import numpy as np
from numpy.typing import NDArray

from anonymisation.core.concurrency import one_ahead
from anonymisation.core.errors import ImplausibleOutputError
from anonymisation.masking.detections import Detections
from anonymisation.masking.detector import BatchModel
from anonymisation.masking.merging import same_objects, whole_objects
from anonymisation.masking.thresholds import Thresholds
from anonymisation.masking.views import MOST_VIEW_PIXELS, InputForm, Tiles, View, canvases, views_of

# Most views in a batch: larger batches need more memory for intermediate results, but are not faster.
MAX_BATCH: Final = 8


def scaled_down(pixels: NDArray[np.uint8], max_num_pixels: int) -> NDArray[np.uint8]:
    """The picture, scaled down to at most `max_num_pixels` pixels with its aspect kept; unchanged if it has no more."""
    height, width = pixels.shape[:2]
    if height * width <= max_num_pixels:
        return pixels
    factor = math.sqrt(max_num_pixels / (height * width))
    size = (max(1, int(width * factor)), max(1, int(height * factor)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


@dataclass(frozen=True, slots=True)
class TilingDetector:
    """A detector that runs a model on the whole picture and, with `tiles`, on closer views, and merges the results.

    Every instance is kept, except those too long for their view; instances of one object share a number. A view for
    which the model returns as many detections as it can is processed again in halves.

    Attributes:
        model: the model to run.
        identity: the model's name and checksum, as `Detector.identity`.
        max_num_pixels: larger pictures are scaled down; detections are relative to the picture, so they fit any size.
        tiles: size of the closer views; None for none.
        form: the model's input size, if it has one.
        place: copies a batch to the device; the next batch is prepared while the model runs on the current one.
        second_look: from a picture, (H, W, 3) uint8 RGB, to what filters and refines its detections.
        thresholds: the least scores by class and size of whole objects; None: those of the model alone.
    """

    model: BatchModel
    identity: str
    max_num_pixels: int
    tiles: Tiles | None
    form: InputForm | None = None
    place: Callable[[NDArray[np.uint8]], Any] | None = None
    second_look: Callable[[NDArray[np.uint8]], Callable[[Detections], Detections]] | None = None
    thresholds: Thresholds | None = None

    def detect(self, pixels: NDArray[np.uint8]) -> Detections:
        """Detections in an upright picture, (H, W, 3) uint8 RGB.

        Raises:
            ImplausibleOutputError: the model returns masks of several sizes. Also raises the errors of the model.
        """
        shown, found = self._viewed(pixels)
        return self._finished(found, self._look_at(shown), shown.shape, pixels.shape, self.thresholds)

    def detect_at(self, pixels: NDArray[np.uint8], levels: Sequence[float]) -> tuple[Detections, ...]:
        """What `detect` returns, and for each of `levels` what it would return with this one least score (0 to 1) for
        all classes that are hidden; from one pass of the model.

        The model must give what is below `thresholds`. Views are processed again in halves only where `detect` does so.
        Levels with the same detections have the same value.

        Raises:
            ImplausibleOutputError: see `detect`.
        """
        shown, found = self._viewed(pixels)
        look, hidden = self._look_at(shown), None if self.thresholds is None else self.thresholds.hidden
        at_levels: dict[int, Detections] = {}  # by the number of finds: a higher level has some of those of a lower one
        result = [self._finished(found, look, shown.shape, pixels.shape, self.thresholds)]
        for level in levels:
            thresholds = Thresholds(level, hidden=hidden)
            count = sum(len(_sure(part, thresholds)) for _, part in found)
            if count not in at_levels:
                at_levels[count] = self._finished(found, look, shown.shape, pixels.shape, thresholds)
            result.append(at_levels[count])
        return tuple(result)

    def _viewed(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], list[tuple[View, Detections]]]:
        """The picture as the views see it, and what the model gives for each of them."""
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
            raise ValueError(f"pixels: expected uint8 (H, W, 3), got {pixels.dtype} {pixels.shape}")
        pixels = scaled_down(pixels, self.max_num_pixels)
        height, width = pixels.shape[:2]
        found: list[tuple[View, Detections]] = []
        views = views_of(height, width, self.tiles, self.form)
        while views:
            crowded: list[View] = []
            for view, part in self._seen(views, pixels):
                found.append((view, view.within_crop(part)))
                # The model's output is full, so detections may be missing: process the halves of the view too.
                sure = _sure(part, self.thresholds)
                if self.model.max_detections is not None and len(sure) >= self.model.max_detections:
                    crowded.extend(view.halves(self.form))
            views = tuple(crowded)
        self._require_one_mask_size(part for _, part in found)
        return pixels, found

    def _look_at(self, shown: NDArray[np.uint8]) -> Callable[[Detections], Detections]:
        return (lambda found: found) if self.second_look is None else self.second_look(shown)

    def _finished(
        self,
        found: Sequence[tuple[View, Detections]],
        look: Callable[[Detections], Detections],
        shown: tuple[int, ...],
        given: tuple[int, ...],
        thresholds: Thresholds | None,
    ) -> Detections:
        """The detections of all views as objects. `shown` is the size of what the views see, `given` that of the
        picture, in pixels."""
        joined = _joined([(view, _sure(part, thresholds)) for view, part in found], shown[0], shown[1])
        return _counted_once(look(joined if thresholds is None else thresholds.applied(joined, given[0], given[1])))

    def _seen(self, views: Sequence[View], pixels: NDArray[np.uint8]) -> Iterator[tuple[View, Detections]]:
        """Each view with the model's detections on its canvas."""
        shown = canvases(views, pixels)
        batches = [*self._batches(views)]
        made: Iterable[Any] = (np.stack(list(islice(shown, len(batch)))) for batch in batches)
        if self.place is not None:
            made = one_ahead(map(self.place, made))
        for batch, canvas in zip(batches, made, strict=True):
            seen = self.model.predict(canvas)
            yield from zip(batch, seen, strict=True)

    def _require_one_mask_size(self, parts: Iterable[Detections]) -> None:
        sizes = {part.masks.shape[1:] for part in parts if len(part)}
        if len(sizes) > 1:
            form = f"detection_masks of {' and '.join(map(str, sorted(sizes)))}, expected one size in all views"
            raise ImplausibleOutputError(f"the model {self.identity} gives {form}")

    def _batches(self, views: Sequence[View]) -> Iterator[Sequence[View]]:
        """Batches of consecutive views of one size, as large as model and memory allow."""
        for (height, width), group in groupby(views, lambda view: view.shape):
            same = tuple(group)
            size = min(self.model.max_batch, MAX_BATCH)
            if self.form is not None:  # the model does not scale them down
                size = min(size, max(1, MOST_VIEW_PIXELS // (height * width)))
            for start in range(0, len(same), size):
                yield same[start : start + size]


def _sure(part: Detections, thresholds: Thresholds | None) -> Detections:
    return part if thresholds is None else thresholds.above_floors(part)


def _counted_once(found: Detections) -> Detections:
    """The same instances, where those of a part of an object have the object's number."""
    best = found.best_instances()
    if len(best) < 2:
        return found
    boxes, rows = np.stack([*found.object_boxes().values()]).astype(np.float64), [*best.values()]
    whole = whole_objects(boxes, found.classes[rows], found.scores[rows])
    _, place = np.unique(found.objects, return_inverse=True)
    return found.with_objects(whole[place].astype(np.int32))


def _joined(found: Sequence[tuple[View, Detections]], height: int, width: int) -> Detections:
    """The detections of all views in the coordinates of the picture, with one number per object."""
    filled = [(number, part, view.crop) for number, (view, part) in enumerate(found) if len(part)]
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
