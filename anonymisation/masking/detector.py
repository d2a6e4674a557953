"""The interfaces of models: `Detector` for the pipeline, `BatchModel` for the tiling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from anonymisation.masking.detections import Detections


class Detector(Protocol):
    """Detects everything to hide in one picture of any size."""

    @property
    def identity(self) -> str:
        """The model's name and the first 12 digits of its files' SHA-256, as in "Built-in@1a2b3c4d5e6f"."""
        ...

    def detect(self, pixels: NDArray[np.uint8]) -> Detections:
        """Detections in an upright picture, (H, W, 3) uint8 RGB; the same picture gives the same detections.

        The caller may change the pixels as soon as the method returns, but not before.

        Raises:
            ModelFailedError: the model fails on this picture, or its output is implausible.
            ImageError: the picture cannot be processed for another reason, such as too little memory.
            ModelUnavailableError: the model's outputs are not detections.
        """
        ...


@runtime_checkable
class DoubtfulDetector(Detector, Protocol):
    """A detector that also returns what it is not sure enough of, for measurements."""

    def detect_at(self, pixels: NDArray[np.uint8], levels: Sequence[float]) -> tuple[Detections, ...]:
        """What `detect` returns, and for each of `levels` (0 to 1) what it would return with this one least score for
        all classes, from one pass of the model; raises as `detect`."""
        ...


class BatchModel(Protocol):
    """A network that takes several pictures of one size at once."""

    @property
    def max_batch(self) -> int:
        """The most pictures that one call of `predict` accepts, at least 1."""
        ...

    @property
    def max_detections(self) -> int | None:
        """The most detections that the model returns for one picture (None: unknown); at this number, it may have
        missed some."""
        ...

    def predict(self, batch: NDArray[np.uint8]) -> list[Detections]:
        """Detections per picture of a batch (B, H, W, 3) uint8 RGB, B from 1 to `max_batch`; raises as `detect`."""
        ...
