"""Small copies of masked pictures for a mail, never of originals."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from anonymisation.core.errors import ImageError, UnreadableImageError
from anonymisation.core.settings import JPEG_SIDE
from anonymisation.files.plain import read_plain
from anonymisation.imaging.exif.read import read_provenance
from anonymisation.imaging.thumbnail import thumbnail
from anonymisation.reporting.step_reports import ExamplePicture

SIDE: Final = 310  # pixels, of the longer side: two pictures next to each other fit into the mail
QUALITY: Final = 80


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A masked picture as a small JPEG without metadata; `picture` is its path below the output folder."""

    picture: str
    objects: int
    width: int
    height: int
    data: bytes


def thumbnails(output: Path, examples: Iterable[ExamplePicture]) -> list[Thumbnail]:
    """Thumbnails of the masked pictures below `output`.

    A picture that cannot be read, or lacks the mark of a masked picture, is logged and left out.
    """
    made = []
    for example in examples:
        try:
            made.append(_thumbnail(output / example.picture, example))
        except (OSError, ImageError) as error:
            logging.getLogger(__name__).warning("%s is not shown in the mail: %s", example.picture, error)
    return made


def _thumbnail(path: Path, example: ExamplePicture) -> Thumbnail:
    data = read_plain(path)
    if read_provenance(data) is None:
        raise UnreadableImageError("it lacks the mark of a masked picture")
    small = thumbnail(data, SIDE, max_pixels=JPEG_SIDE**2)  # its original was within the limit
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY)
    return Thumbnail(example.picture, example.objects, small.width, small.height, buffer.getvalue())
