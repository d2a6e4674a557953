"""The captures of a night: small drawn roads with people and vehicles, made as in `scripts.sample_captures`."""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scripts.sample_captures import BEHIND
from scripts.samples.cutouts import load_cutouts
from scripts.samples.road import Placed, Scene, draw
from scripts.samples.vendor_exif import Station, vendor_exif

WIDTH: Final = 1346  # a quarter of the cars' picture, half in each direction
HEIGHT: Final = 516
THINGS: Final[tuple[tuple[Placed, ...], ...]] = (
    (Placed("motorcycle", 0.5, 5.0), Placed("photographer", BEHIND, 6.5, True)),
    (Placed("astronaut", BEHIND, 6.0), Placed("motorcycle", -2.0, 9.0, True)),
    (Placed("motorcycle", -2.3, 5.5), Placed("motorcycle", 0.4, 12.0, True)),
    (Placed("astronaut", BEHIND, 5.9, True), Placed("photographer", BEHIND, 8.6, True)),
    (Placed("motorcycle", -2.1, 7.5), Placed("astronaut", BEHIND, 6.4)),
    (Placed("photographer", BEHIND, 6.2, True),),
    (),
)
BEGINS: Final = datetime.fromisoformat("2021-05-01T08:00:00")


def write_captures(base: Path, names: Iterable[str]) -> None:
    """Write a capture for each of the relative paths below `base`; the scenes come again, times and places do not."""
    scenes = drawn()
    for number, name in enumerate(names):
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_capture(scenes[number % len(scenes)], number, name))


def drawn() -> tuple[NDArray[np.uint8], ...]:
    """The scenes: uint8 RGB (516, 1346, 3)."""
    cutouts = load_cutouts()
    bends = (0.0, 0.0012, -0.001)
    return tuple(
        draw(Scene(WIDTH, HEIGHT, 41 + number, things, bends[number % len(bends)]), cutouts)
        for number, things in enumerate(THINGS)
    )


def _capture(pixels: NDArray[np.uint8], number: int, name: str) -> bytes:
    station = Station(
        taken=BEGINS + timedelta(seconds=2 * number),
        recorder_path="D:\\Samples\\" + name.replace("/", "\\"),
        road="EV006",
        section="S1D1",
        county=50,
        lane="1",
        metre=20.0 * number,
        latitude=round(61.2 + 0.00018 * number, 6),
        longitude=round(6.5 + 0.0002 * number, 6),
        altitude=48.5,
        heading=302.25,
    )
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=92, subsampling="4:2:0", exif=vendor_exif(station, number + 1))
    return buffer.getvalue()
