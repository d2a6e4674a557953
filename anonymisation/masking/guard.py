"""A model that fails on the first pictures it is shown would fail on a million: a guard stops the work early."""

from __future__ import annotations

import threading
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anonymisation.core.errors import ModelFailedError, ModelUnavailableError
from anonymisation.masking.detections import Detections
from anonymisation.masking.detector import Detector

FIRST_PICTURES: Final = 3
"""A single picture can be at fault, and even two of a kind; a third says that the model is."""


class GuardedDetector:
    """A detector that gives its model up when that fails on the first pictures in a row.

    From the first picture on which it finds something, a picture that fails is no more than that. One without a find
    only begins the row again: a model whose finds are all nonsense succeeds there, too. What says nothing about the
    model, such as too little memory, counts neither way. Safe to call from several threads.
    """

    def __init__(self, inner: Detector) -> None:
        self.inner: Final = inner
        self._lock = threading.Lock()
        self._trusted = False
        self._failures = 0
        self._given_up: str | None = None

    @property
    def identity(self) -> str:
        """The model's name and the first digits of its files' checksum."""
        return self.inner.identity

    def detect(self, pixels: NDArray[np.uint8]) -> Detections:
        """Detections in an upright picture, (H, W, 3) uint8 RGB.

        Raises:
            ImageError: the model cannot process this picture.
            ModelUnavailableError: the model is given up, now or before, or gives something else than detections.
        """
        if self._given_up is not None:
            raise ModelUnavailableError(self._given_up)
        try:
            found = self.inner.detect(pixels)
        except ModelFailedError as error:
            self._count(error)
            raise
        except ModelUnavailableError as error:
            self._given_up = str(error)
            raise
        with self._lock:
            self._trusted = self._trusted or len(found) > 0
            self._failures = 0
        return found

    def _count(self, error: ModelFailedError) -> None:
        with self._lock:
            self._failures += 1
            if self._trusted or self._failures < FIRST_PICTURES:
                return
            self._given_up = (
                f"the model {self.identity} is unusable: it failed on {FIRST_PICTURES} pictures in a row, last: {error}"
            )
        raise ModelUnavailableError(self._given_up) from error
