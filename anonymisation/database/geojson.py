"""The rows of a table as GeoJSON, one feature at a time.

Source: RFC 7946. Positions are WGS 84, longitude before latitude, with the altitude in metres where it is known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from anonymisation.core.errors import ConfigProblem, ConfigurationError
from anonymisation.database.fast_json import encode
from anonymisation.database.layouts.datatypes import Kind
from anonymisation.database.layouts.formatters import Value
from anonymisation.database.layouts.geometry import Point
from anonymisation.database.layouts.reference_systems import plane_of
from anonymisation.database.layouts.tables import TableLayout

WGS84: Final = 4326

# Two-dimensional columns, by the formatter of the column that has their altitude.
_ALTITUDES: Final = {"Hoyde": "Posisjon_2d"}


@dataclass(slots=True)
class Tally:
    """The features written so far, and how many of them have no position."""

    features: int = 0
    without_position: int = 0


class FeatureForm:
    """The form of a layout's rows as features. The first geometry in WGS 84 is the feature's own; any other is a
    property, as text with its reference system.

    Raises:
        ConfigurationError: no column has positions in WGS 84, or `without` names a column that there is not.
    """

    def __init__(self, layout: TableLayout, without: Collection[str] = ()) -> None:
        unknown = sorted(set(without) - {column.name for column in layout.columns})
        if unknown:
            raise ConfigurationError([ConfigProblem(layout.name, name, "there is no such column") for name in unknown])
        shown = next(
            (
                column
                for column in layout.columns
                if column.spatial_metadata is not None and plane_of(column.spatial_metadata.srid) == WGS84
            ),
            None,
        )
        if shown is None:
            message = f"has no geometry column in WGS 84 (EPSG:{WGS84}), and GeoJSON knows no other reference system"
            raise ConfigurationError([ConfigProblem("table layout", layout.name, message)])
        self._key = layout.pk_column
        self._shown = shown.name
        self._altitude = next(
            (column.name for column in layout.columns if _ALTITUDES.get(column.formatter) == shown.formatter), None
        )
        self._properties = [
            (column.name, column.dtype.kind is Kind.TIME)
            for column in layout.columns
            if column.name != shown.name and column.name not in without
        ]

    def feature(self, row: Mapping[str, Value]) -> dict[str, object]:
        """The feature of a row; its `id` is the primary key."""
        point, altitude = row[self._shown], None if self._altitude is None else row[self._altitude]
        return {
            "type": "Feature",
            "id": row[self._key],
            "geometry": _geometry(point, altitude) if isinstance(point, Point) else None,
            "properties": {name: _property(row[name], is_time=is_time) for name, is_time in self._properties},
        }


def feature_collection(rows: Iterable[Mapping[str, Value]], form: FeatureForm, tally: Tally) -> Iterator[bytes]:
    """The pieces of a GeoJSON file, a feature a line; `tally` counts them."""
    yield b'{"type":"FeatureCollection","features":[\n'
    for row in rows:
        feature = form.feature(row)
        separator = b",\n" if tally.features else b""
        tally.features += 1
        tally.without_position += feature["geometry"] is None
        yield separator + encode(feature)
    yield b"\n]}\n"


def _geometry(point: Point, altitude: Value) -> dict[str, object]:
    known = point.dimension == 2 and isinstance(altitude, (int, float))
    coordinates = [*point.coordinates, altitude] if known else [*point.coordinates]
    return {"type": "Point", "coordinates": coordinates}


def _property(value: Value, *, is_time: bool) -> Value:
    if isinstance(value, Point):
        return value.ewkt()
    if is_time and isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value
