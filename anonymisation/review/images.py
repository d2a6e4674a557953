"""Pictures for the review pages: small copies of masked pictures, masks as overlays, and originals.

A file is opened only below its base folder, and never through a link to the file. A masked picture is shown only if its
provenance names the original that the state knows. If the last masking failed, the older masked picture is shown.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from anonymisation.core.errors import AnonymisationError, ImageError, UnreadableImageError
from anonymisation.files.digests import sha256_of
from anonymisation.files.plain import read_plain
from anonymisation.imaging.exif.provenance import read_provenance
from anonymisation.imaging.exif.read import read_exif
from anonymisation.imaging.jpeg.codec import to_upright
from anonymisation.imaging.mask_file import decode_mask
from anonymisation.imaging.thumbnail import thumbnail as reduced
from anonymisation.masking.detections import Detections
from anonymisation.masking.panoramas.sphere import Sphere, sphere_of
from anonymisation.review.copies import copy_path, keep_copy, read_copy
from anonymisation.review.model import Box
from anonymisation.review.rows import Row
from anonymisation.workspace.folder_state import FileStamp
from anonymisation.workspace.paths import Sidecar
from anonymisation.workspace.workspace import Workspace

_OVERLAY: Final = (255, 0, 200, 120)  # red, green, blue, opacity; a colour that is rare on roads
_QUALITY: Final = 80
# From stored to upright instead of from upright to stored: 6 and 8 swap, the others are their own inverses.
_INVERSE: Final = {6: 8, 8: 6}


class Size(Enum):
    """Longest side of a copy, in pixels."""

    SMALL = 360
    LARGE = 1600
    REVIEW = 3200  # of a picture that is judged for a certificate: pictures of survey cars are seldom larger


class NotShownError(AnonymisationError):
    """The picture must not be shown: its file does not exist, or is not the expected one."""


def inside(base: Path, path: Path) -> Path:
    """The real path of the file `path`, with links in its folders followed.

    Raises:
        NotShownError: the file does not exist, is a link, or lies outside `base`.
    """
    try:
        real, root = path.resolve(strict=True), base.resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        raise NotShownError("there is no such file") from None
    if path.is_symlink() or not real.is_relative_to(root) or not real.is_file():
        raise NotShownError("there is no such file")
    return real


def masked_picture(workspace: Workspace, folder: str, row: Row) -> bytes:
    """The bytes of the masked picture.

    Raises:
        NotShownError: the file does not exist, or its provenance names another original.
    """
    return _masked(masked_file(workspace, folder, row), row)


def thumbnail(workspace: Workspace, folder: str, row: Row, size: Size) -> bytes:
    """A smaller upright copy of the masked picture as WebP, made once and cached in the state folder.

    Raises:
        NotShownError: see `masked_picture`.
    """
    path = masked_file(workspace, folder, row)
    place = copy_path(workspace.shares.state, folder, row.key, size.value, FileStamp.of(path))
    kept = read_copy(place)
    if kept is not None:
        return kept
    made = to_webp(_reduced(_masked(path, row), size, _limit(workspace, row)))
    keep_copy(place, made)
    return made


def overlay(workspace: Workspace, folder: str, row: Row, size: Size) -> bytes:
    """The mask as an upright WebP picture of one colour, transparent where nothing is hidden.

    Raises:
        NotShownError: there is no mask file (see the setting `remote_mask`), or it cannot be read.
    """
    masked = masked_file(workspace, folder, row)
    path = inside(workspace.shares.output, Sidecar.mask_for((row.width, row.height)).of(masked))
    try:
        mask = decode_mask(read_plain(path), max_pixels=_limit(workspace, row))
    except ImageError as error:
        raise NotShownError(str(error)) from None
    levels = to_upright((mask * _OVERLAY[3]).astype(np.uint8), orientation_of(workspace, folder, row))
    alpha = Image.fromarray(levels)
    alpha.thumbnail((size.value, size.value))
    picture = Image.new("RGBA", alpha.size, (*_OVERLAY[:3], 0))
    picture.putalpha(alpha)
    return to_webp(picture)


def original(workspace: Workspace, folder: str, row: Row) -> bytes:
    """The original as an upright WebP picture of size LARGE, from the input folder or the archive; never cached.

    Raises:
        NotShownError: neither folder holds the original.
    """
    return to_webp(upright_original(workspace, folder, row))


def upright_original(workspace: Workspace, folder: str, row: Row, size: Size = Size.LARGE) -> Image.Image:
    """The original, upright and at most of this size, from the input folder or the archive.

    Raises:
        NotShownError: neither folder holds the original.
    """
    return _reduced(original_bytes(workspace, folder, row), size, _limit(workspace, row))


def original_bytes(workspace: Workspace, folder: str, row: Row) -> bytes:
    """The original's file, from the input folder or the archive.

    Raises:
        NotShownError: neither folder holds the original.
    """
    paths = workspace.picture(folder, row.name)
    places = [(workspace.shares.input, paths.original)]
    if workspace.shares.archive is not None and paths.archived is not None:
        places.append((workspace.shares.archive, paths.archived))
    for base, path in places:
        try:
            real = inside(base, path)
            data = read_plain(real)
        except (NotShownError, OSError):
            continue
        if sha256_of(data) == row.sha256 if row.sha256 else FileStamp.of(real) == row.source:
            return data
    raise NotShownError("the original is in neither the input folder nor the archive")


def upright_masked(workspace: Workspace, folder: str, row: Row, size: Size) -> Image.Image:
    """The masked picture, upright and at most of this size.

    Raises:
        NotShownError: see `masked_picture`.
    """
    return _reduced(masked_picture(workspace, folder, row), size, _limit(workspace, row))


@dataclass(frozen=True, slots=True)
class Shape:
    """The EXIF orientation (1 to 8) of a masked picture, and its sphere if it is a panorama."""

    orientation: int
    sphere: Sphere | None


def shape_of(workspace: Workspace, folder: str, row: Row) -> Shape:
    """What the masked picture says of its orientation and projection.

    Raises:
        NotShownError: see `masked_picture`.
    """
    exif = read_exif(masked_picture(workspace, folder, row), source=row.name)
    size = (row.width, row.height) if exif.orientation >= 5 else (row.height, row.width)
    gpano = None if exif.panorama is None else exif.panorama.values
    return Shape(exif.orientation, sphere_of(size, gpano, workspace.settings))


def orientation_of(workspace: Workspace, folder: str, row: Row) -> int:
    """The EXIF orientation, 1 to 8, of the masked picture.

    Raises:
        NotShownError: see `masked_picture`.
    """
    return shape_of(workspace, folder, row).orientation


def upright(boxes: list[tuple[float, float, float, float]], orientation: int) -> list[tuple[float, ...]]:
    """Turn boxes (ymin, xmin, ymax, xmax; shares) from the stored picture to the upright one, rounded to 5 digits."""
    turned = Detections.of(boxes, [1] * len(boxes), [1] * len(boxes)).to_stored(_INVERSE.get(orientation, orientation))
    return [tuple(round(float(side), 5) for side in box) for box in turned.boxes]


def stored(box: Box, orientation: int) -> Box:
    """Turn a box from the upright picture to the stored one."""
    turned = Detections.of([box.as_tuple()], [1], [1]).to_stored(orientation).boxes[0]
    return Box(*(min(1.0, max(0.0, float(side))) for side in turned))


def masked_file(workspace: Workspace, folder: str, row: Row) -> Path:
    """The file of the masked picture.

    Raises:
        NotShownError: see `inside`.
    """
    return inside(workspace.shares.output, workspace.picture(folder, row.name).masked)


def _masked(path: Path, row: Row) -> bytes:
    data = read_plain(path)
    provenance = read_provenance(data)
    if provenance is None or not (row.failed or provenance.source_sha256 == row.sha256):
        raise NotShownError("the file in the output folder is not the masked picture of this original")
    return data


def _limit(workspace: Workspace, row: Row) -> int:
    """Most pixels of a picture that is shown: the setting, which may be lower than when this one was masked."""
    return max(workspace.settings.max_picture_pixels, row.width * row.height)


def _reduced(data: bytes, size: Size, max_pixels: int) -> Image.Image:
    try:
        return reduced(data, size.value, max_pixels=max_pixels)
    except UnreadableImageError as error:
        raise NotShownError(f"the picture {error}") from None


def to_webp(picture: Image.Image) -> bytes:
    """The picture as the pages show it."""
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=_QUALITY, method=2)
    return buffer.getvalue()
