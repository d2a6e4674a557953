"""Draw what survey roads hold and COCO does not: signs, boards, guard rail, huts and the like, which detectors take for
persons and vehicles. They are pasted into training pictures as things that are to stay visible."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2  # noqa: TID253 - draws
import numpy as np
from numpy.typing import NDArray

from training.furniture import FURNITURE
from training.plates import Sheet, advertisement, direction_board, plates

Rng = np.random.Generator

_METAL: Final = ((70, 70, 72), (120, 122, 125), (165, 168, 170), (200, 202, 204))


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A thing without its surroundings: `pixels` (H, W, 3) RGB, `alpha` (H, W) its coverage of each pixel, 0 to 1."""

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.float32]


def draw(rng: Rng) -> Drawn:
    """A random thing, seen from a random side in random light, cut to its outline's box."""
    names = list(KINDS)
    shares = np.array([KINDS[name][0] for name in names], np.float64)
    name = names[int(rng.choice(len(names), p=shares / shares.sum()))]
    return _finished(KINDS[name][1](rng), rng)


def draw_kind(name: str, rng: Rng) -> Drawn:
    """A thing of one of KINDS."""
    return _finished(KINDS[name][1](rng), rng)


def _finished(sheet: Sheet, rng: Rng) -> Drawn:
    return _cropped(_lit(_turned(sheet, rng), rng))


def _on_post(rng: Rng) -> Sheet:
    """One to three plates on one post, or two for wide ones; sometimes seen from behind."""
    shown = plates(rng)
    widest = max(plate.pixels.shape[1] for plate in shown)
    heights = [plate.pixels.shape[0] for plate in shown]
    post = int(sum(heights) * rng.uniform(0.2, 1.6)) + 20
    gap = int(rng.integers(0, 14))
    sheet = Sheet.empty(sum(heights) + gap * len(shown) + post, widest + 8)
    height, width = sheet.alpha.shape
    colour = _METAL[int(rng.integers(len(_METAL)))]
    thick = max(int(rng.uniform(0.03, 0.075) * 200), 4)
    twin = widest > 240
    for x in (width // 4, 3 * width // 4) if twin else (width // 2,):
        sheet.fill(
            [(x - thick // 2, 6), (x + thick // 2, 6), (x + thick // 2, height), (x - thick // 2, height)], colour
        )
    top = 0
    for plate in shown:
        sheet.put(plate, (width - plate.pixels.shape[1]) // 2, top)
        top += plate.pixels.shape[0] + gap
    return sheet


def _board(rng: Rng, plate: Sheet) -> Sheet:
    """A board on one to four posts, or on none."""
    height, width = plate.alpha.shape
    legs = int(rng.integers(0, 5))
    below = int(height * rng.uniform(0.15, 1.2)) if legs else 0
    sheet = Sheet.empty(height + below, width)
    colour = _METAL[int(rng.integers(len(_METAL)))]
    thick = max(int(width * rng.uniform(0.01, 0.04)), 3)
    for leg in range(legs):
        left, right = (int(width * (leg + 0.5) / legs) + side * thick for side in (-1, 1))
        sheet.fill([(left, height // 2), (right, height // 2), (right, height + below), (left, height + below)], colour)
    sheet.put(plate, 0, 0)
    return sheet


def _direction(rng: Rng) -> Sheet:
    return _board(rng, direction_board(rng))


def _advertisement(rng: Rng) -> Sheet:
    return _board(rng, advertisement(rng))


KINDS: Final[dict[str, tuple[float, Callable[[Rng], Sheet]]]] = {
    "sign": (6.0, _on_post),
    "direction": (2.5, _direction),
    "advertisement": (2.5, _advertisement),
    **FURNITURE,
}
"""How often each kind is drawn, and how."""


def _turned(sheet: Sheet, rng: Rng) -> Sheet:
    """The sheet turned about its vertical axis and a little in its plane, as seen from the road."""
    height, width = sheet.alpha.shape
    yaw = rng.uniform(-1.0, 1.0) if rng.random() < 0.6 else 0.0
    near = 1 + 0.25 * abs(math.sin(yaw)) * rng.random()
    wide = width * max(math.cos(yaw), 0.25)
    left, right = (near, 1.0) if yaw > 0 else (1.0, near)
    lean = math.tan(rng.normal(0, 0.025)) * height
    room = height * 0.2
    corners = np.array(
        [
            [0, room - (left - 1) * height / 2],
            [wide, room - (right - 1) * height / 2],
            [wide + lean, room + height * (1 + right) / 2],
            [lean, room + height * (1 + left) / 2],
        ],
        np.float32,
    )
    corners[:, 0] -= corners[:, 0].min() - 2
    size = (math.ceil(corners[:, 0].max()) + 2, math.ceil(corners[:, 1].max()) + 2)
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    warp = cv2.getPerspectiveTransform(source, corners)
    pixels = cv2.warpPerspective(sheet.pixels, warp, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpPerspective(sheet.alpha, warp, size, flags=cv2.INTER_AREA)
    return Sheet(np.asarray(pixels, np.uint8), np.asarray(alpha, np.uint8))


def _lit(sheet: Sheet, rng: Rng) -> Sheet:
    """The sheet with light from one side, wear, and a camera's noise; backlit in one of four cases."""
    height, width = sheet.alpha.shape
    slope = rng.uniform(-0.3, 0.3, 2)
    light = 1 + slope[0] * np.linspace(-1, 1, height)[:, None] + slope[1] * np.linspace(-1, 1, width)[None, :]
    if rng.random() < 0.25:
        light = light * rng.uniform(0.15, 0.55)
    elif rng.random() < 0.3:  # a shadow's edge across it
        edge = rng.uniform(0, 1) * width + np.linspace(-1, 1, height)[:, None] * rng.uniform(-width, width)
        light = light * np.where(np.arange(width)[None, :] < edge, rng.uniform(0.4, 0.8), 1.0)
    coarse = rng.normal(0, 1, (max(height // 24, 2), max(width // 24, 2))).astype(np.float32)
    wear = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * rng.uniform(0, 9)
    noise = rng.normal(0, rng.uniform(1, 8), (height, width, 1))
    cast = rng.normal(1, 0.06, 3)
    pixels = sheet.pixels * light[..., None] * cast + wear[..., None] + noise
    return Sheet(np.clip(pixels, 0, 255).astype(np.uint8), sheet.alpha)


def _cropped(sheet: Sheet) -> Drawn:
    rows, columns = (np.flatnonzero(sheet.alpha.max(axis=axis) > 16) for axis in (1, 0))
    part = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    return Drawn(sheet.pixels[part], sheet.alpha[part].astype(np.float32) / np.float32(255))
