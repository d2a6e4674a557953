"""The record's keys from the standard EXIF tags, for cameras without the vendor's tags."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from anonymisation.metadata.position import point_text

if TYPE_CHECKING:
    from anonymisation.imaging.exif.read import ExifTags


def read_standard_exif(exif: ExifTags) -> dict[str, str | None]:
    """Position, heading and quality. Quality is "1" with a position, and "0" without one."""
    position = point_text(_digits(exif.longitude), _digits(exif.latitude), _digits(exif.altitude))
    return {
        "exif_heading": _digits(exif.heading),
        "exif_gpsposisjon": position,
        "exif_kvalitet": "0" if position is None else "1",
    }


def _digits(number: float | None) -> str | None:
    """The shortest digits that convert back to `number`, without an exponent: some readers of EWKT know none."""
    return None if number is None else f"{Decimal(repr(float(number))):f}"
