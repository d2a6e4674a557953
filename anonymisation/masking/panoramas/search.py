"""Detect in a picture: at once, or as a panorama in several looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from anonymisation.masking.detections import Detections
from anonymisation.masking.detector import Detector, DoubtfulDetector
from anonymisation.masking.panoramas.joining import joined
from anonymisation.masking.panoramas.looks import Look, Strip, cutouts, reduced
from anonymisation.masking.panoramas.sphere import Sphere

Pixels = NDArray[np.uint8]


def detect(detector: Detector, pixels: Pixels, sphere: Sphere | None) -> Detections:
    """The detections in an upright picture, (H, W, 3) uint8 RGB; in looks as well if it is a panorama (`sphere`).

    The whole picture is searched as any other. Then come the strip around the seam and the cutouts, see `looks`.
    Masks of a panorama have more samples than those of the model.

    Raises:
        ModelFailedError: see `Detector.detect`, whose other errors may be raised, too.
    """
    whole = detector.detect(pixels)
    if sphere is None:
        return whole
    found = [(look, detector.detect(shown)) for look, shown in _looks(pixels, sphere)]
    return joined(whole, found, (pixels.shape[0], pixels.shape[1]))


def detect_at(
    detector: DoubtfulDetector, pixels: Pixels, sphere: Sphere | None, levels: Sequence[float]
) -> tuple[Detections, ...]:
    """The same for `DoubtfulDetector.detect_at`; raises as `detect`."""
    whole = detector.detect_at(pixels, levels)
    if sphere is None:
        return whole
    found = [(look, detector.detect_at(shown, levels)) for look, shown in _looks(pixels, sphere)]
    result: list[Detections] = []
    for place, own in enumerate(whole):
        parts = [(look, at[place]) for look, at in found]
        if place > 1 and own is whole[place - 1] and all(at[place] is at[place - 1] for _, at in found):
            result.append(result[-1])  # nothing differs, and joining takes long
        else:
            result.append(joined(own, parts, (pixels.shape[0], pixels.shape[1])))
    return tuple(result)


def _looks(pixels: Pixels, sphere: Sphere) -> Iterator[tuple[Look, Pixels]]:
    """Each look with what it shows of the panorama."""
    height, width = pixels.shape[:2]
    if sphere.wraps:
        strip = Strip.around_seam(height, width)
        yield strip, strip.of(pixels)
    views = [*cutouts(sphere, width)]
    if views:
        smaller = reduced(pixels, sphere, views[0].side)
        for view in views:
            yield view, view.of(smaller)
