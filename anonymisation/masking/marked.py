"""Write to the marked pixels of a part of a picture, in place, with OpenCV.

OpenCV writes into a view where it can. If it ever returns a copy instead, the copy is written to the view, so that no
pixel stays visible.
"""

from __future__ import annotations

import cv2  # noqa: TID253 - one of the modules that use it
import numpy as np
from numpy.typing import NDArray


def copy_marked(pixels: NDArray[np.uint8], marked: NDArray[np.bool_], target: NDArray[np.uint8]) -> None:
    """Copy `pixels` to `target`, both (h, w) or (h, w, 3), where `marked` (h, w) is set."""
    put = np.asarray(cv2.copyTo(pixels, marked.view(np.uint8), target), np.uint8)
    if not np.may_share_memory(put, target):
        target[...] = put


def fill_marked(levels: tuple[int, ...], marked: NDArray[np.bool_], target: NDArray[np.uint8]) -> None:
    """Set the levels, one per channel, in `target`, (h, w) or (h, w, 3), where `marked` (h, w) is set."""
    content = np.empty(target.shape, np.uint8)
    content[0] = levels if target.ndim == 3 else levels[0]
    content[1:] = content[0]  # whole rows at once, which is fast
    copy_marked(content, marked, target)
