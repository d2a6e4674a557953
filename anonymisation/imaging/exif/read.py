"""Reads EXIF: the vendor's tags, times, place and orientation. For the published EXIF, see `allow_list`.

Tag numbers and meanings: CIPA DC-008 (EXIF 2.32), sections 4.6.4 to 4.6.6; XPTitle: Microsoft's "Photo metadata
policies". The vendor keeps its two XML documents under unassigned numbers of the main directory.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Final

from anonymisation.imaging.exif.allow_list import (
    TAG_IMAGE_PROPERTIES,
    TAG_REFLINK_INFO,
    TAG_XP_TITLE,
    decode_xp,
    published_exif,
)
from anonymisation.imaging.exif.camera import NO_CAMERA, CameraTags, read_camera
from anonymisation.imaging.exif.moments import NO_TIMES, Times, read_times
from anonymisation.imaging.exif.place import NO_PLACE, Place, read_place, with_heading
from anonymisation.imaging.exif.provenance import Provenance, exif_segments, ignored_exif, read_provenance, tiff_of
from anonymisation.imaging.exif.tiff import TAG_ORIENTATION, DirectoryName, Entry, Tiff, orientation_of
from anonymisation.imaging.exif.values import TagProblem
from anonymisation.imaging.panorama import Panorama
from anonymisation.imaging.xmp import Xmp, read_xmp

_DIRECTORIES: Final[dict[DirectoryName, str]] = {"main": "IFD0", "exif": "ExifIFD", "gps": "GPSInfoIFD"}

_LIKE_EXIF: Final = re.compile(rb"\xff\xe1..(?i:exif)\0", re.DOTALL)  # also where its mark is misspelt

__all__ = [
    "TAG_IMAGE_PROPERTIES",
    "TAG_REFLINK_INFO",
    "TAG_XP_TITLE",
    "ExifTags",
    "Place",
    "Provenance",
    "Times",
    "published_exif",
    "read_exif",
    "read_provenance",
]


@dataclass(frozen=True, slots=True)
class ExifTags:
    """The EXIF values that records use; a value is None when it is absent or invalid."""

    present: bool
    """Whether the picture has readable EXIF."""
    image_properties: bytes | None = None
    """Tag 40055, raw bytes: XML in UTF-8, mostly with a byte order mark."""
    reflink_info: bytes | None = None
    """Tag 40056, raw bytes, likewise."""
    xp_title: str | None = None
    """Tag 40091, from UTF-16-LE, without byte order mark and trailing NULs."""
    orientation: int = 1
    """EXIF orientation, 1 to 8; 1 when invalid. Without the tag, XMP's orientation, else 1."""
    times: Times = NO_TIMES
    """When it was taken."""
    place: Place = NO_PLACE
    """Where it was taken, and the direction of view; without its tag, that of the centre of a 360° picture."""
    panorama: Panorama | None = None
    """From XMP: what viewers need to show a 360° picture."""
    camera: CameraTags = NO_CAMERA
    """Further tags that the 2022 form of records reads."""

    def __post_init__(self) -> None:
        if self.orientation not in range(1, 9):
            raise ValueError(f"orientation: expected 1 to 8, got {self.orientation}")


def read_exif(data: bytes, *, source: str | None = "a picture") -> ExifTags:
    """Read the EXIF of a JPEG file given as bytes; `source` names it in the log, None keeps the log silent.

    Broken EXIF never raises: a warning is logged, and `present` is False. A time, position, altitude or heading that
    is there and cannot be used is left out, with a warning that names the picture and the tag. XMP gives the
    orientation where EXIF has none, as for Windows (policy of System.Photo.Orientation), macOS and Pillow; browsers do
    not look there.
    """
    segments = exif_segments(data)
    tiff, xmp = tiff_of(segments), read_xmp(data, source=source or "a picture")
    direction = None if xmp.panorama is None else xmp.panorama.heading
    if tiff is None:
        if source is not None and _LIKE_EXIF.search(data, 0, 1 << 16):
            logging.getLogger(__name__).warning("%s: its EXIF cannot be read; it is treated as absent", source)
        place = with_heading(NO_PLACE, {}, direction)
        return ExifTags(present=False, orientation=xmp.orientation or 1, place=place, panorama=xmp.panorama)
    if source is not None and (further := ignored_exif(segments)):
        message = "%s: %d further EXIF segment(s) with directories of their own are not read"
        logging.getLogger(__name__).warning(message, source, further)
    problems = _unreadable_parts(tiff)
    tags = ExifTags(
        present=True,
        image_properties=_raw(tiff.main.get(TAG_IMAGE_PROPERTIES)),
        reflink_info=_raw(tiff.main.get(TAG_REFLINK_INFO)),
        xp_title=decode_xp(_raw(tiff.main.get(TAG_XP_TITLE))),
        orientation=_orientation(tiff, xmp),
        times=read_times(tiff, problems),
        place=with_heading(read_place(tiff.gps, problems), tiff.gps, direction),
        panorama=xmp.panorama,
        camera=read_camera(tiff),
    )
    for problem in problems if source is not None else ():
        logging.getLogger(__name__).warning("%s: EXIF tag %s %s", source, problem.tag, problem.reason)
    return tags


def _unreadable_parts(tiff: Tiff) -> list[TagProblem]:
    """Directories of which a part is missing, and vendor's tags that are there and cannot be read."""
    cut = [_DIRECTORIES[name] for name in _DIRECTORIES if name in tiff.cut]
    vendor = [tag for tag in (TAG_IMAGE_PROPERTIES, TAG_REFLINK_INFO) if tag in tiff.main and not _raw(tiff.main[tag])]
    return [
        *(TagProblem(name, "cannot be read to its end; what is missing of it counts as absent") for name in cut),
        *(TagProblem(str(tag), "cannot be read; it counts as absent") for tag in vendor),
    ]


def _orientation(tiff: Tiff, xmp: Xmp) -> int:
    if TAG_ORIENTATION not in tiff.main and xmp.orientation is not None:
        return xmp.orientation
    return orientation_of(tiff.main)


def _raw(entry: Entry | None) -> bytes | None:
    return (entry.raw or None) if entry else None
