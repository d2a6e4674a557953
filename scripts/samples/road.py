"""Draws a road as a survey car sees it: sky, hills, asphalt, markings, verges, a wall, and objects on the road.

World coordinates are in metres: x to the right of the camera, z ahead of the camera, heights above the road. A point
appears at column `width/2 + f·(x + bend·z²)/z` and row `horizon + f·(camera height − height)/z`, with f in pixels
(pinhole camera).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cv2  # noqa: TID253
import numpy as np
from numpy.typing import NDArray

from scripts.samples.cutouts import Cutout, FloatImage, texture

CAMERA_METRES: Final = 1.9
FOCAL_SHARE: Final = 0.55  # focal length as a share of the picture's width: a wide lens, about 85 degrees across
HORIZON_SHARE: Final = 0.44
LANE_METRES: Final = 3.5
WALL_METRES: Final = 0.85
WALL_BEYOND_EDGE: Final = 2.2

ASPHALT: Final = (0.36, 0.36, 0.38)
GRAVEL: Final = (0.52, 0.49, 0.45)
GRASS: Final = (0.33, 0.42, 0.20)
WALL: Final = (0.55, 0.50, 0.46)
WHITE: Final = (0.86, 0.86, 0.83)
YELLOW: Final = (0.85, 0.68, 0.18)


@dataclass(frozen=True, slots=True)
class Placed:
    """One cut-out on the road: its name, its position in metres, and whether it is mirrored."""

    name: str
    x: float
    z: float
    mirrored: bool = False

    def __post_init__(self) -> None:
        if self.z < 2:
            raise ValueError(f"expected an object at least 2 m ahead, got {self.z}")


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that one picture shows. The same scene gives the same pixels."""

    width: int
    height: int
    seed: int
    things: tuple[Placed, ...]
    bend: float = 0.0  # metres sideways per square metre ahead; below 0: to the left
    light: float = 1.0
    sky: tuple[float, float, float] = (0.56, 0.70, 0.86)


def draw(scene: Scene, cutouts: Mapping[str, Cutout]) -> NDArray[np.uint8]:
    """Return the picture, uint8 RGB (height, width, 3)."""
    random = np.random.default_rng(scene.seed)
    canvas = _sky_and_hills(scene, random)
    _ground(canvas, scene)
    behind = [thing for thing in scene.things if cutouts[thing.name].half_figure]
    before = [thing for thing in scene.things if not cutouts[thing.name].half_figure]
    for thing in _far_first(behind):
        _set_in(canvas, scene, thing, cutouts[thing.name], stands_on=0.66)
    _wall(canvas, scene)
    for thing in _far_first(before):
        _shadow(canvas, scene, thing)
        _set_in(canvas, scene, thing, cutouts[thing.name], stands_on=0.0)
    canvas = np.asarray(cv2.GaussianBlur(canvas * scene.light, (0, 0), 0.6), np.float32)
    noise = random.normal(0, 0.008, canvas.shape).astype(np.float32)
    return ((canvas + noise).clip(0, 1) * 255).round().astype(np.uint8)


def wall_x() -> float:
    """Return the x of the wall, in metres. Objects behind the wall have a greater x."""
    return LANE_METRES * 0.5 + WALL_BEYOND_EDGE


def _focal(scene: Scene) -> float:
    return scene.width * FOCAL_SHARE


def _horizon(scene: Scene) -> float:
    return scene.height * HORIZON_SHARE


def project(scene: Scene, x: float, height: float, z: float) -> tuple[float, float]:
    """Return the column and the row of a point: x and z in metres, and its height above the road."""
    column = scene.width / 2 + _focal(scene) * (x + scene.bend * z * z) / z
    return column, _horizon(scene) + _focal(scene) * (CAMERA_METRES - height) / z


def _far_first(things: Sequence[Placed]) -> list[Placed]:
    return sorted(things, key=lambda thing: -thing.z)


def _sky_and_hills(scene: Scene, random: np.random.Generator) -> FloatImage:
    top = np.array(scene.sky, np.float32)
    rows = np.linspace(0, 1, scene.height, dtype=np.float32)[:, None, None]
    haze = (rows / HORIZON_SHARE).clip(0, 1)
    canvas = np.broadcast_to(top * (1 - haze) + 0.88 * haze, (scene.height, scene.width, 3)).copy()
    clouds = _soft_noise(random, scene.width, scene.height, cells=7)
    canvas += (clouds.clip(0.1, 1)[:, :, None] - 0.1) * (0.95 - canvas) * 0.9
    for layer, colour in enumerate(((0.50, 0.58, 0.64), (0.36, 0.45, 0.40), (0.22, 0.31, 0.19))):
        _ridge(canvas, scene, random, colour, tall=0.20 - 0.06 * layer, rough=5 + 22 * layer)
    return canvas


def _soft_noise(random: np.random.Generator, width: int, height: int, cells: int) -> FloatImage:
    """Return smooth noise around 0, the sum of four octaves, float32 (height, width)."""
    total = np.zeros((height, width), np.float32)
    for octave in range(4):
        small = random.normal(0, 0.5**octave, (cells * 2**octave, 2 * cells * 2**octave)).astype(np.float32)
        total += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return total


def _ridge(
    canvas: FloatImage, scene: Scene, random: np.random.Generator, colour: Sequence[float], tall: float, rough: int
) -> None:
    line = _soft_noise(random, scene.width, 8, cells=rough)[4]
    top = _horizon(scene) - scene.height * tall * (0.55 + 0.25 * line).clip(0.1, 1.2)
    rows = np.arange(scene.height, dtype=np.float32)[:, None]
    cover = (rows - top[None, :]).clip(0, 1)[:, :, None]
    grain = 1 + 0.10 * random.normal(0, 1, (scene.height, scene.width, 1)).astype(np.float32)
    canvas[:] = (
        canvas * (1 - cover) + np.array(colour, np.float32) * cv2.GaussianBlur(grain, (0, 0), 1.2)[:, :, None] * cover
    )


def _ground(canvas: FloatImage, scene: Scene) -> None:
    first = int(_horizon(scene)) + 2
    rows = np.arange(first, scene.height, dtype=np.float32)[:, None]
    columns = np.arange(scene.width, dtype=np.float32)[None, :]
    per_row = _focal(scene) * CAMERA_METRES / (rows - _horizon(scene))
    z = np.broadcast_to(per_row, (len(rows), scene.width)).astype(np.float32)
    x = ((columns - scene.width / 2) * z / _focal(scene) - scene.bend * z * z).astype(np.float32)
    soft = (z / _focal(scene)).astype(np.float32)  # metres that one pixel covers; edges fade over this width
    edge = LANE_METRES * 1.5, LANE_METRES * 0.5  # the car drives in the right one of two lanes
    grass = _surface("grass", x, z, GRASS, per_metre=260)
    gravel = _surface("gravel", x, z, GRAVEL, per_metre=330)
    asphalt = _surface("gravel", x, z, ASPHALT, per_metre=900)
    asphalt *= 1 - 0.06 * np.exp(-(((np.abs(x) - 0.75) / 0.3) ** 2))[:, :, None]  # wheel tracks
    road = _between(x, -edge[0] - 0.3, edge[1] + 0.3, soft)
    shoulder = _between(x, -edge[0] - 1.1, edge[1] + 1.1, soft)
    ground = grass * (1 - shoulder) + gravel * shoulder
    ground = ground * (1 - road) + asphalt * road
    for left, dashed, colour in ((-edge[0], False, WHITE), (edge[1] - 0.15, False, WHITE), (-edge[1], True, YELLOW)):
        line = _between(x, left, left + 0.15, soft)
        if dashed:
            line = line * (np.mod(z, 9) < 4)[:, :, None]
        ground = ground * (1 - 0.9 * line) + np.array(colour, np.float32) * 0.9 * line
    haze = (z / 260).clip(0, 0.7)[:, :, None]
    canvas[first:] = ground * (1 - haze) + 0.72 * haze


def _between(x: FloatImage, left: float, right: float, soft: FloatImage) -> FloatImage:
    inside = ((x - left) / soft + 0.5).clip(0, 1) * ((right - x) / soft + 0.5).clip(0, 1)
    return np.asarray(inside, np.float32)[:, :, None]


def _surface(name: str, x: FloatImage, z: FloatImage, colour: Sequence[float], per_metre: float) -> FloatImage:
    """Lay a texture on the road plane. With distance, the texture fades to its mean, as in a camera."""
    values = texture(name)
    columns = np.mod(x * per_metre, values.shape[1] - 1).astype(np.float32)
    rows = np.mod(z * per_metre, values.shape[0] - 1).astype(np.float32)
    fine = cv2.remap(values, columns, rows, cv2.INTER_LINEAR)
    coarse = cv2.remap(values, np.mod(columns / 9, 510), np.mod(rows / 9, 510), cv2.INTER_LINEAR)
    contrast = (9 / z).clip(0, 1) * 0.45
    shade = 1 + (fine - 1) * contrast + (coarse - 1) * 0.20 * (25 / z).clip(0, 1)
    return np.asarray(shade[:, :, None] * np.array(colour, np.float32), np.float32)


def _wall(canvas: FloatImage, scene: Scene) -> None:
    """Draw a low wall along the right verge, from far to near, with stones from the brick texture."""
    bricks = texture("brick").T
    for z in np.geomspace(90, 2.2, 1400):
        column, foot = project(scene, wall_x(), 0.0, float(z))
        following, _ = project(scene, wall_x(), 0.0, float(z) * 0.997)
        _, crest = project(scene, wall_x(), WALL_METRES, float(z))
        left, right = int(min(column, following)), int(max(column, following)) + 2
        top, bottom = max(int(crest), 0), min(int(foot), scene.height)
        if left >= scene.width or right <= 0 or bottom <= top:
            continue
        share = (np.arange(top, bottom) - crest) / max(foot - crest, 1)
        stone = np.interp(share * 300, np.arange(512), bricks[:, int(z * 220) % 512])
        shade = (1 + (stone - 1) * min(1.0, 9 / z)) * np.where(share < 0.12, 1.25, 1.0)
        canvas[top:bottom, max(left, 0) : right] = (shade[:, None] * np.array(WALL))[:, None, :]


def _shadow(canvas: FloatImage, scene: Scene, thing: Placed) -> None:
    column, row = project(scene, thing.x, 0.0, thing.z)
    metre = _focal(scene) / thing.z
    dark = np.zeros(canvas.shape[:2], np.float32)
    axes = (int(metre * 1.0), max(int(metre * 0.16), 2))
    cv2.ellipse(dark, (int(column), int(row - metre * 0.08)), axes, 0, 0, 360, 1.0, -1)
    soft = np.asarray(cv2.GaussianBlur(dark, (0, 0), max(metre * 0.06, 1)), np.float32)
    canvas *= 1 - 0.55 * soft[:, :, None]


def _set_in(canvas: FloatImage, scene: Scene, thing: Placed, cutout: Cutout, stands_on: float) -> None:
    metre = _focal(scene) / thing.z
    tall = max(round(cutout.metres_tall * metre), 2)
    wide = max(round(tall * cutout.pixels.shape[1] / cutout.pixels.shape[0]), 2)
    source = cutout.pixels[:, ::-1] if thing.mirrored else cutout.pixels
    patch = cv2.resize(source, (wide, tall), interpolation=cv2.INTER_AREA)
    column, row = project(scene, thing.x, stands_on, thing.z)
    left, top = int(column - wide / 2), int(row) - tall
    seen_left, seen_top = max(left, 0), max(top, 0)
    region = canvas[seen_top : max(top + tall, 0), seen_left : max(left + wide, 0)]
    part = patch[seen_top - top :, seen_left - left :][: region.shape[0], : region.shape[1]]
    alpha = part[:, :, 3:]
    region[:] = region * (1 - alpha) + part[:, :, :3] * alpha
