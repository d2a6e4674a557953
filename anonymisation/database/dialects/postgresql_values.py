"""Rows as PostgreSQL reads them: a batch is one JSON text, and an array for each long text.

All is made of bytes in UTF-8, and column by column as far as possible; of `str` and row by row it takes several times
as long.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Final

import msgspec
import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

from anonymisation.database.dialects.base import VALUE_ERRORS, Dialect
from anonymisation.database.fast_json import encode, encode_or_none
from anonymisation.database.layouts.columns import Columns
from anonymisation.database.layouts.datatypes import Kind
from anonymisation.database.layouts.formatters import Value
from anonymisation.database.layouts.geometry import Point
from anonymisation.database.layouts.tables import TableLayout

_UTF8: Final = "utf-8"
_JSON_TYPES: Final = {
    Kind.TEXT: "text",
    Kind.NUMBER: "numeric",
    Kind.TIME: "timestamp with time zone",
    Kind.BINARY: "bytea",
    # PostGIS makes the geometry from text when the column gets it, in whatever schema PostGIS is.
    Kind.GEOMETRY: "text",
}
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


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """A row's key, its short columns as a JSON object and its long texts, both in UTF-8; or why it cannot be sent.

    A msgspec struct, since the collector of cycles need not look at it.
    """

    key: Value
    short: Any  # bytes, or None if the row cannot be sent
    long: tuple[Any, ...]
    refused: str | None = None


class RowEncoder:
    """Prepares the rows of a layout. In JSON its columns are c0, c1 and so on; columns without a value are left out."""

    def __init__(self, layout: TableLayout, dialect: Dialect) -> None:
        self._key = layout.pk_column
        self._long = [column.name for column in layout.columns if column.dtype.kind is Kind.LONG_TEXT]
        self._short = [column for column in layout.columns if column.dtype.kind is not Kind.LONG_TEXT]
        self._dialect = dialect
        fields = [(_json_name(index), Any, None) for index in range(len(self._short))]
        self._encode = msgspec.json.Encoder().encode
        self._object = msgspec.defstruct("ShortColumns", fields, omit_defaults=True, gc=False)

    def rows(self, columns: Columns) -> list[Prepared]:
        """The rows of `columns`."""
        failed: dict[int, str] = {}
        self._refuse_blanks(columns, failed)
        plain = [_plain(columns[column.name], column.dtype.kind) for column in self._short]
        short = _each(self._encode, _json, list(map(self._object, *plain)), failed)
        long = [_each(_in_utf8, _in_utf8, columns[name], failed) for name in self._long]
        keys = columns[self._key]
        reasons = map(failed.get, range(len(keys)))
        return list(map(Prepared, keys, short, zip(*long, strict=True) if long else repeat(()), reasons))

    def _refuse_blanks(self, columns: Columns, failed: dict[int, str]) -> None:
        """Refuse a text that is too long by blanks alone, which VARCHAR would cut off silently."""
        for column in self._short:
            length = column.dtype.length
            texts: list[Any] = columns[column.name]
            if length is None or max(map(len, filter(None, texts)), default=0) <= length:
                continue
            for number, text in enumerate(texts):
                if isinstance(text, str) and len(text) > length and not text[length:].strip(" "):
                    name = self._dialect.identifier(column.name)
                    failed[number] = f"{name}: value too long for type character varying({length})"


def _plain(values: list[Value], kind: Kind) -> list[Any]:
    """A column's values as JSON takes them."""
    if kind is Kind.GEOMETRY:
        return [value.ewkt() if isinstance(value, Point) else value for value in values]
    if kind is Kind.BINARY:
        return [f"\\x{value.hex()}" if isinstance(value, bytes) else value for value in values]
    return values


def _each(
    make: Callable[[Any], bytes | None],
    carefully: Callable[[Any], bytes | None],
    values: list[Any],
    failed: dict[int, str],
) -> list[bytes | None]:
    """What `make` makes of each value. If it fails for one, each is made `carefully`; reasons go to `failed`."""
    try:
        return [make(value) for value in values]
    except VALUE_ERRORS:
        made: list[bytes | None] = []
        for number, value in enumerate(values):
            try:
                made.append(carefully(value))
            except VALUE_ERRORS as error:
                failed.setdefault(number, str(error))
                made.append(None)
        return made


def _json(row: msgspec.Struct) -> bytes:
    found = encode_or_none(row)
    return encode(msgspec.structs.asdict(row)) if found is None else found


def _in_utf8(text: Any) -> bytes | None:
    return text.encode(_UTF8) if isinstance(text, str) else text


def source_sql(layout: TableLayout, names: Sequence[str]) -> str:
    """The values of `batch_values` as a table with the columns `names`, in the order of the layout."""
    quoted = {column.name: name for column, name in zip(layout.columns, names, strict=True)}
    short = [column for column in layout.columns if column.dtype.kind is not Kind.LONG_TEXT]
    long = [column for column in layout.columns if column.dtype.kind is Kind.LONG_TEXT]
    # Text of any length, so that too long text is refused and not cut.
    taken = ", ".join(f"{_json_name(index)} {_JSON_TYPES[column.dtype.kind]}" for index, column in enumerate(short))
    texts = [f"unnest(%(long{index})s)" for index in range(len(long))]
    sources = ", ".join([f"json_to_recordset(%(rows)s) AS ({taken})", *texts])
    return f"ROWS FROM ({sources}) AS r({', '.join(quoted[column.name] for column in (*short, *long))})"


def _json_name(index: int) -> str:
    return f"c{index}"


def array_literal(values: Iterable[object]) -> str:
    """An array of texts (None: NULL) whose type the server finds out, as for a literal."""
    return "{" + ",".join("NULL" if value is None else _quoted(str(value)) for value in values) + "}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


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
        rows = [_in(encoding, row) for row in rows]
        long = [[None if text is None else _in(encoding, text) for text in texts] for texts in long]
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


def _in(encoding: str, text: bytes) -> bytes:
    return text.decode(_UTF8).encode(encoding)
