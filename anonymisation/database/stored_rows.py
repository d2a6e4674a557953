"""The rows of a table as they are stored, whatever the database: read in pages, with values of Python's own types."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa

from anonymisation.database.dialects.geopackage import decode_point
from anonymisation.database.layouts.datatypes import Kind
from anonymisation.database.layouts.formatters import Value
from anonymisation.database.layouts.geometry import Point
from anonymisation.database.target import DatabaseTarget, transaction

_ROWS_PER_PAGE: Final = 500

# Flags of PostGIS's extended well-known binary, next to the type of the geometry.
_EWKB_Z, _EWKB_M, _EWKB_SRID = 0x80000000, 0x40000000, 0x20000000
_WKB_POINT: Final = 1


def read_rows(target: DatabaseTarget) -> Iterator[dict[str, Value]]:
    """Every row in the order of the primary key: column of the layout → value, geometries as points.

    Each page is a transaction of its own, so that no loader waits and memory stays flat. A row that is loaded meanwhile
    comes in its old or its new form, or, if it is new, perhaps not at all.

    Raises:
        DatabaseUnavailableError: the database cannot be reached.
        ConfigurationError: the table is not there, or not of this layout.
        ValueError: a geometry is not a point.
    """
    layout, table = target.layout, target.table
    [key] = table.primary_key.columns
    columns = [table.c[target.dialect.identifier(column.name)] for column in layout.columns]
    geometries = {column.name for column in layout.columns if column.dtype.kind is Kind.GEOMETRY}
    place = [column.name for column in layout.columns].index(layout.pk_column)
    page = sa.select(*columns).order_by(key).limit(_ROWS_PER_PAGE)
    last: object = None
    while True:
        query = page if last is None else page.where(key > last)
        with transaction(target, creating=False) as connection:
            # Values of Oracle's large types can be read only while the transaction is open.
            rows = [[_plain(value) for value in row] for row in connection.execute(query)]
        for row in rows:
            yield {
                column.name: point_of(value) if column.name in geometries else value
                for column, value in zip(layout.columns, row, strict=True)
            }
        if len(rows) < _ROWS_PER_PAGE:
            return
        last = rows[-1][place]


def point_of(value: Any) -> Point | None:
    """The point in what a driver returns for a geometry; None for NULL and for an empty point.

    Raises:
        ValueError: it is another geometry, or none.
    """
    if value is None:
        return None
    if isinstance(value, bytes):
        return decode_point(value)
    if isinstance(value, str):
        return _point_of_ewkb(bytes.fromhex(value))
    return _point_of_oracle(value)


def _plain(value: Any) -> Any:
    """A value of a driver's own type as one of Python's; times in UTC."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, memoryview):
        return bytes(value)
    return value.read() if hasattr(value, "read") else value


def _point_of_ewkb(data: bytes) -> Point | None:
    order = "<" if data[:1] == b"\x01" else ">"
    kind, place = _unpack(f"{order}I", data, 1)[0], 5
    if kind & 0xFFFF != _WKB_POINT or kind & _EWKB_M:
        raise ValueError(f"expected a point, got the geometry {data.hex()[:18]}…")
    srid = 0
    if kind & _EWKB_SRID:
        [srid], place = _unpack(f"{order}I", data, place), place + 4
    coordinates = _unpack(f"{order}{3 if kind & _EWKB_Z else 2}d", data, place)
    return None if any(map(math.isnan, coordinates)) else Point(srid, coordinates)


def _unpack(form: str, data: bytes, place: int) -> tuple[Any, ...]:
    try:
        return struct.unpack_from(form, data, place)
    except struct.error as error:
        raise ValueError(f"expected a point, got {len(data)} bytes: {data.hex()[:18]}…") from error


def _point_of_oracle(geometry: Any) -> Point | None:
    place = getattr(geometry, "SDO_POINT", None)
    if place is None or geometry.SDO_SRID is None:
        raise ValueError(f"expected a point with a reference system, got {geometry!r}")
    coordinates = tuple(float(number) for number in (place.X, place.Y, place.Z) if number is not None)
    return Point(int(geometry.SDO_SRID), coordinates)
