"""Points with a coordinate reference system, in records and databases."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Final

import msgspec

from anonymisation.database.layouts.reference_systems import plane_of, states_heights

# Each digit can match in one way only: otherwise a long text takes a time that grows with the square of its length.
_NUMBER: Final = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|nan"
_POINT: Final = re.compile(
    rf"\s*srid\s*=\s*(?P<srid>[0-9]{{1,9}})\s*;\s*point(?:\s*z)?\s*"
    rf"\(\s*(?P<x>{_NUMBER})\s+(?P<y>{_NUMBER})(?:\s+(?P<z>{_NUMBER}))?\s*\)\s*",
    re.IGNORECASE | re.ASCII,
)
# The form in which records have it, for speed.
_USUAL: Final = re.compile(r"srid=([0-9]{1,9});POINT Z\( (-?[0-9]+\.[0-9]+) (-?[0-9]+\.[0-9]+) (-?[0-9]+\.[0-9]+) \)")
_EMPTY: Final = re.compile(r"(?:srid\s*=\s*[0-9]{1,9}\s*;\s*)?point(?:\s*z)?\s+empty", re.IGNORECASE | re.ASCII)


class Point(msgspec.Struct, frozen=True, gc=False, eq=False):
    """A point in the coordinate reference system EPSG:`srid`.

    `coordinates` is (x, y) or (x, y, z), that is (longitude, latitude[, altitude]) in degrees and metres for 4326, and
    (easting, northing[, height]) in metres for projected systems. All are finite.

    `own_srid` is the reference system that the record states, if `srid` is that of the column and has the same
    coordinates. Databases whose columns have one system store `srid`; Oracle stores the point's own.

    A msgspec struct, since a row takes two and a dataclass takes three times as long.
    """

    srid: int
    coordinates: tuple[float, ...]
    own_srid: int | None = None

    def __post_init__(self) -> None:
        if self.srid > 0 and 2 <= len(self.coordinates) <= 3 and math.isfinite(sum(self.coordinates)):
            return  # a finite sum has finite parts, and costs a third of asking for each
        if self.srid <= 0:
            raise ValueError(f"expected a positive SRID, got {self.srid}")
        if len(self.coordinates) not in (2, 3) or not all(map(math.isfinite, self.coordinates)):
            raise ValueError(f"expected 2 or 3 finite coordinates, got {self.coordinates}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Point):
            return NotImplemented
        return self.srid == other.srid and self.coordinates == other.coordinates  # whatever the record states

    def __hash__(self) -> int:
        return hash((self.srid, self.coordinates))

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return len(self.coordinates)

    @property
    def height(self) -> float | None:
        """The third coordinate, in metres; None for a point with two coordinates."""
        return self.coordinates[2] if self.dimension == 3 else None

    def flat(self) -> Point:
        """The same point without its height."""
        return Point(self.srid, self.coordinates[:2])

    def ewkt(self) -> str:
        """Extended well-known text as PostGIS reads it, e.g. `SRID=4326;POINT(9.5 59.25)`."""
        kind = "POINT" if len(self.coordinates) == 2 else "POINT Z"
        return f"SRID={self.srid};{kind}({' '.join([repr(part) for part in self.coordinates])})"


def is_empty_point(text: str) -> bool:
    """Whether the text is that of no point: blank, or `POINT EMPTY`, with a reference system or without."""
    stripped = text.strip()
    return not stripped or _EMPTY.fullmatch(stripped) is not None


def same_coordinates(point: Point, srid: int) -> bool:
    """Whether the point has the same coordinates in EPSG:`srid`. A height must have the same zero, or none stated."""
    if plane_of(point.srid) != plane_of(srid):
        return False
    return point.dimension == 2 or point.srid == srid or not states_heights(srid)


@lru_cache(maxsize=1024)  # several columns use the same points
def parse_point(text: str) -> Point:
    """Read `srid=4326;POINT Z( 9.5 59.25 51.7 )`; a height of NaN counts as none.

    Raises:
        ValueError: the text is not a point of this form.
    """
    match = _USUAL.fullmatch(text) or _POINT.fullmatch(text)
    if match is None:
        raise ValueError(f"expected srid=<number>;POINT Z( <x> <y> <z> ), got {text!r}")
    srid, x, y, z = match.groups()
    plane = (float(x), float(y))
    return Point(int(srid), plane if z is None or math.isnan(height := float(z)) else (*plane, height))
