"""Panoramas whose content is known for every direction."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from anonymisation.masking.detections import Detections

GREEN = (40, 220, 60)


def sphere_picture(height: int, width: int) -> NDArray[np.uint8]:
    """(height, width, 3) uint8: each pixel holds its direction, as x, y, z of a point on the sphere."""
    longitude = np.deg2rad((np.arange(width) + 0.5) / width * 360 - 180)
    latitude = np.deg2rad(90 - (np.arange(height) + 0.5) / height * 180)[:, None]
    axes = (np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude))
    values = np.stack(np.broadcast_arrays(*axes), axis=-1)
    return np.rint((values + 1) * 127).astype(np.uint8)


def disc(height: int, width: int, longitude: float, latitude: float, radius: float) -> NDArray[np.bool_]:
    """(height, width) bool: the directions within `radius` degrees of one direction; all in degrees."""
    lon = np.deg2rad((np.arange(width) + 0.5) / width * 360 - 180 - longitude)
    lat = np.deg2rad(90 - (np.arange(height) + 0.5) / height * 180)[:, None]
    centre = np.deg2rad(latitude)
    cosine = np.sin(lat) * np.sin(centre) + np.cos(lat) * np.cos(centre) * np.cos(lon)
    return np.asarray(cosine >= np.cos(np.deg2rad(radius)), np.bool_)


@dataclass
class GreenDetector:
    """Marks every connected green area as one object: its box, and its exact shape at 29 × 29 samples.

    Like a model it finds only what is whole and undistorted: `most_stretched` is the greatest ratio of the box's
    sides. It remembers the sizes of the pictures that it saw.
    """

    most_stretched: float = 1.6
    kind: int = 1
    seen: list[tuple[int, int]] = field(default_factory=list)
    identity: str = "green@0"

    def detect(self, pixels: NDArray[np.uint8]) -> Detections:
        """Find the green areas of (H, W, 3)."""
        import cv2

        height, width = pixels.shape[:2]
        self.seen.append((height, width))
        green = np.all(np.abs(pixels.astype(np.int16) - GREEN) < 60, axis=2).astype(np.uint8)
        boxes, masks = [], []
        _, _, stats, _ = cv2.connectedComponentsWithStats(green, connectivity=8)
        for left, top, across, down, _ in stats[1:].tolist():
            if max(across, down) > self.most_stretched * min(across, down) or min(across, down) < 3:
                continue
            boxes.append([top / height, left / width, (top + down) / height, (left + across) / width])
            part = green[top : top + down, left : left + across].astype(np.float32)
            rows, columns = (np.linspace(0, count - 1, 29).astype(np.float32) for count in (down, across))
            masks.append(cv2.remap(part, *np.meshgrid(columns, rows), cv2.INTER_LINEAR))
        if not boxes:
            return Detections.empty()
        return Detections.of(boxes, [0.9] * len(boxes), [self.kind] * len(boxes), np.clip(masks, 0, 1))


def with_discs(
    height: int, width: int, *discs: tuple[float, float, float]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A gray panorama with green discs (longitude, latitude, radius), and where they are."""
    picture = np.full((height, width, 3), 90, np.uint8)
    where = np.zeros((height, width), np.bool_)
    for one in discs:
        where |= disc(height, width, *one)
    picture[where] = GREEN
    return picture, where
