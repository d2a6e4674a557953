"""What a GeoPackage says of its layers: the time of their last change, and the box that their points lie in.

Source: OGC GeoPackage Encoding Standard 1.4, 1.1.3 (gpkg_contents). The box is informative: it may be larger than
needed. So a load widens it by its own points and need not look at the others; a row that is moved or deleted leaves it
as it is.
"""
# ruff: noqa: S608 - the statements contain only checked names of a layout

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import Connection

from anonymisation.database.dialects.geopackage import layers
from anonymisation.database.layouts.columns import Row
from anonymisation.database.layouts.geometry import Point
from anonymisation.database.layouts.tables import TableLayout

Box = tuple[float, float, float, float]  # min x, min y, max x, max y

_IS_GEOPACKAGE: Final = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'gpkg_contents'"
_NOW: Final = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
_CHANGED: Final = f"UPDATE gpkg_contents SET last_change = {_NOW} WHERE table_name = ?"
_HAS_BOX: Final = "SELECT min_x IS NOT NULL FROM gpkg_contents WHERE table_name = ?"
_WIDENED: Final = (
    "UPDATE gpkg_contents SET min_x = min(ifnull(min_x, ?1), ?1), min_y = min(ifnull(min_y, ?2), ?2), "
    "max_x = max(ifnull(max_x, ?3), ?3), max_y = max(ifnull(max_y, ?4), ?4) WHERE table_name = ?5"
)


def note_change(connection: Connection, layout: TableLayout, table: str, rows: Sequence[Row]) -> None:
    """Note that `rows` were stored in `table`, for the table and for the layers of its other geometry columns.

    A file of an earlier version has layers without a box: they get one of all their points. A database that is no
    GeoPackage stays as it is.
    """
    if not rows or connection.exec_driver_sql(_IS_GEOPACKAGE).first() is None:
        return
    for layer, column in layers(layout, table):
        connection.exec_driver_sql(_CHANGED, (layer,))
        box = None if column is None else _box(row[column] for row in rows)
        if box is None:
            continue
        if not connection.exec_driver_sql(_HAS_BOX, (layer,)).scalar():
            whole = (
                f'SELECT min(ST_MinX("{column}")), min(ST_MinY("{column}")), max(ST_MaxX("{column}")), '
                f'max(ST_MaxY("{column}")) FROM "{table}"'
            )
            box = connection.exec_driver_sql(whole).one()
        connection.exec_driver_sql(_WIDENED, (*box, layer))


def _box(values: Iterable[object]) -> Box | None:
    places = [value.coordinates for value in values if isinstance(value, Point)]
    if not places:
        return None
    xs, ys = [place[0] for place in places], [place[1] for place in places]
    return min(xs), min(ys), max(xs), max(ys)
