"""What people look at when they judge a difference: the original around the region, with the region framed."""

from __future__ import annotations

from typing import Final

from PIL import Image, ImageDraw

from anonymisation.review.comparison.study import Region, Study
from anonymisation.review.images import NotShownError, Size, to_webp, upright_original
from anonymisation.review.rows import Row
from anonymisation.workspace.workspace import Workspace

_AROUND: Final = 1.5  # times the longer side of the region, on each side: enough to see what it belongs to
_LEAST: Final = 0.12  # of the longer side of the picture: a small region is enlarged no further
_SIDE: Final = 1000  # pixels of the longer side that is shown
_FRAME: Final = (255, 90, 209)


def framed(workspace: Workspace, study: Study, region: Region, row: Row | None) -> bytes:
    """The original around the region as WebP, with the region framed. Shows what is hidden in the published picture.

    Raises:
        NotShownError: the original is not at hand, or the state does not know the picture any more.
    """
    picture = study.pictures[region.picture]
    if row is None:
        raise NotShownError("there is no such picture any more")
    upright = upright_original(workspace, picture.folder, row, Size.REVIEW).convert("RGB")
    width, height = upright.size
    top, left, bottom, right = region.difference.box
    box = (left * width, top * height, right * width, bottom * height)
    window = _window(box, upright.size)
    scale = _SIDE / max(window[2] - window[0], window[3] - window[1])
    shown = upright.crop(window)
    shown = shown.resize((round(shown.width * scale), round(shown.height * scale)), Image.Resampling.LANCZOS)
    corners = [(edge - window[at % 2]) * scale for at, edge in enumerate(box)]
    ImageDraw.Draw(shown).rectangle(tuple(corners), outline=_FRAME, width=3)
    return to_webp(shown)


def _window(box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the part of the picture that is shown."""
    half = max(box[2] - box[0], box[3] - box[1]) * (0.5 + _AROUND)
    half = max(half, _LEAST * max(size) / 2)
    across, down = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    left, top = max(0, int(across - half)), max(0, int(down - half))
    return left, top, min(size[0], int(across + half) + 1), min(size[1], int(down + half) + 1)
