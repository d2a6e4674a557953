"""Runs a detector over annotated pictures, one at a time, and keeps only counts and run lengths of each."""

from __future__ import annotations

import heapq
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anonymisation.core.errors import ImageError
from anonymisation.evaluation.classes import ALL_SIZES, PERSON, VEHICLE
from anonymisation.evaluation.curve import Curve, CurveTally, thresholds_around
from anonymisation.evaluation.precision import Precision, PrecisionTally, found_objects
from anonymisation.evaluation.reading import oriented, read_stored
from anonymisation.evaluation.tally import Figures, Tally, count
from anonymisation.evaluation.truth import AnnotatedPicture, Failure, Mask, Rle, Source, Truth
from anonymisation.imaging.jpeg.codec import to_upright
from anonymisation.masking.detections import Detections
from anonymisation.masking.detector import Detector, DoubtfulDetector
from anonymisation.masking.fixed_regions import FixedRegions
from anonymisation.masking.geometry import union
from anonymisation.masking.labels import CLASSES
from anonymisation.masking.panoramas.search import detect, detect_at
from anonymisation.masking.panoramas.sphere import Sphere

SphereOf = Callable[[tuple[int, int], Mapping[str, float | str] | None], Sphere | None]
"""From the size (height, width) of an upright picture and GPano's properties to its sphere, None if it is flat."""
RegionsOf = Callable[[str, str | None], FixedRegions]
"""From a picture's folder and its camera's name in EXIF (None: none) to the camera's fixed regions."""
_IDS: Final = {kind.label: kind.coco_id for kind in CLASSES}


@dataclass(frozen=True, slots=True)
class MeasuredPicture:
    """The main figures of one picture, small enough for a hundred thousand pictures.

    `precision` is None unless it is computed per picture; `seconds` is the time of the detector.
    """

    name: str
    person: Tally
    vehicle: Tally
    sought: Tally
    clean: Tally
    anything_hidden: bool
    seconds: float
    precision: Precision | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A picture for the contact sheet, with the masks of its figures."""

    picture: AnnotatedPicture
    figures: Figures
    hidden: Rle
    hidden_as_labelled: Rle


@dataclass(slots=True)
class Evaluation:
    """All figures. `precision` covers all pictures; it is None unless they were accumulated. `curve` is None unless it
    was asked for."""

    model: str
    dilation: int
    source: Source
    figures: Figures = field(default_factory=Figures)
    pictures: list[MeasuredPicture] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    precision: Precision | None = None
    curve: Curve | None = None
    misses: list[Example] = field(default_factory=list)
    false_finds: list[Example] = field(default_factory=list)

    @property
    def seconds(self) -> float | None:
        """The detector's time per picture: the median, because the first picture includes the start."""
        return statistics.median(picture.seconds for picture in self.pictures) if self.pictures else None


def evaluate(
    detector: Detector,
    source: Source,
    *,
    dilation: int,
    accumulate: bool = False,
    worst: int = 0,
    curve_around: float | None = None,
    sphere: SphereOf | None = None,
    regions: RegionsOf | None = None,
    on_picture: Callable[[MeasuredPicture | Failure], None] | None = None,
) -> Evaluation:
    """Detect on every picture of `source`, as the chain does, and count.

    Args:
        detector: any model of the package.
        source: pictures and their annotations.
        dilation: pixels by which every mask is widened before pixels are counted. AP judges the model's masks,
            without dilation.
        accumulate: compute COCO's AP once over all pictures instead of for each.
        worst: keep so many pictures with the most missed pixels, and so many with the most clean pixels hidden.
        curve_around: `score_threshold` in force; count also what other thresholds would hide. The detector must be a
            `DoubtfulDetector` that was loaded with its doubtful detections.
        sphere: the sphere of each picture; None: all are flat.
        regions: the fixed regions of each picture, by its folder below `source.images`; None: there are none.
        on_picture: called with the outcome of every picture.

    Raises:
        ModelUnavailableError: the model's output is not detections.
    """
    result = Evaluation(detector.identity, dilation, source, failures=list(source.failures))
    precision = PrecisionTally(source.labels) if source.kind == "coco" and accumulate else None
    curve = None if curve_around is None else CurveTally(thresholds_around(curve_around))
    misses, false_finds = _Worst(worst), _Worst(worst)
    for picture in source.pictures:
        outcome: MeasuredPicture | Failure
        try:
            measured = _Measured(picture, detector, dilation, source.labels, curve, sphere, regions)
        except ImageError as error:
            outcome = Failure(picture.name, str(error))
            result.failures.append(outcome)
        else:
            outcome = measured.result(precision, apart=source.kind == "coco" and not accumulate)
            result.figures.add(measured.figures)
            result.pictures.append(outcome)
            misses.offer(outcome.sought.missed, measured)
            false_finds.offer(outcome.clean.hidden, measured)
        if on_picture is not None:
            on_picture(outcome)
    result.precision = precision.result() if precision is not None else None
    if curve is not None and curve_around is not None:
        result.curve = curve.result(curve_around, result.figures)
    result.misses, result.false_finds = misses.examples(), false_finds.examples()
    return result


class _Measured:
    """One picture with its detections and figures."""

    def __init__(
        self,
        picture: AnnotatedPicture,
        detector: Detector,
        dilation: int,
        labels: frozenset[str],
        curve: CurveTally | None = None,
        sphere: SphereOf | None = None,
        regions: RegionsOf | None = None,
    ) -> None:
        stored = read_stored(picture)
        pixels, self._turn = oriented(picture, stored.pixels, stored.orientation)
        self.height, self.width = pixels.shape[:2]
        self.picture = picture
        self._labels, self._dilation = labels, dilation
        self.truth: Truth = picture.truth(self.height, self.width)
        upright = to_upright(stored.pixels, stored.orientation)
        size = upright.shape[0], upright.shape[1]
        own = None if sphere is None else sphere(size, stored.gpano)
        folder = str(PurePosixPath(picture.name).parent)
        self._fixed = FixedRegions() if regions is None else regions(folder, stored.camera)
        started = time.perf_counter()
        found, *found_at = _detect(detector, upright, own, () if curve is None else curve.thresholds)
        self.seconds = time.perf_counter() - started
        found = self._fixed.searched(found, *size)
        self.detections = found.to_stored(self._turn)
        self.hidden, self.hidden_as_labelled = self._hides(found)
        self.figures = count(self.truth, self.hidden, self.hidden_as_labelled)
        if curve is not None:
            curve.add(self.truth, found_at, lambda at: self._hides(self._fixed.searched(at, *size)))

    def result(self, precision: PrecisionTally | None, *, apart: bool) -> MeasuredPicture:
        """The picture's figures. Adds the picture to `precision`, or with `apart` computes a precision of its own."""
        own = PrecisionTally(self._labels) if apart else precision
        if own is not None:
            own.add(self.truth, found_objects(self.detections, self.height, self.width))
        alone = own.result() if apart and own is not None else None
        figures = self.figures
        return MeasuredPicture(
            self.picture.name,
            person=figures.pixels.get((PERSON, ALL_SIZES), Tally()),
            vehicle=figures.pixels.get((VEHICLE, ALL_SIZES), Tally()),
            sought=figures.sought,
            clean=figures.clean,
            anything_hidden=bool(self.hidden.any()),
            seconds=self.seconds,
            precision=alone,
        )

    def example(self) -> Example:
        """The picture for the contact sheet."""
        return Example(self.picture, self.figures, Rle.of(self.hidden), Rle.of(self.hidden_as_labelled))

    def _hides(self, found: Detections) -> tuple[Mask, Mask]:
        """The pixels (H, W) that detections in the upright picture and the fixed regions hide: all, and those hidden as
        the annotated classes."""
        marked = self._fixed.with_hidden(found).to_stored(self._turn)
        hidden = self._union(marked)
        which = np.isin(marked.classes, [_IDS[label] for label in self._labels])
        return hidden, hidden if which.all() else self._union(marked.rows(which))

    def _union(self, detections: Detections) -> Mask:
        return np.asfortranarray(union(detections, self.height, self.width, self._dilation))


def _detect(
    detector: Detector, pixels: NDArray[np.uint8], sphere: Sphere | None, levels: Sequence[float]
) -> tuple[Detections, ...]:
    """The detections, and those at each of the levels."""
    if not levels:
        return (detect(detector, pixels, sphere),)
    if not isinstance(detector, DoubtfulDetector):
        raise TypeError(f"expected a detector with doubtful detections, got {type(detector).__name__}")
    return detect_at(detector, pixels, sphere, levels)


class _Worst:
    """The `size` pictures with the largest numbers of pixels."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[tuple[int, int, Example]] = []
        self._seen = 0

    def offer(self, pixels: int, measured: _Measured) -> None:
        """Keep the picture if it is among the worst so far; pictures without any such pixel are never kept."""
        self._seen += 1
        if not pixels or not self._size or (len(self._heap) == self._size and pixels <= self._heap[0][0]):
            return
        entry = (
            pixels,
            -self._seen,
            measured.example(),
        )  # equals keep their order; examples are never compared
        (heapq.heappushpop if len(self._heap) == self._size else heapq.heappush)(self._heap, entry)

    def examples(self) -> list[Example]:
        """Worst first."""
        return [example for _, _, example in sorted(self._heap, key=lambda entry: entry[:2], reverse=True)]
