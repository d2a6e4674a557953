"""The interfaces of models: `Detector` for the pipeline, `BatchModel` for the tiling."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from anonymisation.masking.detections import Detections


class Detector(Protocol):
    """Finds everything to hide in one picture of any size."""

    @property
    def identity(self) -> str:
        """The model's name and the first 12 digits of its files' SHA-256, as in "Built-in@1a2b3c4d5e6f"."""
        ...

    def detect(self, pixels: NDArray[np.uint8]) -> Detections:
        """Detections in an upright picture, (H, W, 3) uint8 RGB; the same picture gives the same detections.

        The pixels stay as they are until it returns, and not longer.

        Raises:
            ModelFailedError: the model fails on this picture, or gives numbers that cannot be true.
            ImageError: the picture cannot be processed for another reason, such as too little memory.
            ModelUnavailableError: the model gives something else than detections.
        """
        ...


class BatchModel(Protocol):
    """A network that takes several pictures of one size at once."""

    @property
    def max_batch(self) -> int:
        """How many pictures one call of `predict` may carry, at least 1."""
        ...

    @property
    def max_detections(self) -> int | None:
        """How many detections one picture can have (None: not known); what has as many may hold more."""
        ...

    def predict(self, batch: NDArray[np.uint8]) -> list[Detections]:
        """Detections per picture of a batch (B, H, W, 3) uint8 RGB, B from 1 to `max_batch`; raises as `detect`."""
        ...
