"""Runs a detector over annotated pictures, one at a time, and keeps only counts and run lengths of each."""

from __future__ import annotations

import heapq
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anonymisation.core.errors import ImageError
from anonymisation.evaluation.classes import ALL_SIZES, PERSON, VEHICLE
from anonymisation.evaluation.curve import Curve, CurveTally, thresholds_around
from anonymisation.evaluation.precision import Precision, PrecisionTally, found_objects
from anonymisation.evaluation.reading import oriented, read_stored
from anonymisation.evaluation.tally import Figures, Tally, count
from anonymisation.evaluation.truth import AnnotatedPicture, Failure, Rle, Source, Truth
from anonymisation.imaging.jpeg.codec import to_upright
from anonymisation.masking.detections import Detections
from anonymisation.masking.detector import Detector, DoubtfulDetector
from anonymisation.masking.geometry import union
from anonymisation.masking.labels import CLASSES
from anonymisation.masking.panoramas.search import detect, detect_doubtful
from anonymisation.masking.panoramas.sphere import Sphere

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
    sphere: Callable[[tuple[int, int]], Sphere | None] | None = None,
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
        sphere: the sphere of an upright picture of a size (height, width), None if it is flat; None: all are flat.
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
            measured = _Measured(picture, detector, dilation, source.labels, curve, sphere)
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
        sphere: Callable[[tuple[int, int]], Sphere | None] | None = None,
    ) -> None:
        stored, orientation = read_stored(picture)
        pixels, turn = oriented(picture, stored, orientation)
        self.height, self.width = pixels.shape[:2]
        self.picture = picture
        self._labels = labels
        self.truth: Truth = picture.truth(self.height, self.width)
        upright = to_upright(stored, orientation)
        own = None if sphere is None else sphere((upright.shape[0], upright.shape[1]))
        started = time.perf_counter()
        found, doubtful = _detect(detector, upright, own, with_doubtful=curve is not None)
        self.seconds = time.perf_counter() - started
        self.detections = found.to_stored(turn)
        self.hidden = self._union(self.detections, dilation)
        self.hidden_as_labelled = self._hidden_as_labelled(dilation)
        self.figures = count(self.truth, self.hidden, self.hidden_as_labelled)
        if curve is not None and doubtful is not None:
            curve.add(self.truth, doubtful.to_stored(turn), [_IDS[label] for label in labels], dilation)

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

    def _hidden_as_labelled(self, dilation: int) -> NDArray[np.bool_]:
        known = [_IDS[label] for label in self._labels]
        which = np.isin(self.detections.classes, known)
        if which.all():
            return self.hidden
        return self._union(self.detections.rows(which), dilation)

    def _union(self, detections: Detections, dilation: int) -> NDArray[np.bool_]:
        return np.asfortranarray(union(detections, self.height, self.width, dilation))


def _detect(
    detector: Detector, pixels: NDArray[np.uint8], sphere: Sphere | None, *, with_doubtful: bool
) -> tuple[Detections, Detections | None]:
    """The detections, and those of all scores if they are wanted."""
    if not with_doubtful:
        return detect(detector, pixels, sphere), None
    if not isinstance(detector, DoubtfulDetector):
        raise TypeError(f"expected a detector with doubtful detections, got {type(detector).__name__}")
    return detect_doubtful(detector, pixels, sphere)


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
