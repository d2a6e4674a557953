"""Persons to hide: real faces, close up and far away. The photographs come with scikit-image (LFW, 25 × 25 pixels)."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import cv2  # noqa: TID253 - scales faces
import numpy as np
from numpy.typing import NDArray
from skimage import data

from tests.privacy.backgrounds import window
from tests.privacy.scenes import MARGIN, PERSON, Candidates, detections_of
from tests.privacy.vehicles import draw_person

_FACES: Final = 100  # of the 200 pictures, the first hundred are faces
_SKIN: Final = np.array([1.12, 0.98, 0.88], np.float32)
Faces = NDArray[np.float32]
"""(faces, 25, 25), gray levels 0 to 255."""


@functools.cache
def photographs() -> Faces:
    """A hundred faces, each of another person or another picture."""
    return np.asarray(data.lfw_subset()[:_FACES] * 255, np.float32)


@dataclass(frozen=True, slots=True)
class FaceCandidates:
    """Candidates that are one person with different faces; called with a generator and a number of candidates.

    Attributes:
        face: side of the face, in pixels.
        head_only: a face that fills most of the hidden region, like a driver's; otherwise a small one on a whole body.
    """

    face: int
    head_only: bool

    def __call__(self, random: np.random.Generator, number: int) -> Candidates:
        """A person at a random place, and `number` different faces."""
        chosen = random.choice(_FACES, number, replace=False)
        return self.showing([photographs()[index] for index in chosen], random)

    def showing(self, faces: list[NDArray[np.float32]], random: np.random.Generator) -> Candidates:
        """A person with each of the faces."""
        height, width = self._size
        ground = window(random, height + 2 * MARGIN, width + 2 * MARGIN)
        draw_person(ground, MARGIN, MARGIN, height, width, random)
        top, left = MARGIN + self.face // 8, MARGIN + (width - self.face) // 2
        pictures = []
        for face in faces:
            picture = ground.copy()
            picture[top : top + self.face, left : left + self.face] = self._coloured(face)
            pictures.append(picture)
        box = (MARGIN, MARGIN, MARGIN + height, MARGIN + width)
        return Candidates(pictures, detections_of([box], ground.shape, PERSON))

    @property
    def _size(self) -> tuple[int, int]:
        """Height and width of the hidden region."""
        if self.head_only:
            return self.face * 5 // 4, self.face * 5 // 4
        return self.face * 7, self.face * 5 // 2

    def _coloured(self, face: NDArray[np.float32]) -> NDArray[np.uint8]:
        large = cv2.resize(face, (self.face, self.face), interpolation=cv2.INTER_CUBIC)
        return (large[..., None] * _SKIN).clip(0, 255).astype(np.uint8)
