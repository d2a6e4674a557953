"""Attack (b): who knows everything but the text or the face, and has the product, tries every candidate.

The attacker hides each candidate with the product, under fresh noise of the camera, and takes the one whose outcome is
nearest to what was published: in the hidden region and in a ring around it, where blocks are coded again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import cv2  # noqa: TID253 - it dilates
import numpy as np
from numpy.typing import NDArray

from anonymisation.imaging.jpeg.codec import Frame
from tests.privacy.publishing import DILATION, QUALITY, Hide, Pixels, camera_frame, photographed, publish
from tests.privacy.scenes import Candidates

CANDIDATES: Final = 10
RING: Final = 16  # pixels: the side of a coded unit with subsampled colours

MakeCandidates = Callable[[np.random.Generator, int], Candidates]
"""Makes a scene with so many candidates."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How often the right candidate was taken.

    Attributes:
        right: of the trials.
        trials: how many there were.
        forms: how many different ways of hiding the candidates there were, on average over the trials.
    """

    right: int
    trials: int
    forms: float

    @property
    def bound(self) -> float:
        """The greatest probability of being right for whom those forms are all that is to be seen."""
        return self.forms / CANDIDATES


@dataclass(frozen=True, slots=True)
class Camera:
    """How the pictures are taken and hidden: JPEG quality, and dilation of the masks in pixels."""

    quality: int = QUALITY
    dilation: int = DILATION


def identify(
    make: MakeCandidates, hides: Mapping[str, Hide], trials: int, seed: int, camera: Camera = Camera()
) -> dict[str, Outcome]:
    """Attack each way of hiding so many times, each time with another scene and other candidates.

    The camera's files are the same for all ways of hiding, which spares time.
    """
    right, forms = dict.fromkeys(hides, 0), dict.fromkeys(hides, 0)
    for trial in range(trials):
        random = np.random.default_rng([seed, trial])
        candidates = make(random, CANDIDATES)
        chosen = int(random.integers(CANDIDATES))
        # First the picture that is published, then those that the attacker takes of the candidates.
        pictures = [candidates.pictures[chosen], *candidates.pictures]
        frames = [camera_frame(photographed(picture, random), camera.quality) for picture in pictures]
        for name, hide in hides.items():
            right[name] += _taken(frames, candidates, hide, camera.dilation, random) == chosen
            forms[name] += number_of_forms(candidates, hide, camera.dilation)
    return {name: Outcome(right[name], trials, forms[name] / trials) for name in hides}


def number_of_forms(candidates: Candidates, hide: Hide, dilation: int = DILATION) -> int:
    """In how many different ways the candidates are hidden, before noise and compression."""
    return len(
        {hide(picture, candidates.detections, dilation, (1, 1)).pixels.tobytes() for picture in candidates.pictures}
    )


def _taken(frames: list[Frame], candidates: Candidates, hide: Hide, dilation: int, random: np.random.Generator) -> int:
    """Which candidate the attacker takes for the one in the first of the pictures."""
    seen, *tried = [publish(frame, candidates.detections, hide, dilation) for frame in frames]
    compared = cv2.dilate(seen.mask.view(np.uint8), np.ones((2 * RING + 1,) * 2, np.uint8))
    return nearest(seen.pixels, [one.pixels for one in tried], np.asarray(compared, np.uint8), random)


def nearest(seen: Pixels, tried: list[Pixels], compared: NDArray[np.uint8], random: np.random.Generator) -> int:
    """Which of the outcomes is nearest to what was seen (least squares); any of them where several are.

    `compared` (H, W) says where they are compared.
    """
    distances = np.array([cv2.norm(seen, one, cv2.NORM_L2SQR, compared) for one in tried])
    return int(random.choice(np.flatnonzero(distances == distances.min())))
