"""COCO's mask AP. pycocotools computes it on run lengths, so memory does not grow with the pictures' size."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from anonymisation.evaluation.truth import Rle, Truth
from anonymisation.masking.detections import Detections
from anonymisation.masking.geometry import patches
from anonymisation.masking.labels import CLASSES, label_of

PRECISION_KEYS: Final = (
    "AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large",
    "AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large",
)  # fmt: skip
"""In the order of COCOeval.stats: mean over IoU .5 to .95 except AP50 and AP75; AR1: with at most 1 detection."""
_REPEATED: Final = 0.5  # an instance with this fraction of its box inside the best one's box shows the same again
_IDS: Final = {kind.label: kind.coco_id for kind in CLASSES}


@dataclass(frozen=True, slots=True)
class Precision:
    """COCO's twelve numbers by the names of `PRECISION_KEYS`, and AP per label; None if nothing is annotated."""

    values: dict[str, float | None]
    per_class: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class FoundObject:
    """One detected object with all its instances."""

    label: str
    score: float
    pixels: Rle


class PrecisionTally:
    """Collects truth and detections picture by picture. `labels`: the classes that are annotated."""

    def __init__(self, labels: Iterable[str]) -> None:
        self._ids = sorted(_IDS[label] for label in labels)
        self._images: list[dict[str, Any]] = []
        self._truths: list[dict[str, Any]] = []
        self._found: list[dict[str, Any]] = []

    def add(self, truth: Truth, objects: Iterable[FoundObject]) -> None:
        """Add a picture. Ignored regions of a known label are crowds: they take any number of detections."""
        image = len(self._images) + 1
        self._images.append({"id": image})
        for region in truth.regions:
            self._append(self._truths, image, region.label, region.pixels, area=region.area, iscrowd=0)
        for label, pixels in truth.ignored:
            if label in _IDS:
                self._append(self._truths, image, label, pixels, area=pixels.area(), iscrowd=1)
        for found in objects:
            area = found.pixels.area()
            self._append(self._found, image, found.label, found.pixels, area=area, score=found.score)

    def result(self) -> Precision:
        """The numbers over all pictures added."""
        if not self._images:  # pycocotools has no result without pictures
            return Precision(dict.fromkeys(PRECISION_KEYS), {label_of(kind): None for kind in self._ids})
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
            evaluation = COCOeval(self._coco(self._truths), self._coco(self._found), "segm")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        values = dict(zip(PRECISION_KEYS, map(_known, evaluation.stats), strict=True))
        precision = evaluation.eval["precision"]  # IoU threshold, recall, class, area range, number of detections
        classes = enumerate(evaluation.params.catIds)
        per_class = {label_of(int(kind)): _mean(precision[:, :, index, 0, -1]) for index, kind in classes}
        return Precision(values, per_class)

    def _append(self, target: list[dict[str, Any]], image: int, label: str, pixels: Rle, **more: Any) -> None:
        if _IDS[label] in self._ids:
            # Numbers start at 1: pycocotools treats a match with number 0 as no match.
            entry = {"id": len(target) + 1, "image_id": image, "category_id": _IDS[label]}
            target.append({**entry, "segmentation": pixels.as_coco(), **more})

    def _coco(self, annotations: list[dict[str, Any]]) -> Any:
        coco = COCO()
        categories = [{"id": number, "name": label_of(number)} for number in self._ids]
        # `annToRLE` needs sizes only for polygons, and there are none.
        images = [{**image, "height": 0, "width": 0} for image in self._images]
        coco.dataset = {"images": images, "annotations": annotations, "categories": categories}
        coco.createIndex()
        return coco


def found_objects(detections: Detections, height: int, width: int) -> Iterator[FoundObject]:
    """The distinct objects with their best score and their pixels, without dilation, in a picture of this size.

    The outline of an object is that of its best instance. Other instances add to it if they lie mostly outside of its
    box: they are other parts of a long object. What lies inside is the same again, seen in another view, or a part such
    as a mirror.
    """
    for number, best in detections.best_instances().items():
        pixels = np.zeros((height, width), np.bool_, order="F")
        for index in np.flatnonzero(detections.objects == number):
            if index != best and _share_inside(detections.boxes[index], detections.boxes[best]) >= _REPEATED:
                continue
            for patch in patches(detections.boxes[index], detections.masks[index], height, width):
                pixels[patch.window] |= patch.marked
        label = label_of(int(detections.classes[best]))
        yield FoundObject(label, float(detections.scores[best]), Rle.of(pixels))


def _share_inside(box: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """The fraction of a box's area inside another box; 1 for a box without area."""
    common = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    area = float(np.prod(box[2:] - box[:2]))
    return float(np.prod(np.maximum(common, 0))) / area if area else 1.0


def _known(value: float) -> float | None:
    return None if value < 0 else float(value)  # pycocotools returns -1 if there is nothing to find


def _mean(values: Any) -> float | None:
    known = values[values > -1]
    return float(known.mean()) if known.size else None
