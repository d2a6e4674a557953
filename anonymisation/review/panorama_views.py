"""Views of a masked panorama for the review pages: what is bent in the whole picture looks usual in them.

They are the looks that the model had at the picture (`masking.panoramas.looks`), made from the masked picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from anonymisation.masking.panoramas.sphere import Sphere
from anonymisation.review.copies import copy_path, keep_copy, read_copy
from anonymisation.review.images import NotShownError, Size, masked_file, shape_of, to_webp, upright_masked
from anonymisation.review.rows import Row
from anonymisation.workspace.folder_state import FileStamp
from anonymisation.workspace.workspace import Workspace

if TYPE_CHECKING:
    from anonymisation.masking.panoramas.looks import Cutout, Strip

_FIRST_COPY: Final = 10_000  # views are kept next to copies of the whole picture, whose numbers are sides in pixels


def names(sphere: Sphere | None) -> list[str]:
    """What people call the views of a picture, in their order; none if it is flat."""
    return [] if sphere is None else [view.name for view in _views(sphere, Size.REVIEW.value // 2, Size.REVIEW.value)]


def view(workspace: Workspace, folder: str, row: Row, number: int) -> bytes:
    """One view of the masked picture as WebP, by its place among `names`; made once and cached in the state folder.

    Raises:
        NotShownError: see `images.masked_picture`; or the picture has no such view.
    """
    path = masked_file(workspace, folder, row)
    sphere = shape_of(workspace, folder, row).sphere
    if not 0 <= number < len(names(sphere)) or sphere is None:
        raise NotShownError("the picture has no such view")
    place = copy_path(workspace.shares.state, folder, row.key, _FIRST_COPY + number, FileStamp.of(path))
    kept = read_copy(place)
    if kept is not None:
        return kept
    panorama = np.asarray(upright_masked(workspace, folder, row, Size.REVIEW).convert("RGB"))
    shown = _views(sphere, panorama.shape[0], panorama.shape[1])[number].of(panorama)
    made = to_webp(Image.fromarray(shown))
    keep_copy(place, made)
    return made


def _views(sphere: Sphere, height: int, width: int) -> list[Cutout | Strip]:
    # Imports OpenCV, which pages of flat pictures do not need.
    from anonymisation.masking.panoramas.looks import Strip, cutouts

    seam = [Strip.around_seam(height, width)] if sphere.wraps else []
    return [*seam, *cutouts(sphere, width)]
