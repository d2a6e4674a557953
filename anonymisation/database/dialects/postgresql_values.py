"""The values of a batch as PostgreSQL reads them, made from bytes in UTF-8: one JSON text and an array per long text.

The driver would make them from `str`, which costs several times as much.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

_UTF8: Final = "utf-8"
# The binary form of an array: dimensions, whether it has NULLs, type of the elements; length and lower bound of each
# dimension; then each element's length and bytes. Source: array_recv in src/backend/utils/adt/arrayfuncs.c.
_HEADER: Final = struct.Struct(">iiIii")
_LENGTH: Final = struct.Struct(">i")
_NULL: Final = _LENGTH.pack(-1)


@dataclass(frozen=True, slots=True)
class Json:
    """JSON in the encoding of the connection."""

    data: bytes


@dataclass(frozen=True, slots=True)
class TextArray:
    """A text[] in PostgreSQL's binary form."""

    data: bytes


class _JsonDumper(Dumper):
    oid = psycopg.adapters.types["json"].oid

    def dump(self, obj: Any) -> Any:
        return obj.data


class _TextArrayDumper(Dumper):
    format = Format.BINARY
    oid = psycopg.adapters.types["text"].array_oid

    def dump(self, obj: Any) -> Any:
        return obj.data


def register(connection: psycopg.Connection[Any]) -> None:
    """Let `connection` send the values of `batch_values`."""
    connection.adapters.register_dumper(Json, _JsonDumper)
    connection.adapters.register_dumper(TextArray, _TextArrayDumper)


def batch_values(
    rows: Sequence[bytes], long: Sequence[Sequence[bytes | None]], encoding: str
) -> Mapping[str, Json | TextArray]:
    """`rows` as one JSON array, as value "rows", and each long text of all rows as "long0", "long1" and so on.

    `encoding` is that of the connection, as a codec of Python's; nearly always UTF-8.

    Raises:
        UnicodeEncodeError: a text has characters that the encoding lacks.
    """
    if encoding != _UTF8:
        rows = [_encoded(row, encoding) for row in rows]
        long = [[None if text is None else _encoded(text, encoding) for text in texts] for texts in long]
    arrays = {f"long{number}": _text_array(texts) for number, texts in enumerate(zip(*long, strict=True))}
    return {"rows": Json(b"".join((b"[", b",".join(rows), b"]"))), **arrays}


def _text_array(texts: Sequence[bytes | None]) -> TextArray:
    pack = _LENGTH.pack
    parts = [_HEADER.pack(1, None in texts, psycopg.adapters.types["text"].oid, len(texts), 1)]
    for text in texts:
        if text is None:
            parts.append(_NULL)
        else:
            parts += (pack(len(text)), text)
    return TextArray(b"".join(parts))


def _encoded(text: bytes, encoding: str) -> bytes:
    return text.decode(_UTF8).encode(encoding)
