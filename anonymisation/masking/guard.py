"""Stop early if a model fails on its first pictures, since it will fail on all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from anonymisation.core.errors import ModelFailedError, ModelUnavailableError
from anonymisation.masking.detections import Detections
from anonymisation.masking.detector import Detector, DoubtfulDetector

FIRST_PICTURES: Final = 3
"""One picture can be at fault, or two similar ones; after a third failure, the model is."""

_Found = TypeVar("_Found")


class GuardedDetector:
    """A detector that rejects its model when the model fails on FIRST_PICTURES pictures in a row.

    After the first picture with detections, a failure affects only its picture. A picture without detections only
    resets the count: a model with implausible detections succeeds there, too. Errors that are not the model's fault,
    such as too little memory, do not count. Thread-safe.
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
            ModelUnavailableError: the model is rejected, now or before, or its outputs are not detections.
        """
        return self._guarded(self.inner.detect, pixels, len)

    def detect_at(self, pixels: NDArray[np.uint8], levels: Sequence[float]) -> tuple[Detections, ...]:
        """See `DoubtfulDetector.detect_at`; raises as `detect`."""
        if not isinstance(self.inner, DoubtfulDetector):
            raise TypeError(f"expected a detector that returns doubtful detections, got {type(self.inner).__name__}")
        at_levels = partial(self.inner.detect_at, levels=levels)
        return self._guarded(at_levels, pixels, lambda found: len(found[0]))

    def _guarded(
        self, detect: Callable[[NDArray[np.uint8]], _Found], pixels: NDArray[np.uint8], count: Callable[[_Found], int]
    ) -> _Found:
        if self._given_up is not None:
            raise ModelUnavailableError(self._given_up)
        try:
            found = detect(pixels)
        except ModelFailedError as error:
            self._count(error)
            raise
        except ModelUnavailableError as error:
            self._given_up = str(error)
            raise
        with self._lock:
            self._trusted = self._trusted or count(found) > 0
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
