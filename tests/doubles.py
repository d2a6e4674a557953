"""Designed stand-ins at the boundaries, for the tests of every room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anonymisation.masking.detections import Detections


@dataclass(frozen=True, slots=True)
class ScriptedDetector:
    """A detector that gives what the test says: the same for every picture, or a function of its pixels."""

    detections_for: Callable[[NDArray[np.uint8]], Detections] | Detections
    identity: str = "Scripted@000000000000"

    def detect(self, pixels: NDArray[np.uint8]) -> Detections:
        """The scripted detections for an upright (H, W, 3) uint8 RGB picture."""
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ValueError(f"expected uint8 (H, W, 3), got {pixels.dtype} {pixels.shape}")
        if isinstance(self.detections_for, Detections):
            return self.detections_for
        return self.detections_for(pixels)
