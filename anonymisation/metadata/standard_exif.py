"""The record's keys from the standard EXIF tags, for cameras without the vendor's tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anonymisation.metadata.position import digits, point_text

if TYPE_CHECKING:
    from anonymisation.imaging.exif.place import Place


def read_standard_exif(place: Place) -> dict[str, str | None]:
    """Position, heading and quality. Quality is "1" with a position, and "0" without one."""
    position = point_text(digits(place.longitude), digits(place.latitude), digits(place.altitude))
    return {
        "exif_heading": digits(place.heading),
        "exif_gpsposisjon": position,
        "exif_kvalitet": "0" if position is None else "1",
    }
