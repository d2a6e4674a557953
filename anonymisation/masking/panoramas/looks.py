"""The looks at a panorama: what a model is shown of it besides the whole picture, and where that lies.

A `Strip` is the part around the seam, in one piece. A `Cutout` is a photograph as a camera without distortion would
take it in some direction: what stands close to the car or high above it looks in a cutout as models know it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

import cv2  # noqa: TID253 - one of the modules that use it
import numpy as np
from numpy.typing import NDArray

from anonymisation.masking.panoramas.sphere import Degrees, Sphere
from anonymisation.masking.views import PADDING

Pixels = NDArray[np.uint8]
Shares = NDArray[np.float64]

STRIP: Final = 45.0
"""Width of the strip around the seam in degrees: what is wider is found in cutouts."""
FIELD: Final = 100.0
"""Width and height of a cutout in degrees; what is at a cutout's edge is drawn 1 / cos²(50°) = 2.4 times as large."""
MOST_SIDE: Final = 1280
"""Most pixels along a cutout: objects that need more are small enough to be found in the whole picture."""
# Rings of cutouts: pitch in degrees (up is positive) and number of cutouts. docs/how-to/panoramas.md has the figures.
RINGS: Final = ((-45.0, 6), (0.0, 6), (45.0, 3))
_LEAST_SHOWN: Final = 0.2  # a cutout of which the picture shows less than this share is left out
_PROBES: Final = 64  # places along each side of a cutout or a box, to find what they cover
_POLES: Final = (90.0, -90.0)
_REACH: Final = 2 * math.tan(math.radians(FIELD / 2))  # width of a cutout at a distance of 1


@dataclass(frozen=True, slots=True)
class Extent:
    """A box in the panorama: shares of its height (0 to 1) and width; `right` is more than 1 beyond the seam."""

    top: float
    left: float
    bottom: float
    right: float


class Look(Protocol):
    """A part of a panorama, as a model is shown it."""

    @property
    def name(self) -> str:
        """What a person calls it, such as "seam" or "down, 60° to the right"."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        ...

    def places(self, x: Shares, y: Shares) -> tuple[Shares, Shares]:
        """Where places in the panorama lie in the look, as shares of its width and height; outside 0 to 1: nowhere."""
        ...

    def extent(self, box: NDArray[np.float32]) -> Extent:
        """The smallest box in the panorama around a box in the look (ymin, xmin, ymax, xmax, as shares of it)."""
        ...


@dataclass(frozen=True, slots=True)
class Strip:
    """The columns on both sides of the seam: the last `before` of the picture and the first `after`.

    `height` and `width` are those of the panorama, in pixels.
    """

    height: int
    width: int
    before: int
    after: int

    @classmethod
    def around_seam(cls, height: int, width: int) -> Strip:
        """The strip of STRIP degrees."""
        half = max(1, round(width * STRIP / 720))
        return cls(height, width, half, half)

    @property
    def name(self) -> str:
        """See `Look.name`."""
        return "seam"

    @property
    def size(self) -> tuple[int, int]:
        """See `Look.size`."""
        return self.height, self.before + self.after

    def of(self, panorama: Pixels) -> Pixels:
        """The strip (h, w, 3) of a panorama (H, W, 3) uint8."""
        return np.concatenate([panorama[:, self.width - self.before :], panorama[:, : self.after]], axis=1)

    def places(self, x: Shares, y: Shares) -> tuple[Shares, Shares]:
        """See `Look.places`."""
        start = 1 - self.before / self.width
        return np.mod(x - start, 1) * self.width / (self.before + self.after), y

    def extent(self, box: NDArray[np.float32]) -> Extent:
        """See `Look.extent`."""
        top, left, bottom, right = (float(side) for side in box)
        start, length = 1 - self.before / self.width, (self.before + self.after) / self.width
        low, high = start + left * length, start + right * length
        return Extent(top, low, bottom, high) if low < 1 else Extent(top, low - 1, bottom, high - 1)


@dataclass(frozen=True, slots=True)
class Cutout:
    """A square perspective view of FIELD degrees with `side` pixels, towards `yaw` (a longitude) and `pitch`."""

    sphere: Sphere
    yaw: float
    pitch: float
    side: int

    @property
    def name(self) -> str:
        """See `Look.name`."""
        across = f"{self.yaw % 360:.0f}° to the right" if self.yaw % 360 else "ahead"
        return f"{across}, {abs(self.pitch):.0f}° {'up' if self.pitch > 0 else 'down'}" if self.pitch else across

    @property
    def size(self) -> tuple[int, int]:
        """See `Look.size`."""
        return self.side, self.side

    def of(self, panorama: Pixels) -> Pixels:
        """The view (side, side, 3) of a panorama (H, W, 3) uint8, gray where the panorama ends.

        The panorama should have about as many pixels a degree as the view; see `reduced`.
        """
        height, width = panorama.shape[:2]
        x, y = self._in_panorama(*_rays(self.pitch, self.side))
        across, down = (x * width - 0.5).astype(np.float32), (y * height - 0.5).astype(np.float32)
        if self.sphere.wraps:
            np.clip(down, 0, height - 1, out=down)  # at a pole: the border would be the other pole
            return np.asarray(cv2.remap(panorama, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.uint8)
        border = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": (PADDING,) * 3}
        return np.asarray(cv2.remap(panorama, across, down, cv2.INTER_LINEAR, **border), np.uint8)

    def places(self, x: Shares, y: Shares) -> tuple[Shares, Shares]:
        """See `Look.places`."""
        longitude, latitude = (np.deg2rad(angle) for angle in self.sphere.directions(x, y))
        longitude = longitude - math.radians(self.yaw)
        right, up = np.cos(latitude) * np.sin(longitude), np.sin(latitude)
        ahead = np.cos(latitude) * np.cos(longitude)
        pitch = math.radians(self.pitch)
        depth = ahead * math.cos(pitch) + up * math.sin(pitch)
        above = up * math.cos(pitch) - ahead * math.sin(pitch)
        with np.errstate(divide="ignore", invalid="ignore"):
            u, v = 0.5 + right / depth / _REACH, 0.5 - above / depth / _REACH
        hidden = depth <= 1e-6
        return np.where(hidden, -1.0, u), np.where(hidden, -1.0, v)

    def extent(self, box: NDArray[np.float32]) -> Extent:
        """See `Look.extent`. A box around a pole spans the whole width."""
        top, left, bottom, right = (float(side) for side in box)
        down, across = np.linspace(top, bottom, _PROBES), np.linspace(left, right, _PROBES)
        u = np.concatenate([across, np.full(_PROBES, right), across[::-1], np.full(_PROBES, left)])
        v = np.concatenate([np.full(_PROBES, top), down, np.full(_PROBES, bottom), down[::-1]])
        longitude, latitude = _turned(u, v, self.pitch)
        longitude = longitude + self.yaw
        poles = [pole for pole in _POLES if self._holds_pole(pole, box)]
        low, high = min([*latitude, *poles]), max([*latitude, *poles])
        # Boxes are not straight in the panorama: what bulges out between two probes is much less than a probe's step.
        margin = (high - low) / _PROBES
        turned = np.rad2deg(np.unwrap(np.deg2rad(longitude)))
        west, east = float(turned.min()), float(turned.max())
        aside = (east - west) / _PROBES
        x, y = self.sphere.places(np.array([west - aside, east + aside]), np.array([high + margin, low - margin]))
        upper, lower = (float(value) for value in np.clip(y, 0, 1))
        if poles:
            return Extent(upper, 0.0, lower, 1.0)
        if not self.sphere.wraps:
            # The longitudes may be a turn away from those of the picture.
            shift = self._turn * round((0.5 - (x[0] + x[1]) / 2) / self._turn)
            start, end = np.clip(x + shift, 0, 1)
            return Extent(upper, float(start), lower, float(end))
        start = float(np.mod(x[0], 1))
        return Extent(upper, start, lower, start + min(float(x[1] - x[0]), 1.0))

    def shown(self) -> float:
        """The share of the cutout that the panorama shows, 0 to 1."""
        shares = (np.arange(_PROBES) + 0.5) / _PROBES
        x, y = self._in_panorama(*_turned(*np.meshgrid(shares, shares), self.pitch))
        inside = (y >= 0) & (y <= 1) & (self.sphere.wraps | ((x >= 0) & (x <= 1)))
        return float(inside.mean())

    def _in_panorama(self, longitude: Degrees, latitude: Degrees) -> tuple[Shares, Shares]:
        """The places of directions, whose longitudes count from the middle of the view."""
        x, y = self.sphere.places(longitude + self.yaw, latitude)
        return np.mod(x, self._turn), y

    @property
    def _turn(self) -> float:
        """A whole turn, in widths of the picture."""
        return 360 / (self.sphere.right - self.sphere.left)

    def _holds_pole(self, pole: float, box: NDArray[np.float32]) -> bool:
        x, y = self.sphere.places(np.array([self.yaw]), np.array([pole]))
        u, v = self.places(x, y)
        return bool(box[0] <= v[0] <= box[2] and box[1] <= u[0] <= box[3])


def _turned(u: Shares, v: Shares, pitch: float) -> tuple[Degrees, Degrees]:
    """Longitude (from the middle of the view) and latitude of places in a view, shares of its width and height."""
    right, above = (u - 0.5) * _REACH, (0.5 - v) * _REACH
    angle = math.radians(pitch)
    ahead, up = math.cos(angle) - above * math.sin(angle), math.sin(angle) + above * math.cos(angle)
    return np.rad2deg(np.arctan2(right, ahead)), np.rad2deg(np.arctan2(up, np.hypot(right, ahead)))


@lru_cache(maxsize=len(RINGS))
def _rays(pitch: float, side: int) -> tuple[Degrees, Degrees]:
    """Longitude and latitude of each pixel of a view, (side, side) float32: the same for every cutout of a ring."""
    shares = (np.arange(side) + 0.5) / side
    longitude, latitude = (angle.astype(np.float32) for angle in _turned(*np.meshgrid(shares, shares), pitch))
    return longitude, latitude


def cutouts(sphere: Sphere, width: int) -> Iterator[Cutout]:
    """The cutouts of a panorama of this width in pixels; those that show too little of it are left out."""
    across = width / (sphere.right - sphere.left)
    side = min(MOST_SIDE, math.ceil(_REACH * math.degrees(across)))
    for pitch, count in RINGS:
        for number in range(count):
            cutout = Cutout(sphere, number * 360 / count, pitch, side)
            if cutout.shown() >= _LEAST_SHOWN:
                yield cutout


def reduced(panorama: Pixels, sphere: Sphere, side: int) -> Pixels:
    """The panorama (H, W, 3) scaled down to as many pixels a degree as the centre of a cutout of `side` pixels has."""
    height, width = panorama.shape[:2]
    density = math.radians(1) * side / _REACH
    columns = math.ceil(density * (sphere.right - sphere.left))
    if columns >= width:
        return panorama
    rows = max(1, round(height * columns / width))
    return np.asarray(cv2.resize(panorama, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
