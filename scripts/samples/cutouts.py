"""Cuts people and a motorcycle out of free photographs in the scikit-image wheel.

Nothing is downloaded: the files are in the data folder of the installed package. Each cut-out is a float32 array
(height, width, 4) with values 0..1: RGB, and the share of the pixel that belongs to the object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import cv2  # noqa: TID253
import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]
ByteImage = NDArray[np.uint8]

# Disparity in pixels between the two views of the motorcycle. The motorcycle has a greater disparity, the garage behind
# it a smaller one. The floor in front is as near as the wheels, but its disparity grows with the row.
MOTORCYCLE_DISPARITY: Final = 33.0
MOTORCYCLE_ABOVE_FLOOR: Final = 1.2  # pixels of disparity by which an object exceeds the floor in its row
PALE: Final = 0.62
PHOTOGRAPHER_WAIST: Final = 430  # the lawn shows between his legs from this row on
MOTORCYCLE_OUTLINE: Final = (
    (75, 175), (140, 160), (240, 165), (330, 175), (392, 110), (455, 75), (490, 50), (520, 85), (575, 100), (580, 170),
    (600, 250), (645, 285), (685, 330), (695, 400), (668, 455), (625, 458), (560, 420), (520, 370), (430, 400),
    (335, 442), (300, 440), (270, 398), (200, 408), (140, 395), (110, 345), (115, 290), (75, 235),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cutout:
    """One object to set into a picture: its pixels and its real height."""

    pixels: FloatImage
    metres_tall: float
    half_figure: bool  # ends at the waist and must stand behind something

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 4:
            raise ValueError(f"expected pixels of shape (height, width, 4), got {self.pixels.shape}")
        if self.metres_tall <= 0:
            raise ValueError(f"expected a height above 0 m, got {self.metres_tall}")


def photograph_folder() -> Path:
    """Return the data folder of the installed scikit-image; raise RuntimeError if the package is missing."""
    found = find_spec("skimage")
    if found is None or not found.submodule_search_locations:
        raise RuntimeError("the sample captures need the package scikit-image: install requirements.lock (make does)")
    return Path(found.submodule_search_locations[0]) / "data"


def texture(name: str) -> FloatImage:
    """Return a gray texture (gravel, grass, brick) as float32 (height, width), scaled to a mean of 1."""
    gray = cv2.imread(str(photograph_folder() / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
    if gray is None:
        raise RuntimeError(f"{photograph_folder() / name}.png cannot be read; reinstall scikit-image")
    values = gray.astype(np.float32)
    return np.asarray(values / values.mean(), np.float32)


def load_cutouts() -> Mapping[str, Cutout]:
    """Return every object by name: `astronaut`, `photographer`, `motorcycle`."""
    return {
        "astronaut": Cutout(_astronaut(), metres_tall=1.0, half_figure=True),
        "photographer": Cutout(_photographer(), metres_tall=1.25, half_figure=True),
        "motorcycle": Cutout(_motorcycle(), metres_tall=1.25, half_figure=False),
    }


def _astronaut() -> FloatImage:
    pixels = _read("astronaut.png")
    labels = np.full(pixels.shape[:2], cv2.GC_PR_BGD, np.uint8)
    body = [(20, 511), (25, 430), (50, 300), (75, 255), (120, 225), (150, 150), (150, 60), (180, 18), (225, 12),
            (275, 25), (300, 75), (290, 130), (275, 170), (310, 200), (315, 250), (345, 310), (360, 340), (430, 342),
            (490, 385), (507, 450), (511, 511)]  # fmt: skip
    cv2.fillPoly(labels, [np.array(body)], cv2.GC_PR_FGD)
    sure = [(60, 500), (70, 350), (130, 280), (185, 130), (190, 50), (250, 45), (265, 110), (240, 190), (290, 270),
            (320, 360), (420, 370), (480, 430), (490, 505)]  # fmt: skip
    cv2.fillPoly(labels, [np.array(sure)], cv2.GC_FGD)
    outside = cv2.dilate((labels != cv2.GC_PR_BGD).astype(np.uint8), np.ones((15, 15), np.uint8)) == 0
    labels[outside] = cv2.GC_BGD
    return _cut(pixels, _grown(pixels, labels))


def _photographer() -> FloatImage:
    pixels = _read("camera.png")
    labels = np.full(pixels.shape[:2], cv2.GC_BGD, np.uint8)
    man = [(0, 511), (0, 250), (20, 190), (60, 130), (130, 110), (150, 65), (210, 52), (265, 75), (285, 130),
           (330, 135), (340, 215), (300, 275), (215, 330), (160, 400), (150, 511)]  # fmt: skip
    cv2.fillPoly(labels, [np.array(man)], cv2.GC_PR_FGD)
    sure = [(5, 505), (12, 270), (75, 200), (140, 150), (190, 120), (195, 85), (230, 80), (255, 150), (220, 230),
            (240, 270), (170, 310), (120, 420), (130, 505)]  # fmt: skip
    cv2.fillPoly(labels, [np.array(sure)], cv2.GC_FGD)
    grown = _grown(pixels, labels)
    grown[(pixels[:, :, 1] > PALE) & (labels != cv2.GC_FGD)] = 0  # the buildings behind him are pale, his coat is not
    grown[PHOTOGRAPHER_WAIST:] = 0
    tinted = pixels * np.array([1.04, 1.0, 0.95], np.float32)  # the photograph is gray: a touch of warmth
    return _cut(tinted.clip(0, 1), grown)


def _motorcycle() -> FloatImage:
    pixels = _read("motorcycle_left.png")
    with np.load(photograph_folder() / "motorcycle_disp.npz") as archive:
        disparity = np.nan_to_num(archive["arr_0"], posinf=0.0)
    rows = np.arange(disparity.shape[0], dtype=np.float32)[:, None]
    floor = _floor_disparity(disparity, rows)
    near = (disparity > MOTORCYCLE_DISPARITY) & (disparity > floor + MOTORCYCLE_ABOVE_FLOOR)
    outline = np.zeros(near.shape, np.uint8)
    cv2.fillPoly(outline, [np.array(MOTORCYCLE_OUTLINE)], 1)
    inside = (near & (outline == 1)).astype(np.uint8)
    return _cut(pixels, np.asarray(cv2.morphologyEx(inside, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)), np.uint8))


def _floor_disparity(disparity: FloatImage, rows: FloatImage) -> FloatImage:
    """Fit a straight line to the bare floor of the garage. Return the disparity of each row, shape (rows, 1)."""
    bare = np.zeros(disparity.shape, bool)
    bare[380:490, :60] = True
    bare[470:495, 200:600] = True
    bare &= disparity > 0
    slope, offset = np.polyfit(np.broadcast_to(rows, disparity.shape)[bare], disparity[bare], 1)
    return np.asarray(slope * rows + offset, np.float32)


def _grown(pixels: FloatImage, labels: ByteImage) -> ByteImage:
    """Run GrabCut (Rother et al. 2004) from the given labels, with a fixed seed so that the cut is always the same."""
    cv2.setRNGSeed(1)
    picture = (pixels[:, :, ::-1] * 255).astype(np.uint8)
    unused = (0, 0, 1, 1)  # the rectangle counts only where no labels are given
    cv2.grabCut(picture, labels, unused, np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_MASK)
    mask = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)), np.uint8)


def _cut(pixels: FloatImage, mask: ByteImage) -> FloatImage:
    """Return the largest connected part of the mask, with a soft edge, cropped to its box."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    if count < 2:
        raise RuntimeError("the photograph yields no cut-out; reinstall scikit-image")
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    left, top, width, height = (int(stats[largest, i]) for i in range(4))
    alpha = cv2.GaussianBlur((labels == largest).astype(np.float32), (0, 0), 0.8)
    whole = np.dstack([pixels, alpha]).astype(np.float32)
    return whole[top : top + height, left : left + width]


def _read(name: str) -> FloatImage:
    path = photograph_folder() / name
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise RuntimeError(f"{path} cannot be read; reinstall scikit-image")
    return np.asarray(pixels[:, :, ::-1], np.float32) / np.float32(255)
