"""A line of the spool: a record as JSON, with a checksum, because a changed digit is valid JSON as well."""

from __future__ import annotations

import re
import zlib
from typing import Final

from anonymisation.database.fast_json import encode, encode_or_none
from anonymisation.database.loading.limits import SourceRecord
from anonymisation.files.append_log import parse_line

# The last key of a line; the checksum is that of the line without this key.
_CHECKSUM: Final = re.compile(rb',"crc32":"(?P<sum>[0-9a-f]{8})"\}\Z')
_KEYS: Final = frozenset(("picture", "record"))


def to_line(item: SourceRecord, encoded: bytes | None = None) -> bytes:
    """A record as a line of a segment. `encoded` is the record as JSON, if the caller has it."""
    picture = None if encoded is None else encode_or_none(item.picture)
    if picture is None:
        content = encode({"picture": item.picture, "record": item.record})[:-1]
    else:
        content = b'{"picture":%s,"record":%s' % (picture, encoded)
    return b'%s,"crc32":"%08x"}\n' % (content, zlib.crc32(b"}", zlib.crc32(content)))


def from_line(line: bytes) -> SourceRecord | None:
    """The record of a line without its line break; None if the line is damaged, or of another version.

    The first version of the software wrote lines without a checksum.
    """
    found = _CHECKSUM.search(line)
    content = line if found is None else line[: found.start()] + b"}"
    if found is not None and int(found["sum"], 16) != zlib.crc32(content):
        return None
    values = parse_line(content)
    if values is None or values.keys() != _KEYS:
        return None
    picture, record = values["picture"], values["record"]
    if not isinstance(picture, str) or not picture or not isinstance(record, dict):
        return None
    return SourceRecord(picture, record)
