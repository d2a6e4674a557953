"""The R-tree index of a GeoPackage's layer. With it GIS tools find the points of a window without reading all points.

Source: OGC GeoPackage Encoding Standard 1.4, annex F.3 (extension gpkg_rtree_index). Triggers update the index.
They call functions that SQLite lacks and that every program that writes a GeoPackage must register, as this module
does.
"""
# ruff: noqa: S608 - the statements contain only checked names of a layout

from __future__ import annotations

import math
import sqlite3
import struct
from collections.abc import Callable
from functools import cache
from typing import Final

EXTENSIONS_TABLE: Final = """CREATE TABLE IF NOT EXISTS gpkg_extensions (
  table_name TEXT,
  column_name TEXT,
  extension_name TEXT NOT NULL,
  definition TEXT NOT NULL,
  scope TEXT NOT NULL,
  CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name)
)"""
_DEFINITION: Final = "http://www.geopackage.org/spec140/#extension_rtree"
_ENVELOPES: Final = (0, 32, 48, 48, 64)  # bytes, by the three bits of the header's flags for its kind (2.1.3.1)
_EMPTY: Final = 0b10000
_LITTLE: Final = struct.Struct("<2d").unpack_from
_BIG: Final = struct.Struct(">2d").unpack_from


@cache
def is_available() -> bool:
    """Whether this SQLite has R-trees, as nearly all builds do."""
    connection = sqlite3.connect(":memory:")
    try:
        return bool(connection.execute("SELECT 1 FROM pragma_module_list WHERE name = 'rtree'").fetchone())
    finally:
        connection.close()


def create_statements(table: str, column: str, key: str) -> list[str]:
    """The statements that index the geometry `column` of the empty `table`, whose integer key is `key`."""
    index = index_name(table, column)
    new, old = f'NEW."{column}"', f'OLD."{column}"'
    same, other = f'OLD."{key}" = NEW."{key}"', f'OLD."{key}" != NEW."{key}"'
    there, gone = f"({new} NOTNULL AND NOT ST_IsEmpty({new}))", f"({new} ISNULL OR ST_IsEmpty({new}))"
    was_there, was_not = f"({old} NOTNULL AND NOT ST_IsEmpty({old}))", f"({old} ISNULL OR ST_IsEmpty({old}))"
    box = {"minx": "ST_MinX", "maxx": "ST_MaxX", "miny": "ST_MinY", "maxy": "ST_MaxY"}
    values = ", ".join([f'NEW."{key}"', *(f"{function}({new})" for function in box.values())])
    replaced = f'INSERT OR REPLACE INTO "{index}" VALUES ({values})'
    changes = ", ".join(f"{name} = {function}({new})" for name, function in box.items())
    removed = f'DELETE FROM "{index}" WHERE id = OLD."{key}"'
    of_geometry, of_any = f'UPDATE OF "{column}"', "UPDATE"
    triggers = (
        ("insert", "INSERT", there, replaced),
        ("update2", of_geometry, f"{same} AND {gone}", removed),
        ("update4", of_any, f"{other} AND {gone}", f'DELETE FROM "{index}" WHERE id IN (OLD."{key}", NEW."{key}")'),
        ("update5", of_any, f"{other} AND {there}", f"{removed}; {replaced}"),
        ("update6", of_geometry, f"{same} AND {there} AND {was_there}",
         f'UPDATE "{index}" SET {changes} WHERE id = NEW."{key}"'),
        ("update7", of_geometry, f"{same} AND {there} AND {was_not}", f'INSERT INTO "{index}" VALUES ({values})'),
        ("delete", "DELETE", f"{old} NOT NULL", removed),
    )  # fmt: skip
    return [
        EXTENSIONS_TABLE,
        "INSERT OR REPLACE INTO gpkg_extensions VALUES "
        f"('{table}', '{column}', 'gpkg_rtree_index', '{_DEFINITION}', 'write-only')",
        f'CREATE VIRTUAL TABLE "{index}" USING rtree(id, minx, maxx, miny, maxy)',
        *(
            f'CREATE TRIGGER "{index}_{name}" AFTER {event} ON "{table}" WHEN {condition} BEGIN {action}; END'
            for name, event, condition, action in triggers
        ),
    ]


def drop_statements(table: str, column: str) -> list[str]:
    """The statements that remove the index; dropping the table removes its triggers."""
    return [
        EXTENSIONS_TABLE,
        f"DELETE FROM gpkg_extensions WHERE table_name = '{table}'",
        f'DROP TABLE IF EXISTS "{index_name(table, column)}"',
    ]


def index_name(table: str, column: str) -> str:
    """The name of the index, which is a table of its own."""
    return f"rtree_{table}_{column}"


def register_functions(connection: sqlite3.Connection) -> None:
    """Register the functions that the triggers call. They take points, the only geometry of these tables."""
    functions: dict[str, Callable[[bytes | None], float | None]] = {
        "ST_IsEmpty": lambda data: None if data is None else int(_place(data) is None),
        "ST_MinX": lambda data: _coordinate(data, 0),
        "ST_MaxX": lambda data: _coordinate(data, 0),
        "ST_MinY": lambda data: _coordinate(data, 1),
        "ST_MaxY": lambda data: _coordinate(data, 1),
    }
    for name, function in functions.items():
        connection.create_function(name, 1, function, deterministic=True)


def _coordinate(data: bytes | None, axis: int) -> float | None:
    place = None if data is None else _place(data)
    return None if place is None else place[axis]


def _place(data: bytes) -> tuple[float, float] | None:
    """X and Y of a point in GeoPackage's format, written by any program; None for an empty point."""
    flags = data[3]
    start = 8 + _ENVELOPES[flags >> 1 & 0b111]
    x, y = (_LITTLE if data[start] else _BIG)(data, start + 5)
    return None if flags & _EMPTY or math.isnan(x) or math.isnan(y) else (x, y)
