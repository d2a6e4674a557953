"""GeoPackage: the tables that QGIS and GDAL need in an SQLite file, and its binary format for points.

Source: OGC GeoPackage Encoding Standard 1.4, http://www.geopackage.org/spec140/ (annexes C and F for the tables and
reference systems, 2.1.3 for the geometry format). Times have milliseconds, as all versions of the standard have them.

A feature table has one geometry column: the first of the layout, with an R-tree index (`rtree`). The table stores every
other geometry column as a BLOB of the same format. A view `<table>_<column>` shows it as a layer of its own, without an
index: the rows that have a point, with their attributes. A layer's column must be declared POINT, and GDAL refuses a
table with two such columns. So triggers keep a copy of these points in a table of their own, from which the view takes
them; its name begins as those of indexes do, because GDAL does not list such tables. (Files of versions before this
table have a view of the BLOB. They are loaded as they are; strict validators remark on them.)
"""
# ruff: noqa: S608 - the statements contain only checked names of a layout and texts of this module

from __future__ import annotations

import struct
from typing import Final

from anonymisation.database.dialects import rtree
from anonymisation.database.layouts.datatypes import Kind
from anonymisation.database.layouts.geometry import Point
from anonymisation.database.layouts.tables import ColumnLayout, TableLayout

APPLICATION_ID: Final = 0x47504B47  # "GPKG"
USER_VERSION: Final = 10400

_TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS gpkg_spatial_ref_sys (
  srs_name TEXT NOT NULL,
  srs_id INTEGER PRIMARY KEY,
  organization TEXT NOT NULL,
  organization_coordsys_id INTEGER NOT NULL,
  definition TEXT NOT NULL,
  description TEXT
)""",
    """CREATE TABLE IF NOT EXISTS gpkg_contents (
  table_name TEXT NOT NULL PRIMARY KEY,
  data_type TEXT NOT NULL,
  identifier TEXT UNIQUE,
  description TEXT DEFAULT '',
  last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  min_x DOUBLE,
  min_y DOUBLE,
  max_x DOUBLE,
  max_y DOUBLE,
  srs_id INTEGER,
  CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id)
)""",
    """CREATE TABLE IF NOT EXISTS gpkg_geometry_columns (
  table_name TEXT NOT NULL,
  column_name TEXT NOT NULL,
  geometry_type_name TEXT NOT NULL,
  srs_id INTEGER NOT NULL,
  z TINYINT NOT NULL,
  m TINYINT NOT NULL,
  CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
  CONSTRAINT uk_gc_table_name UNIQUE (table_name),
  CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
  CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id)
)""",
)
_UNDEFINED: Final = (
    ("Undefined Cartesian SRS", -1, "NONE", -1, "undefined"),
    ("Undefined geographic SRS", 0, "NONE", 0, "undefined"),
)

_DEGREE: Final = 'UNIT["degree",0.0174532925199433,AUTHORITY["EPSG","9122"]]'
_GREENWICH: Final = 'PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]]'
# Well-known text (OGC 01-009) of EPSG's definitions, https://epsg.org
_GEOGRAPHIC: Final = {
    4326: (
        "WGS 84",
        'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],'
        f'AUTHORITY["EPSG","6326"]],{_GREENWICH},{_DEGREE},AUTHORITY["EPSG","4326"]]',
    ),
    4258: (
        "ETRS89",
        'GEOGCS["ETRS89",DATUM["European_Terrestrial_Reference_System_1989",'
        'SPHEROID["GRS 1980",6378137,298.257222101,AUTHORITY["EPSG","7019"]],AUTHORITY["EPSG","6258"]],'
        f'{_GREENWICH},{_DEGREE},AUTHORITY["EPSG","4258"]]',
    ),
}
_UTM_NORTH: Final = ((32600, 4326, range(1, 61)), (25800, 4258, range(28, 39)))  # code less zone, base, zones


def setup_statements(layout: TableLayout, table: str, key: str) -> list[str]:
    """The statements that make the file a GeoPackage, with `table` (integer key `key`) and its views as layers."""
    geometries = [column for column in layout.columns if column.dtype.kind is Kind.GEOMETRY]
    known = dict.fromkeys([4326, *(_srid(column) for column in geometries)])
    systems = [*_UNDEFINED, *(_system(srid) for srid in known)]
    statements = [f"PRAGMA application_id = {APPLICATION_ID}", f"PRAGMA user_version = {USER_VERSION}", *_TABLES]
    for values in systems:
        columns = "srs_name, srs_id, organization, organization_coordsys_id, definition"
        statements.append(f"INSERT OR IGNORE INTO gpkg_spatial_ref_sys ({columns}) VALUES ({_literals(values)})")
    if not geometries:
        statements.append(_contents(table, "attributes", None))
    for index, column in enumerate(geometries):
        layer = table if index == 0 else view_name(table, column)
        if index > 0:
            statements += _points(table, key, column)
            statements.append(_view(layout, table, key, column))
        statements.append(_contents(layer, "features", _srid(column)))
        statements.append(_geometry(layer, column))
    if geometries and rtree.is_available():
        statements += rtree.create_statements(table, geometries[0].name, key)
    return statements


def drop_statements(layout: TableLayout, table: str) -> list[str]:
    """The statements that remove the views of `table`, and its layers from the file's tables of contents."""
    geometries = [column for column in layout.columns if column.dtype.kind is Kind.GEOMETRY]
    shown = [layer for layer, _ in layers(layout, table)]
    names = _literals(shown)
    return [
        *(rtree.drop_statements(table, geometries[0].name) if geometries else ()),
        *(f"DELETE FROM {name} WHERE table_name IN ({names})" for name in ("gpkg_geometry_columns", "gpkg_contents")),
        *(f'DROP VIEW IF EXISTS "{layer}"' for layer in shown[1:]),
        *(f'DROP TABLE IF EXISTS "{_points_name(layer)}"' for layer in shown[1:]),
    ]


def layers(layout: TableLayout, table: str) -> list[tuple[str, str | None]]:
    """The layers of `table`, itself first, each with its geometry column; a table without geometry is one layer."""
    names = [column.name for column in layout.columns if column.dtype.kind is Kind.GEOMETRY]
    return [(table, names[0] if names else None), *((f"{table}_{name}", name) for name in names[1:])]


def view_name(table: str, column: ColumnLayout) -> str:
    """The name of the layer of a geometry column after the first."""
    return f"{table}_{column.name}"


def encode_point(point: Point) -> bytes:
    """A point in GeoPackage's binary format: a header without envelope, then well-known binary, little-endian."""
    kind = 1 if point.dimension == 2 else 1001
    header = struct.pack("<2sBBi", b"GP", 0, 1, point.srid)
    return header + struct.pack(f"<BI{point.dimension}d", 1, kind, *point.coordinates)


def decode_point(data: bytes) -> Point:
    """The inverse of `encode_point`.

    Raises:
        ValueError: the bytes are not such a point.
    """
    if len(data) not in (29, 37) or data[:4] != b"GP\x00\x01":
        raise ValueError(f"expected a point of 29 or 37 bytes in GeoPackage's format, got {data[:8]!r}…")
    (srid,) = struct.unpack_from("<i", data, 4)
    return Point(srid, struct.unpack_from(f"<{(len(data) - 13) // 8}d", data, 13))


def _system(srid: int) -> tuple[str, int, str, int, str]:
    """A row of gpkg_spatial_ref_sys; for an unknown system it holds only the code, which readers look up."""
    if srid in _GEOGRAPHIC:
        name, definition = _GEOGRAPHIC[srid]
        return name, srid, "EPSG", srid, definition
    for base, geographic, zones in _UTM_NORTH:
        if srid - base in zones:
            return _utm(srid, srid - base, *_GEOGRAPHIC[geographic])
    return f"EPSG:{srid}", srid, "EPSG", srid, "undefined"


def _utm(srid: int, zone: int, base_name: str, base: str) -> tuple[str, int, str, int, str]:
    name = f"{base_name} / UTM zone {zone}N"
    parameters = {
        "latitude_of_origin": 0,
        "central_meridian": 6 * zone - 183,
        "scale_factor": 0.9996,
        "false_easting": 500000,
        "false_northing": 0,
    }
    listed = ",".join(f'PARAMETER["{key}",{value}]' for key, value in parameters.items())
    definition = (
        f'PROJCS["{name}",{base},PROJECTION["Transverse_Mercator"],{listed},'
        'UNIT["metre",1,AUTHORITY["EPSG","9001"]],AXIS["Easting",EAST],AXIS["Northing",NORTH],'
        f'AUTHORITY["EPSG","{srid}"]]'
    )
    return name, srid, "EPSG", srid, definition


def _points(table: str, key: str, column: ColumnLayout) -> list[str]:
    """The table of a further geometry column's points, by the integer key of their rows, and what keeps it."""
    points, name = _points_name(view_name(table, column)), column.name
    removed = f'DELETE FROM "{points}" WHERE fid = OLD."{key}"'
    added = f'INSERT INTO "{points}" SELECT NEW."{key}", NEW."{name}" WHERE NEW."{name}" NOTNULL'
    triggers = (("insert", "INSERT", added), ("update", "UPDATE", f"{removed}; {added}"), ("delete", "DELETE", removed))
    return [
        f'CREATE TABLE "{points}" (fid INTEGER PRIMARY KEY NOT NULL, "{name}" POINT NOT NULL)',
        *(
            f'CREATE TRIGGER "{points}_{suffix}" AFTER {event} ON "{table}" BEGIN {action}; END'
            for suffix, event, action in triggers
        ),
    ]


def _points_name(layer: str) -> str:
    return f"rtree_{layer}_points"


def _view(layout: TableLayout, table: str, key: str, shown: ColumnLayout) -> str:
    others = [column.name for column in layout.columns if column.dtype.kind is not Kind.GEOMETRY]
    columns = ", ".join([*(f't."{name}"' for name in others), f'p."{shown.name}"'])
    view = view_name(table, shown)
    # Readers take the column OGC_FID of a view as the identifier of its features.
    return (
        f'CREATE VIEW "{view}" AS SELECT p.fid AS OGC_FID, {columns} '
        f'FROM "{_points_name(view)}" p JOIN "{table}" t ON t."{key}" = p.fid'
    )


def _contents(layer: str, kind: str, srid: int | None) -> str:
    values = _literals([layer, kind, layer, srid])
    return f"INSERT OR REPLACE INTO gpkg_contents (table_name, data_type, identifier, srs_id) VALUES ({values})"


def _geometry(layer: str, column: ColumnLayout) -> str:
    z = int(column.spatial_metadata is not None and column.spatial_metadata.dimension == 3)
    values = _literals([layer, column.name, "POINT", _srid(column), z, 0])
    return f"INSERT OR REPLACE INTO gpkg_geometry_columns VALUES ({values})"


def _srid(column: ColumnLayout) -> int:
    if column.spatial_metadata is None:
        raise ValueError(f"{column.name}: a geometry column without spatial metadata")
    return column.spatial_metadata.srid


def _literals(values: object) -> str:
    """Names and numbers of a checked layout, and texts of this module, as SQL."""
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"expected a list of values, got {values!r}")
    return ", ".join(
        "NULL" if v is None else str(v) if isinstance(v, int) else "'" + v.replace("'", "''") + "'" for v in values
    )
