"""Draw typical mistakes of the built-in model: `python -m scripts.model_mistakes docs/understand`.

Writes two pictures: false finds on a survey road without anybody (signs, boards, delineators, a hut), and people of
several sizes in drizzle, of whom the small ones are missed. The roads, signs and the hut are drawn; the people are from
the sample captures. The boxes and scores are the real model's, with the default settings.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2  # noqa: TID253
import numpy as np
from numpy.typing import NDArray

from anonymisation.core.settings import load_settings
from anonymisation.masking.detections import Detections
from anonymisation.masking.detector import Detector
from anonymisation.masking.geometry import union
from anonymisation.masking.labels import label_of
from anonymisation.masking.models.factory import load_detector
from scripts.samples.cutouts import Cutout, load_cutouts
from scripts.samples.road import Placed, Scene, draw, project, wall_x

Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels

SIZE: Final = (2692, 1032)  # of the survey pictures
QUALITY: Final = 82
SHOWN_WIDTH: Final = 1400
FOG: Final = 0.7  # share of the fog in every pixel
FOG_GRAY: Final = 150
LENS_BLUR: Final = 3.0  # pixels
_POLE: Final = (120, 122, 125)
_SNOW_POLE: Final = (235, 235, 232)
_INK: Final = (35, 35, 35)
_HIDDEN: Final = (255, 90, 0)
_MISSED: Final = (220, 0, 60)
_ENOUGH: Final = 0.4  # of a person's box is hidden: more than the background around the person


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that stands at a road: its kind, and its place in metres."""

    kind: str
    x: float
    z: float


# Far ones first: nearer things are drawn over them.
ROADSIDE: Final = (
    Thing("hut", -13.0, 42), Thing("delineator", 3.6, 62), Thing("delineator", -7.0, 58), Thing("board", 8.0, 46),
    Thing("delineator", 3.6, 40), Thing("delineator", -7.0, 36), Thing("limit", 4.6, 30), Thing("priority", -7.6, 26),
    Thing("delineator", 3.6, 24), Thing("cabinet", -9.5, 22), Thing("delineator", -7.0, 18), Thing("number", 5.6, 16),
    Thing("delineator", 3.4, 13), Thing("hut", 11.5, 19), Thing("limit", 5.0, 10), Thing("delineator", -6.6, 9),
)  # fmt: skip
FALSE_SCENE: Final = Scene(*SIZE, 71, ())
# Each far one in a direction of its own, so that no find covers two of them.
PEOPLE: Final = (
    Placed("photographer", wall_x() + 0.6, 9), Placed("astronaut", wall_x() + 1.2, 16), Placed("photographer", 6.4, 28),
    Placed("photographer", 18, 45), Placed("astronaut", 43, 65), Placed("photographer", 58, 80),
    Placed("photographer", -16, 80), Placed("astronaut", -32, 105), Placed("photographer", -54, 140),
    Placed("astronaut", -96, 190), Placed("photographer", -170, 260),
)  # fmt: skip
PEOPLE_SCENE: Final = Scene(*SIZE, 72, PEOPLE, light=0.6, sky=(0.62, 0.64, 0.68))  # at dusk


def main() -> None:
    """Draw both pictures into the folder named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    detector = load_detector(load_settings().settings)
    cutouts = load_cutouts()
    empty = draw(FALSE_SCENE, cutouts)
    for thing in ROADSIDE:
        _set_up(empty, thing)
    empty = np.asarray(cv2.GaussianBlur(empty, (0, 0), 0.7), np.uint8)
    write(folder / "model_false_finds.jpg", empty, detector)
    people = [_box(thing, cutouts[thing.name]) for thing in PEOPLE]
    write(folder / "model_misses.jpg", _in_drizzle(draw(PEOPLE_SCENE, cutouts)), detector, people)


def _in_drizzle(pixels: Pixels) -> Pixels:
    """The picture through fog and a wet lens."""
    blurred = cv2.GaussianBlur(pixels, (0, 0), LENS_BLUR)
    return np.asarray((blurred * (1 - FOG) + FOG_GRAY * FOG).round(), np.uint8)


def write(path: Path, pixels: Pixels, detector: Detector, people: Sequence[Box] = ()) -> None:
    """Write the picture with the model's finds drawn into it, and the people whom it misses; print both."""
    found = detector.detect(pixels)
    hidden = union(found, *pixels.shape[:2])
    print(f"{path.name}: {found.counts()}, {float(hidden.mean()):.4f} of the pixels hidden; {found.as_json()}")
    shown = _with_boxes(pixels, found)
    for left, top, right, bottom in people:
        share = float(hidden[top:bottom, left:right].mean())
        print(f"a person {bottom - top} pixels high: {share:.2f} hidden")
        if share < _ENOUGH:
            _label(shown, (left, top, right, bottom), "missed", _MISSED)
    height = round(shown.shape[0] * SHOWN_WIDTH / shown.shape[1])
    small = cv2.resize(shown, (SHOWN_WIDTH, height), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def _with_boxes(pixels: Pixels, found: Detections) -> Pixels:
    shown = pixels.copy()
    height, width = shown.shape[:2]
    boxes = found.object_boxes()
    for number, row in found.best_instances().items():
        top, left, bottom, right = (round(float(side)) for side in boxes[number] * [height, width, height, width])
        text = f"{label_of(int(found.classes[row]))} {found.scores[row]:.2f}"
        _label(shown, (left, top, right, bottom), text, _HIDDEN)
    return shown


def _label(pixels: Pixels, box: Box, text: str, colour: Sequence[int]) -> None:
    left, top, right, bottom = box
    cv2.rectangle(pixels, (left - 4, top - 4), (right + 4, bottom + 4), tuple(colour), 4)
    place = (left - 4, max(top - 12, 30)) if colour == _HIDDEN else (left - 4, bottom + 38)
    for ink, thickness in (((255, 255, 255), 6), (colour, 2)):
        cv2.putText(pixels, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.8, tuple(ink), thickness, cv2.LINE_AA)


def _box(thing: Placed, cutout: Cutout) -> Box:
    """The box of someone who stands behind the wall, in pixels."""
    column, foot = project(PEOPLE_SCENE, thing.x, 0.66, thing.z)
    tall = cutout.metres_tall * PEOPLE_SCENE.width * 0.55 / thing.z
    wide = tall * cutout.pixels.shape[1] / cutout.pixels.shape[0]
    left, top, right, bottom = (round(side) for side in (column - wide / 2, foot - tall, column + wide / 2, foot))
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _set_up(pixels: Pixels, thing: Thing) -> None:
    """Draw one thing where it stands."""
    metre = FALSE_SCENE.width * 0.55 / thing.z
    column, row = project(FALSE_SCENE, thing.x, 0.0, thing.z)
    draw_kind = {
        "limit": _limit, "priority": _priority, "number": _number, "board": _board, "delineator": _delineator,
        "hut": _hut, "cabinet": _cabinet,
    }[thing.kind]  # fmt: skip
    draw_kind(pixels, column, row, metre)


def _rectangle(pixels: Pixels, left: float, top: float, right: float, bottom: float, colour: Sequence[int]) -> None:
    ends = (round(left), round(top)), (max(round(right), round(left)), max(round(bottom), round(top)))
    cv2.rectangle(pixels, *ends, tuple(map(int, colour)), -1)


def _pole(pixels: Pixels, x: float, foot: float, metre: float, tall: float) -> None:
    _rectangle(pixels, x - 0.035 * metre, foot - tall * metre, x + 0.035 * metre, foot, _POLE)


def _text(pixels: Pixels, text: str, x: float, y: float, tall: float, colour: Sequence[int]) -> None:
    scale = tall / 21
    thickness = max(round(tall / 7), 1)
    (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    place = (round(x - wide / 2), round(y + high / 2))
    cv2.putText(pixels, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, tuple(colour), thickness, cv2.LINE_AA)


def _limit(pixels: Pixels, x: float, foot: float, metre: float) -> None:
    """A speed limit of 50, and below it a yellow diamond and the number of the road, on one post."""
    _pole(pixels, x, foot, metre, 3.2)
    centre = (round(x), round(foot - 3.0 * metre))
    cv2.circle(pixels, centre, round(0.38 * metre), (196, 30, 40), -1, cv2.LINE_AA)
    cv2.circle(pixels, centre, round(0.29 * metre), (240, 240, 238), -1, cv2.LINE_AA)
    _text(pixels, "50", *centre, 0.3 * metre, _INK)
    _diamond(pixels, x, foot - 2.25 * metre, 0.38 * metre)
    _rectangle(pixels, x - 0.42 * metre, foot - 1.8 * metre, x + 0.42 * metre, foot - 1.5 * metre, (20, 105, 70))
    _text(pixels, "E134", x, foot - 1.65 * metre, 0.17 * metre, (245, 245, 245))


def _priority(pixels: Pixels, x: float, foot: float, metre: float) -> None:
    _pole(pixels, x, foot, metre, 2.4)
    _diamond(pixels, x, foot - 2.2 * metre, 0.42 * metre)


def _diamond(pixels: Pixels, x: float, y: float, side: float) -> None:
    for reach, colour in ((side, (240, 240, 238)), (0.72 * side, (240, 190, 30))):
        corners = [(x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y)]
        cv2.fillPoly(pixels, [np.array(corners).round().astype(np.int32)], colour, cv2.LINE_AA)


def _number(pixels: Pixels, x: float, foot: float, metre: float) -> None:
    """A green board with a place and a distance."""
    for side in (-0.8, 0.8):
        _pole(pixels, x + side * metre, foot, metre, 2.6)
    _rectangle(pixels, x - 1.2 * metre, foot - 2.7 * metre, x + 1.2 * metre, foot - 1.5 * metre, (235, 235, 232))
    _rectangle(pixels, x - 1.14 * metre, foot - 2.64 * metre, x + 1.14 * metre, foot - 1.56 * metre, (20, 105, 70))
    _text(pixels, "Drammen 24", x, foot - 2.35 * metre, 0.22 * metre, (245, 245, 245))
    _text(pixels, "Oslo 64", x, foot - 1.9 * metre, 0.22 * metre, (245, 245, 245))


def _board(pixels: Pixels, x: float, foot: float, metre: float) -> None:
    """An advertising board."""
    _rectangle(pixels, x - 2.2 * metre, foot - 3.0 * metre, x + 2.2 * metre, foot - 0.6 * metre, (225, 225, 220))
    _rectangle(pixels, x - 2.1 * metre, foot - 2.9 * metre, x + 2.1 * metre, foot - 1.9 * metre, (40, 70, 140))
    _text(pixels, "BAKERY", x, foot - 2.4 * metre, 0.6 * metre, (245, 235, 90))
    _text(pixels, "open today", x, foot - 1.2 * metre, 0.4 * metre, (150, 30, 30))


def _delineator(pixels: Pixels, x: float, foot: float, metre: float) -> None:
    _rectangle(pixels, x - 0.06 * metre, foot - 1.0 * metre, x + 0.06 * metre, foot, _SNOW_POLE)
    _rectangle(pixels, x - 0.06 * metre, foot - 0.88 * metre, x + 0.06 * metre, foot - 0.66 * metre, _INK)


def _cabinet(pixels: Pixels, x: float, foot: float, metre: float) -> None:
    _rectangle(pixels, x - 0.4 * metre, foot - 1.3 * metre, x + 0.4 * metre, foot, (120, 128, 122))
    _rectangle(pixels, x - 0.02 * metre, foot - 1.25 * metre, x + 0.02 * metre, foot, (80, 85, 82))


def _hut(pixels: Pixels, x: float, foot: float, metre: float) -> None:
    """A dark hut without windows, which looks like the back of a lorry."""
    _rectangle(pixels, x - 1.5 * metre, foot - 2.6 * metre, x + 1.5 * metre, foot, (48, 42, 38))
    roof = [(x - 1.8 * metre, foot - 2.5 * metre), (x, foot - 3.4 * metre), (x + 1.8 * metre, foot - 2.5 * metre)]
    cv2.fillPoly(pixels, [np.array(roof).round().astype(np.int32)], (70, 66, 62), cv2.LINE_AA)
    _rectangle(pixels, x - 0.5 * metre, foot - 2.0 * metre, x + 0.5 * metre, foot, (32, 28, 26))


if __name__ == "__main__":
    main()
