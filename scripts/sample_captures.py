"""Write a few sample captures: `python -m scripts.sample_captures FOLDER`.

Makes three capture folders, as a survey car leaves them, below `FOLDER/TilSladding`. The people and the motorcycle are
from free photographs in the scikit-image wheel (astronaut: NASA, public domain; camera: Lav Varshney, CC0; motorcycle:
Middlebury stereo data sets of 2014, D. Scharstein et al.), set into drawn roads. The pictures are the same every time.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from PIL import Image

from scripts.samples.cutouts import load_cutouts
from scripts.samples.road import Placed, Scene, draw, wall_x
from scripts.samples.vendor_exif import Station, vendor_exif

JPEG_QUALITY: Final = 92
BEHIND: Final = wall_x() + 0.6


@dataclass(frozen=True, slots=True)
class SampleFolder:
    """One capture folder: its place in the tree, the names of its pictures, and the scene of each picture."""

    folder: str
    name: str  # the name of a picture, with {metre} as a placeholder
    road: str
    section: str
    county: int
    lane: str
    begins: datetime
    latitude: float
    longitude: float
    scenes: tuple[Scene, ...]


def _scene(size: tuple[int, int], seed: int, *things: Placed, bend: float = 0.0, light: float = 1.0) -> Scene:
    overcast = light < 0.95
    return Scene(*size, seed, things, bend, light, (0.70, 0.74, 0.78) if overcast else (0.56, 0.70, 0.86))


LARGE: Final = (2692, 1032)
MIDDLE: Final = (1920, 1080)  # not 2:1, which is the shape of panoramas
SMALL: Final = (1346, 516)

SAMPLES: Final = (
    SampleFolder(
        "TilSladding/2026/EV00006/S57/D1/F1_2026_10_05", "EV00006_S57D1_m{metre:05d}_f1.jpg", "EV006", "S57D1", 46, "1",
        datetime.fromisoformat("2026-10-05T09:41:03.120"), 61.2145, 6.5662,
        (
            _scene(LARGE, 11, Placed("motorcycle", -2.1, 7.5), Placed("astronaut", BEHIND, 6.4), bend=0.0012),
            _scene(LARGE, 12, Placed("motorcycle", 0.9, 6.5, True), Placed("motorcycle", -2.2, 15), bend=-0.001),
            _scene(LARGE, 13, Placed("astronaut", BEHIND, 5.9, True), Placed("photographer", BEHIND, 8.6, True)),
            _scene(LARGE, 14, Placed("motorcycle", -1.8, 11.0, True), bend=0.002),
        ),
    ),
    SampleFolder(
        "TilSladding/2026/FV00013/S1/D1/F2_2026_10_06", "FV00013_S1D1_m{metre:05d}_f2.jpg", "FV013", "S1D1", 46, "2",
        datetime.fromisoformat("2026-10-06T14:02:17.480"), 61.1832, 6.5371,
        (
            _scene(MIDDLE, 21, Placed("photographer", BEHIND, 6.2, True), light=0.85),
            _scene(MIDDLE, 22, Placed("motorcycle", -2.4, 6.2), Placed("astronaut", BEHIND, 6.8), light=0.85),
            _scene(MIDDLE, 23, bend=-0.002, light=0.85),
        ),
    ),
    SampleFolder(
        "TilSladding/06/2026/06_Fv286/Hp01_Damåsen/F1_2026_10_06", "Fy06_Fv286_hp01_f1_m{metre:05d}.jpg", "FV286", "1",
        6, "1", datetime.fromisoformat("2026-10-06T15:30:44.060"), 59.7631, 9.8989,
        (
            _scene(SMALL, 31, Placed("motorcycle", 0.5, 5.0), Placed("photographer", BEHIND, 6.5, True), light=0.92),
            _scene(SMALL, 32, Placed("astronaut", BEHIND, 6.0), Placed("motorcycle", -2.0, 9.0, True), light=0.92),
            _scene(SMALL, 33, Placed("motorcycle", -2.3, 5.5), Placed("motorcycle", 0.4, 12.0, True), light=0.92),
        ),
    ),
)  # fmt: skip


def write_samples(base: Path) -> list[Path]:
    """Write every sample picture below `base` (created if missing) and return their paths, in order."""
    cutouts = load_cutouts()
    written = []
    for sample in SAMPLES:
        folder = base / sample.folder
        folder.mkdir(parents=True, exist_ok=True)
        for number, scene in enumerate(sample.scenes, start=1):
            station = _station(sample, number)
            path = folder / station.recorder_path.rpartition("\\")[2]
            picture = Image.fromarray(draw(scene, cutouts))
            picture.save(path, quality=JPEG_QUALITY, subsampling="4:2:0", exif=vendor_exif(station, number))
            written.append(path)
    return written


def _station(sample: SampleFolder, number: int) -> Station:
    metre = 20 * number
    name = sample.name.format(metre=metre)
    below = sample.folder.partition("/")[2].replace("/", "\\")
    return Station(
        taken=sample.begins + timedelta(seconds=1.7 * number),
        recorder_path=f"D:\\Samples\\{below}\\{name}",
        road=sample.road,
        section=sample.section,
        county=sample.county,
        lane=sample.lane,
        metre=float(metre),
        latitude=round(sample.latitude + 0.00018 * number, 6),
        longitude=round(sample.longitude + 0.0002 * number, 6),
        altitude=48.5 + number,
        heading=302.25,
    )


def main() -> None:
    """Write the samples into the folder named on the command line, and print their number."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="base folder; created if missing")
    folder = parser.parse_args().folder
    written = write_samples(folder)
    print(f"{len(written)} sample pictures in {len(SAMPLES)} folders below {folder}")


if __name__ == "__main__":
    main()
