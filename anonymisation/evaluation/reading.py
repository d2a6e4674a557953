"""Reading annotated pictures, in the orientation of their annotations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anonymisation.core.errors import ImageError
from anonymisation.core.settings import JPEG_SIDE
from anonymisation.evaluation.truth import AnnotatedPicture
from anonymisation.files.plain import read_plain
from anonymisation.imaging.exif.read import read_exif
from anonymisation.imaging.jpeg.codec import decode_jpeg, to_upright


@dataclass(frozen=True, slots=True, eq=False)
class StoredPicture:
    """A picture as its file stores it: `pixels` (H, W, 3) uint8 RGB, the EXIF `orientation`, 1 to 8, EXIF's name of the
    `camera` (None: none), and GPano's properties by name (`gpano`; None: none)."""

    pixels: NDArray[np.uint8]
    orientation: int
    camera: str | None
    gpano: Mapping[str, float | str] | None


def read_stored(picture: AnnotatedPicture) -> StoredPicture:
    """The picture as stored.

    Raises:
        ImageError: the file cannot be read or decoded.
    """
    try:
        data = read_plain(picture.path)
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}") from error
    # Without a limit: who evaluates has chosen the pictures.
    frame = decode_jpeg(data, source=picture.name, max_pixels=JPEG_SIDE**2)
    exif = read_exif(data, source=picture.name)
    gpano = None if exif.panorama is None else exif.panorama.values
    return StoredPicture(frame.pixels, exif.orientation, exif.camera.model, gpano)


def oriented(picture: AnnotatedPicture, stored: NDArray[np.uint8], orientation: int) -> tuple[NDArray[np.uint8], int]:
    """The pixels in the orientation of the annotations, and the EXIF orientation for the detections.

    COCO annotates the stored pixels; many tools annotate the upright picture. The size of the annotations decides. If
    both fit, the stored pixels are used.

    Raises:
        ImageError: the annotations have another size.
    """
    wanted = stored.shape[:2] if picture.size is None else picture.size()
    if stored.shape[:2] == wanted:
        return stored, orientation
    upright = to_upright(stored, orientation)
    if upright.shape[:2] == wanted:
        return upright, 1
    height, width = stored.shape[:2]
    raise ImageError(f"is {height} × {width} pixels high and wide, its annotations {wanted[0]} × {wanted[1]}")
