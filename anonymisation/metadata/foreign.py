"""Records that other programs wrote: their files, and their numbers and positions as records of ours have them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from anonymisation.core.errors import ImageMetadataError
from anonymisation.metadata.position import number_of
from anonymisation.metadata.record import Record, record_from_json

_POSITION: Final = "exif_gpsposisjon"
_LONGEST_NUMBER: Final = 64  # characters; no XML is tried
# Valid escapes are pairs of a backslash and a character, which a match of two backslashes keeps together.
_SINGLE_BACKSLASH: Final = re.compile(rb"(\\\\)|\\(?=[0-9A-Za-z_\-\x80-\xff])")
_FIRST_TWO: Final = re.compile(r"(\(\s*)([^\s()]+)(\s+)([^\s()]+)")


def read_foreign_record(data: bytes) -> Record:
    r"""Read a record's file as it is, or else with every single backslash in it doubled, as in `Vegbilder\2021`.

    Raises:
        ImageMetadataError: it is not JSON then either, or not an object; the message is about the file as it is.
    """
    try:
        return record_from_json(data)
    except ImageMetadataError:
        repaired = _SINGLE_BACKSLASH.sub(lambda match: match[1] or rb"\\", data)
        if repaired == data:
            raise
        try:
            return record_from_json(repaired)
        except ImageMetadataError:
            pass
        raise


def with_points(record: Mapping[str, Any]) -> Record:
    """The record with a dot in place of the comma of every number and position, also of zero (`0,0`).

    Only texts that are a number then are numbers: `1306;227,5;0` and `RV3 S3D2, m1237` stay as they are.
    """
    return {
        key: _with_point(value) if isinstance(value, str) and "," in value else value for key, value in record.items()
    }


def flipped(record: Mapping[str, Any]) -> Record:
    """The record with the first two numbers of its position swapped; without a position, as it is."""
    position = record.get(_POSITION)
    if not isinstance(position, str):
        return dict(record)
    return {**record, _POSITION: _FIRST_TWO.sub(r"\1\4\3\2", position, count=1)}


def _with_point(text: str) -> str:
    if text.lstrip()[:4].casefold() == "srid":
        return text.replace(",", ".")
    with_dot = text.replace(",", ".")
    return with_dot if len(text) <= _LONGEST_NUMBER and number_of(with_dot.strip()) is not None else text
