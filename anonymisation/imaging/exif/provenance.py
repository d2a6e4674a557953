"""The provenance of a masked picture, stored in the picture: enough to rebuild a lost state of a folder.

Kept as JSON in the EXIF tag ImageHistory, whose meaning is "a record of what has been done to the image" (TIFF/EP,
ISO 12234-2; tag number in its registry: 0x9213).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from anonymisation.core.errors import UnreadableImageError
from anonymisation.imaging.exif.tiff import TIFF_MARKS, Tiff, read_tiff
from anonymisation.imaging.jpeg.segments import APP1, Segment, segments_of

TAG_IMAGE_HISTORY: Final = 0x9213
EXIF_MARK: Final = b"Exif\0\0"
_MAX_SEGMENTS: Final = 64  # of EXIF, 4 MiB: several times as much as any camera writes
_SOFTWARE: Final = "image-anonymisation"
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Provenance:
    """The checksum of the original, the software's version, the model, and the number of hidden objects per label.

    Raises:
        ValueError: `source_sha256` is not a SHA-256 in lower-case hex, or a count is negative.
    """

    source_sha256: str
    version: str
    model: str
    objects: Mapping[str, int]

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.source_sha256):
            raise ValueError(f"expected a SHA-256 of 64 lower-case hex digits, got {self.source_sha256!r}")
        if any(count < 0 for count in self.objects.values()):
            raise ValueError(f"expected counts of 0 or more, got {dict(self.objects)}")

    def to_json(self) -> bytes:
        """The JSON text for the picture: pure ASCII, and the same bytes for equal values."""
        content = {
            "software": _SOFTWARE,
            "source_sha256": self.source_sha256,
            "version": self.version,
            "model": self.model,
            "objects": dict(sorted(self.objects.items())),
        }
        return json.dumps(content, separators=(",", ":")).encode("ascii")


def exif_tiff(data: bytes) -> Tiff | None:
    """The EXIF of a JPEG file, or of a prefix of the file that holds the EXIF; None when there is no readable EXIF.

    The first readable EXIF segment counts. Later EXIF segments continue it, as cameras write EXIF beyond 64 KiB. Only
    the first 64 EXIF segments are read.
    """
    return tiff_of(exif_segments(data))


def tiff_of(segments: Sequence[bytes]) -> Tiff | None:
    """The same from the file's `exif_segments`."""
    for first in range(len(segments)):
        if segments[first].startswith(TIFF_MARKS):
            tiff = read_tiff(b"".join(segments[first:]))
            if tiff is not None:
                return tiff
    return None


def ignored_exif(segments: Sequence[bytes]) -> int:
    """How many further ones of a file's `exif_segments` begin an EXIF of their own, which is not read."""
    return max(0, sum(segment.startswith(TIFF_MARKS) for segment in segments) - 1)


def exif_segments(data: bytes) -> list[bytes]:
    """The first 64 EXIF segments of a JPEG file, or of a prefix of it, without their mark; none of another file."""
    found: list[bytes] = []
    if not data.startswith(b"\xff\xd8"):
        return found
    try:
        for item in segments_of(data, header_only=True):
            if isinstance(item, Segment) and item.marker == APP1 and item.payload.startswith(EXIF_MARK):
                found.append(item.payload[len(EXIF_MARK) :])
            if len(found) == _MAX_SEGMENTS:
                break
    except UnreadableImageError:  # too many segments: what comes first counts
        pass
    return found


def read_provenance(data: bytes) -> Provenance | None:
    """The provenance in a masked picture; None for any other picture and for a broken one.

    `data` is the file or a prefix: the first 128 KiB always hold the provenance.
    """
    tiff = exif_tiff(data)
    entry = tiff.main.get(TAG_IMAGE_HISTORY) if tiff else None
    text = entry.text if entry else None
    if not text:
        return None
    try:
        return _from_content(json.loads(text))
    except (ValueError, RecursionError):  # another program's history
        return None


def _from_content(content: Any) -> Provenance | None:
    if not isinstance(content, dict) or content.get("software") != _SOFTWARE:
        return None
    texts = [content.get(key) for key in ("source_sha256", "version", "model")]
    objects = content.get("objects")
    if not all(isinstance(text, str) for text in texts) or not isinstance(objects, dict):
        return None
    if not all(isinstance(count, int) and not isinstance(count, bool) for count in objects.values()):
        return None
    source, version, model = (str(text) for text in texts)
    return Provenance(source, version, model, objects)
