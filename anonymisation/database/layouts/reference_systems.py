"""Coordinate reference systems that have the same plane coordinates and differ in their heights only.

The road network step places centre lines in EPSG:5973: EPSG:25833 (ETRS89 / UTM zone 33N) with heights of NN2000.
Without its height, such a point is one of EPSG:25833, digit by digit.

Source: the table of compound systems of the EPSG registry (https://epsg.org) for WGS 84 and for the zones of Norway.
"""

from __future__ import annotations

from typing import Final

_ETRS89: Final = 4258
_WGS84: Final = 4326
_UTM_31: Final = 25831  # ETRS89 / UTM zone 31N; the zones follow one another
_NTM_5: Final = 5105  # ETRS89 / NTM zone 5; likewise

_PLANE: Final[dict[int, int]] = {
    4937: _ETRS89,  # with ellipsoidal heights
    5942: _ETRS89,  # with heights of NN2000
    6144: _ETRS89,  # of NN54
    4979: _WGS84,  # with ellipsoidal heights
    9518: _WGS84,  # of EGM2008
    9705: _WGS84,  # above mean sea level
    9707: _WGS84,  # of EGM96
    **{5971 + zone: _UTM_31 + zone for zone in range(6)},  # NN2000
    **{6171 + zone: _UTM_31 + zone for zone in range(6)},  # NN54
    **{5945 + zone: _NTM_5 + zone for zone in range(26)},  # NN2000
    **{6145 + zone: _NTM_5 + zone for zone in range(26)},  # NN54
}


def plane_of(srid: int) -> int:
    """The system of the first two coordinates of EPSG:`srid`: itself, unless it states heights as well."""
    return _PLANE.get(srid, srid)


def states_heights(srid: int) -> bool:
    """Whether EPSG:`srid` says what its heights are measured from, as far as it is known here."""
    return srid in _PLANE
