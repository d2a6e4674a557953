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
# A picture that lacks no more than this of a whole turn, in degrees, or exceeds it by that, shows a whole turn: the
# numbers of GPano are whole pixels, and stitchers lose a column.
_MEETS: Final = 0.5
_ROUNDING: Final = 1e-6
# GPano's properties of the whole panorama and of the part in the picture, in pixels; the values if absent.
_CROP: Final[Mapping[str, int | None]] = {
    "FullPanoWidth": None,
    "FullPanoHeight": None,
    "CroppedAreaImageWidth": None,
    "CroppedAreaImageHeight": None,
    "CroppedAreaLeft": 0,
    "CroppedAreaTop": 0,
}

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
        if not (0 < self.right - self.left <= _WHOLE + _ROUNDING and -90.01 <= self.bottom < self.top <= 90.01):
            raise ValueError(f"expected a part of the sphere, got {self}")

    @property
    def wraps(self) -> bool:
        """Whether the right edge meets the left one."""
        return self.right - self.left >= _WHOLE - _ROUNDING

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
        given = [values.get(f"{name}Pixels", default) for name, default in _CROP.items()]
        numbers = [float(number) for number in given if isinstance(number, (int, float))]
        if len(numbers) < len(_CROP):
            return cls.around(height, width)
        full_width, full_height, own_width, own_height, across, down = numbers
        if min(full_width, full_height) <= 0:
            return cls.around(height, width)
        left, top = (across / full_width % 1 - 0.5) * _WHOLE, 90 - down / full_height * 180
        length = own_width / full_width * _WHOLE
        if abs(length - _WHOLE) <= _MEETS:
            length = _WHOLE
        try:
            return cls(left, left + length, top, top - own_height / full_height * 180)
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
