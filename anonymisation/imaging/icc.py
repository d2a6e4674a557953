"""Colour profiles: joined from their segments, and reduced to their colour tags before publication.

A profile can hold anything: texts, vendor data, the serial number of a screen. Only tags that describe colour pass.
The two required texts are replaced. Layout and signatures: ICC.1:2022 (profile version 4.4), section 7;
`textDescriptionType` of version 2: ICC.1:2001-04, section 6.5.17.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from anonymisation.imaging.jpeg.segments import APP2, MAX_PAYLOAD, Segment

RGB: Final = b"RGB "
GRAY: Final = b"GRAY"
_MARK: Final = b"ICC_PROFILE\0"
_HEADER: Final = 128
_COLOUR_TAGS: Final = frozenset(
    b"wtpt bkpt chad rXYZ gXYZ bXYZ rTRC gTRC bTRC kTRC A2B0 A2B1 A2B2 B2A0 B2A1 B2A2 chrm cicp lumi".split()
)
_TABLES: Final = frozenset((b"mft1", b"mft2", b"mAB ", b"mBA "))  # types without one field for their length
_PARAMETERS: Final = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}  # parametric curve: parameters by function type (table 68)
MAX_TAGS: Final = 100
"""Most tags of a profile, as in Little CMS, which refuses a profile with more."""
_TEXT: Final = "Colour profile"
# Parts of the header that identify devices and programs: CMM; platform; manufacturer, model; creator, checksum, rest.
_BLANKED: Final = ((4, 8), (40, 44), (48, 56), (80, 128))


def profile_of(metadata: Iterable[Segment]) -> bytes | None:
    """The ICC profile from the APP2 segments of a picture; None when it is absent or incomplete."""
    chunks: dict[int, bytes] = {}
    total = 0
    for segment in metadata:
        if segment.marker == APP2 and segment.payload.startswith(_MARK) and len(segment.payload) > 14:
            chunks.setdefault(segment.payload[12], segment.payload[14:])
            total = max(total, segment.payload[13])
    if not chunks or sorted(chunks) != list(range(1, total + 1)):
        return None
    profile = b"".join(chunks[number] for number in sorted(chunks))
    return profile if _is_profile(profile) else None


def _is_profile(profile: bytes) -> bool:
    return len(profile) > _HEADER + 4 and profile[36:40] == b"acsp"


def space_of(profile: bytes) -> bytes:
    """The signature of the colours that a profile is for: RGB, GRAY, or another that is never published."""
    return profile[16:20]


def profile_segments(profile: bytes) -> list[Segment]:
    """The APP2 segments for a profile, split to fit (ICC.1:2022, B.4)."""
    size = MAX_PAYLOAD - len(_MARK) - 2
    parts = [profile[start : start + size] for start in range(0, len(profile), size)]
    return [Segment(APP2, _MARK + bytes((number, len(parts))) + part) for number, part in enumerate(parts, start=1)]


def published_profile(profile: bytes | None, spaces: Collection[bytes]) -> bytes | None:
    """The profile with only its colour tags; None when it is missing, broken or for another colour space.

    `spaces` are the signatures of the colour spaces (see `space_of`) whose profiles viewers apply to the picture.
    """
    if profile is None or not _is_profile(profile) or space_of(profile) not in spaces:
        return None
    tags = _colour_tags(profile)
    if not {b"kTRC", b"rTRC", b"A2B0"} & tags.keys():
        return None
    version_4 = profile[8] >= 4
    tags[b"desc"] = _multilingual(_TEXT) if version_4 else _description(_TEXT)
    tags[b"cprt"] = _multilingual("None") if version_4 else b"text\0\0\0\0None\0"
    return _assemble(profile[:_HEADER], tags)


def _colour_tags(profile: bytes) -> dict[bytes, bytes]:
    """The colour tags by name; none where the tags are too many, or claim more bytes than the profile has.

    Tags may share a value, as three equal curves do. Values that overlap otherwise could make a large profile of a
    small one.
    """
    (count,) = struct.unpack_from(">I", profile, _HEADER)
    if count > MAX_TAGS:
        return {}
    places: dict[bytes, tuple[int, int]] = {}
    for position in range(_HEADER + 4, min(_HEADER + 4 + 12 * count, len(profile) - 11), 12):
        name, offset, size = struct.unpack_from(">4sII", profile, position)
        if name in _COLOUR_TAGS and offset >= _HEADER and offset + size <= len(profile):
            places[name] = (offset, size)
    if sum(size for _, size in {*places.values()}) > len(profile):
        return {}
    tags: dict[bytes, bytes] = {}
    for name, (offset, size) in places.items():
        value = profile[offset : offset + size]
        length = _length(value)
        if length is not None and length <= size:
            tags[name] = value[:length]
    return tags


def _length(value: bytes) -> int | None:
    """The length of a colour tag's value by its type, so that hidden data behind it is cut; None for other types."""
    kind = value[:4]
    if kind in _TABLES:
        return len(value)
    if kind == b"XYZ ":
        return 20
    if kind == b"sf32":
        return 8 + 4 * 9  # a matrix, the only use among the tags that pass
    if len(value) < 12:
        return None
    if kind == b"curv":
        return 12 + 2 * int.from_bytes(value[8:12], "big")
    parameters = _PARAMETERS.get(int.from_bytes(value[8:10], "big"))
    return None if kind != b"para" or parameters is None else 12 + 4 * parameters


def _assemble(header: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    table, body = b"", b""
    start = _HEADER + 4 + 12 * len(tags)
    places: dict[bytes, int] = {}
    for name, value in sorted(tags.items()):
        if value not in places:  # the three curves of an RGB profile are often equal
            places[value] = start + len(body)
            body += value + b"\0" * (-len(value) % 4)
        table += struct.pack(">4sII", name, places[value], len(value))
    cleaned = bytearray(header)
    for first, last in _BLANKED:
        cleaned[first:last] = bytes(last - first)
    cleaned[0:4] = struct.pack(">I", start + len(body))
    return bytes(cleaned) + struct.pack(">I", len(tags)) + table + body


def _multilingual(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(encoded), 28) + encoded


def _description(text: str) -> bytes:
    encoded = text.encode("ascii") + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(encoded)) + encoded + bytes(4 + 4 + 2 + 1 + 67)
