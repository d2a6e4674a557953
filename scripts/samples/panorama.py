"""Draws 360° pictures (equirectangular) with objects at known places, and says which pixels belong to them.

The camera stands at the centre of the sphere. An object is a flat card that stands upright and faces the camera, at an
azimuth in degrees (0: the picture's centre, positive to the right, ±180: the seam) and a distance in metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2  # noqa: TID253
import numpy as np
from numpy.typing import NDArray

from scripts.samples.cutouts import ByteImage, FloatImage

CAMERA_METRES: Final = 2.5
SKY: Final = (0.66, 0.74, 0.85)
GROUND: Final = (0.43, 0.43, 0.44)
_GRAIN: Final = 0.03
_EDGE: Final = 2  # pixels around a card, for rounding


@dataclass(frozen=True, slots=True)
class Card:
    """An object in a panorama: `pixels` (h, w, 4) float32 0..1, RGB and opacity, and where it stands.

    `foot` is the height of its lower edge above the camera in metres, `tall` its own height in metres.
    """

    pixels: FloatImage
    azimuth: float
    distance: float
    foot: float
    tall: float

    @property
    def half_wide(self) -> float:
        """Half of its width in metres."""
        return self.tall * self.pixels.shape[1] / self.pixels.shape[0] / 2


def empty_panorama(height: int, seed: int = 0) -> ByteImage:
    """(height, 2 · height, 3) uint8: sky above, ground below, and a little noise."""
    random = np.random.default_rng(seed)
    below = np.linspace(-90, 90, height)[:, None, None]
    share = 1 / (1 + np.exp(-below))
    grain = random.normal(0, _GRAIN, (height // 4, height // 2)).astype(np.float32)
    noise = cv2.resize(grain, (2 * height, height))[:, :, None]
    pixels = np.array(SKY) * (1 - share) + np.array(GROUND) * share + noise
    return np.asarray((pixels.clip(0, 1) * 255).round(), np.uint8)


def set_in(panorama: ByteImage, card: Card) -> NDArray[np.bool_]:
    """Draw a card into a panorama (H, 2H, 3) uint8, which is written to; returns its pixels, (H, 2H) bool."""
    height, width = panorama.shape[:2]
    columns, rows = _part(card, height, width)
    right = np.tan(np.deg2rad((columns + 0.5) / width * 360 - 180 - card.azimuth))[None, :]
    ahead = np.cos(np.arctan(right))
    up = np.tan(np.deg2rad(90 - (rows + 0.5) / height * 180))[:, None] / ahead
    tall, wide = card.pixels.shape[:2]
    across = (right * card.distance + card.half_wide) / (2 * card.half_wide) * wide + 0 * up
    down = (card.foot + card.tall - up * card.distance) / card.tall * tall + 0 * right
    shown = _scaled(card.pixels, float(np.diff(across, axis=1).mean()))
    scale = shown.shape[1] / wide
    maps = ((values * scale - 0.5).astype(np.float32) for values in (across, down))
    seen = np.asarray(cv2.remap(shown, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT), np.float32)
    place = np.ix_(rows, np.mod(columns, width))
    opacity = seen[:, :, 3:]
    panorama[place] = (panorama[place] * (1 - opacity) + 255 * seen[:, :, :3] * opacity).round().clip(0, 255)
    drawn = np.zeros((height, width), np.bool_)
    drawn[place] = opacity[:, :, 0] > 0.5
    return drawn


def _part(card: Card, height: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The columns (beyond the seam: not within the picture) and rows that a card may cover."""
    half = np.rad2deg(np.arctan2(card.half_wide, card.distance))
    corner = np.hypot(card.distance, card.half_wide)
    edges = [
        np.rad2deg(np.arctan2(level, far))
        for level in (card.foot, card.foot + card.tall)
        for far in (card.distance, corner)
    ]
    first, last = ((card.azimuth + side * half + 180) / 360 * width for side in (-1, 1))
    top, bottom = ((90 - edge) / 180 * height for edge in (max(edges), min(edges)))
    columns = np.arange(int(first) - _EDGE, int(last) + 1 + _EDGE)
    return columns, np.arange(max(0, int(top) - _EDGE), min(height, int(bottom) + 1 + _EDGE))


def _scaled(pixels: FloatImage, step: float) -> FloatImage:
    """The card, smaller where its pixels are closer together than the panorama's (`step` of them for each)."""
    if step <= 1:
        return pixels
    opacity = pixels[:, :, 3:]
    covered = np.concatenate([pixels[:, :, :3] * opacity, opacity], axis=2)
    small = np.asarray(cv2.resize(covered, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA), np.float32)
    small[:, :, :3] /= np.maximum(small[:, :, 3:], 1e-3)
    return small
