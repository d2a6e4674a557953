"""The part of the sphere that an equirectangular picture shows.

Longitudes count to the right from the centre of the whole panorama, latitudes upwards from the horizon, both in
degrees. In an equirectangular picture columns are evenly spaced in longitude and rows in latitude.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from anonymisation.core.settings import Settings

IMAGE_TYPE: Final = "360"
"""`image_type` of 360° pictures in the records of 2022."""
LEAST_WIDTH: Final = 512
"""Columns from which a picture counts as a panorama by its aspect alone; smaller ones are drawings or thumbnails."""
_ASPECT: Final = 0.005  # how far a panorama's aspect may be from 2:1
_WHOLE: Final = 360.0
# An edge this close to the other one, in degrees, meets it: the numbers of GPano are whole pixels.
_MEETS: Final = 0.5

Degrees = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Sphere:
    """The longitudes and latitudes of the edges of a picture, in degrees; the default is the whole sphere.

    Raises:
        ValueError: the edges do not enclose a part of the sphere.
    """

    left: float = -180.0
    right: float = 180.0
    top: float = 90.0
    bottom: float = -90.0

    def __post_init__(self) -> None:
        if not (0 < self.right - self.left <= _WHOLE + _MEETS and -90.01 <= self.bottom < self.top <= 90.01):
            raise ValueError(f"expected a part of the sphere, got {self}")

    @property
    def wraps(self) -> bool:
        """Whether the right edge meets the left one."""
        return self.right - self.left >= _WHOLE - _MEETS

    @classmethod
    def around(cls, height: int, width: int) -> Self | None:
        """The sphere of a picture of all longitudes, centred on the horizon; None for a picture too high for that."""
        half = min(180 * height / width, 90.0)
        return cls(top=half, bottom=-half) if height <= width * (0.5 + _ASPECT) else None

    @classmethod
    def of_gpano(cls, values: Mapping[str, float | int | str], height: int, width: int) -> Self | None:
        """The part of the sphere by the properties of GPano; None for another projection, or a part that cannot be.

        Without the numbers of the cropped area the picture shows all longitudes. The numbers may be those of a larger
        picture that was scaled to `height` × `width`.
        """
        if values.get("ProjectionType", "equirectangular") != "equirectangular":
            return None
        names = ("FullPano{}Pixels", "CroppedAreaImage{}Pixels")
        sizes = [[values.get(name.format(side)) for side in ("Width", "Height")] for name in names]
        corner = [values.get(f"CroppedArea{side}Pixels", 0) for side in ("Left", "Top")]
        numbers = [number for pair in (*sizes, corner) for number in pair]
        if not all(isinstance(number, (int, float)) for number in numbers):
            return cls.around(height, width)
        full_width, full_height, own_width, own_height, left, top = (float(number or 0) for number in numbers)
        across, down = _WHOLE / full_width, 180 / full_height
        edges = (
            left * across - 180,
            (left + own_width) * across - 180,
            90 - top * down,
            90 - (top + own_height) * down,
        )
        try:
            return cls(*edges)
        except ValueError:
            return cls.around(height, width)

    def directions(self, x: Degrees, y: Degrees) -> tuple[Degrees, Degrees]:
        """Longitude and latitude of places in the picture, given as shares of its width and height."""
        return self.left + x * (self.right - self.left), self.top - y * (self.top - self.bottom)

    def places(self, longitude: Degrees, latitude: Degrees) -> tuple[Degrees, Degrees]:
        """The places of directions, as shares of width and height; outside 0 to 1 where the picture does not show them.

        The longitude is not wrapped: one turn further right is one width of a whole panorama further right.
        """
        x = (longitude - self.left) / (self.right - self.left)
        return x, (self.top - latitude) / (self.top - self.bottom)


def sphere_of(
    size: tuple[int, int], gpano: Mapping[str, float | int | str] | None, settings: Settings
) -> Sphere | None:
    """The sphere of an upright picture; None if it is not a panorama, or panoramas are searched as flat pictures.

    A panorama is a picture with GPano's properties of an equirectangular one, with the image type "360", or with an
    aspect of 2:1 and at least LEAST_WIDTH columns.

    Args:
        size: height and width in pixels.
        gpano: the properties by name; None without any.
        settings: `panorama_views` and `image_type` count.
    """
    height, width = size
    if not settings.panorama_views:
        return None
    if gpano is not None and ("ProjectionType" in gpano or "FullPanoWidthPixels" in gpano):
        return Sphere.of_gpano(gpano, height, width)
    if settings.image_type == IMAGE_TYPE:
        return Sphere.around(height, width)
    is_whole = width >= LEAST_WIDTH and abs(height / width - 0.5) <= _ASPECT
    return Sphere() if is_whole else None
