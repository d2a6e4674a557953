"""Detect in a picture: at once, or as a panorama in several looks."""

from __future__ import annotations

from collections.abc import Iterator

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
    return joined(whole, found, (pixels.shape[0], pixels.shape[1]), wraps=sphere.wraps)


def detect_doubtful(detector: DoubtfulDetector, pixels: Pixels, sphere: Sphere | None) -> tuple[Detections, Detections]:
    """The same for `DoubtfulDetector.detect_doubtful`; raises as `detect`."""
    whole = detector.detect_doubtful(pixels)
    if sphere is None:
        return whole
    found = [(look, detector.detect_doubtful(shown)) for look, shown in _looks(pixels, sphere)]
    size = pixels.shape[0], pixels.shape[1]
    sure, doubtful = (
        joined(whole[part], [(look, pair[part]) for look, pair in found], size, wraps=sphere.wraps) for part in (0, 1)
    )
    return sure, doubtful


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
