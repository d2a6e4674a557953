"""Attack (b): an attacker who knows everything but the text or the face, and has the product, tries every candidate.

The attacker hides each candidate with the product, with new camera noise, and picks the one whose result is nearest to
the published picture: in the hidden region and in a ring around it, where blocks are encoded again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import cv2  # noqa: TID253 - dilates masks
import numpy as np
from numpy.typing import NDArray

from anonymisation.imaging.jpeg.codec import Frame
from tests.privacy.publishing import DILATION, QUALITY, Hide, Pixels, camera_frame, photographed, publish
from tests.privacy.scenes import Candidates

CANDIDATES: Final = 10
RING: Final = 16  # pixels: the side of a coded unit with subsampled colours

MakeCandidates = Callable[[np.random.Generator, int], Candidates]
"""Makes a scene with a number of candidates."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The number of times that the right candidate was picked.

    Attributes:
        right: number of successful trials.
        trials: number of trials.
        forms: number of different results of hiding the candidates, on average over the trials.
    """

    right: int
    trials: int
    forms: float

    @property
    def bound(self) -> float:
        """The greatest probability of success for an attacker who sees only the form."""
        return self.forms / CANDIDATES


@dataclass(frozen=True, slots=True)
class Camera:
    """JPEG quality of the camera's pictures, and dilation of the masks in pixels."""

    quality: int = QUALITY
    dilation: int = DILATION


def identify(
    make: MakeCandidates, hides: Mapping[str, Hide], trials: int, seed: int, camera: Camera = Camera()
) -> dict[str, Outcome]:
    """Attack each way of hiding `trials` times, each time with a new scene and new candidates.

    All ways of hiding use the same camera files, to save time.
    """
    right, forms = dict.fromkeys(hides, 0), dict.fromkeys(hides, 0)
    for trial in range(trials):
        random = np.random.default_rng([seed, trial])
        candidates = make(random, CANDIDATES)
        chosen = int(random.integers(CANDIDATES))
        # First the published picture, then the attacker's pictures of the candidates.
        pictures = [candidates.pictures[chosen], *candidates.pictures]
        frames = [camera_frame(photographed(picture, random), camera.quality) for picture in pictures]
        for name, hide in hides.items():
            right[name] += _taken(frames, candidates, hide, camera.dilation, random) == chosen
            forms[name] += number_of_forms(candidates, hide, camera.dilation)
    return {name: Outcome(right[name], trials, forms[name] / trials) for name in hides}


def number_of_forms(candidates: Candidates, hide: Hide, dilation: int = DILATION) -> int:
    """The number of different results of hiding the candidates, before noise and compression."""
    return len(
        {hide(picture, candidates.detections, dilation, (1, 1)).pixels.tobytes() for picture in candidates.pictures}
    )


def _taken(frames: list[Frame], candidates: Candidates, hide: Hide, dilation: int, random: np.random.Generator) -> int:
    """The candidate that the attacker picks for the first picture."""
    seen, *tried = [publish(frame, candidates.detections, hide, dilation) for frame in frames]
    compared = cv2.dilate(seen.mask.view(np.uint8), np.ones((2 * RING + 1,) * 2, np.uint8))
    return nearest(seen.pixels, [one.pixels for one in tried], np.asarray(compared, np.uint8), random)


def nearest(seen: Pixels, tried: list[Pixels], compared: NDArray[np.uint8], random: np.random.Generator) -> int:
    """The index of the result nearest to the published picture (least squares); a random one of several equally near.

    `compared` (H, W) marks the compared pixels.
    """
    distances = np.array([cv2.norm(seen, one, cv2.NORM_L2SQR, compared) for one in tried])
    return int(random.choice(np.flatnonzero(distances == distances.min())))
