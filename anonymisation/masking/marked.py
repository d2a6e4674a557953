"""Writing to the marked pixels of part of a picture, in place, with OpenCV.

OpenCV writes into a view where it can. Should it ever work on a copy instead, nothing may stay as it was: the result is
put there all the same.
"""

from __future__ import annotations

import cv2  # noqa: TID253 - one of the modules that use it
import numpy as np
from numpy.typing import NDArray


def copy_marked(pixels: NDArray[np.uint8], marked: NDArray[np.bool_], target: NDArray[np.uint8]) -> None:
    """Copy `pixels` to `target`, both (h, w) or (h, w, 3), where `marked` (h, w) is set."""
    _keep(cv2.copyTo(pixels, marked.view(np.uint8), target), target)


def fill_marked(levels: tuple[int, ...], marked: NDArray[np.bool_], target: NDArray[np.uint8]) -> None:
    """Set the levels, one per channel, in `target`, (h, w) or (h, w, 3), where `marked` (h, w) is set."""
    where = marked.view(np.uint8)
    _keep(cv2.subtract(target, target, dst=target, mask=where), target)
    _keep(cv2.add(target, (*levels, 0), dst=target, mask=where), target)


def _keep(written: object, target: NDArray[np.uint8]) -> None:
    put = np.asarray(written, np.uint8)
    if not np.may_share_memory(put, target):
        target[...] = put
