"""The record's keys that the standard EXIF tags give, for cameras that know nothing of the vendor's."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from anonymisation.metadata.position import point_text

if TYPE_CHECKING:
    from anonymisation.imaging.exif.read import ExifTags


def read_standard_exif(exif: ExifTags) -> dict[str, str | None]:
    """Position, heading and quality. Quality is "1" with a position; without one, the path is all there is: "0"."""
    position = point_text(_digits(exif.longitude), _digits(exif.latitude), _digits(exif.altitude))
    return {
        "exif_heading": _digits(exif.heading),
        "exif_gpsposisjon": position,
        "exif_kvalitet": "0" if position is None else "1",
    }


def _digits(number: float | None) -> str | None:
    """The shortest digits that give `number` back, never with an exponent, which readers of EWKT need not know."""
    return None if number is None else f"{Decimal(repr(float(number))):f}"
