"""Capture folders as the road cars deliver them, made small, and the base folders of a run around them."""

from __future__ import annotations

import io
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anonymisation.chain.run import run_all
from anonymisation.database.target import embedded_url
from anonymisation.files.digests import sha256_of_file
from anonymisation.imaging.jpeg.codec import decode_jpeg
from anonymisation.imaging.mask_file import decode_mask
from anonymisation.masking.detections import Detections
from anonymisation.metadata.record import RECORD_KEYS, record_from_json
from anonymisation.reporting.run_report import RunReport
from anonymisation.reporting.step_reports import MaskReport
from anonymisation.workspace.roots import MARKER
from anonymisation.workspace.workspace import Workspace, open_workspace
from tests.doubles import ScriptedDetector
from tests.imaging.builders import RawEntry, TiffBuilder, scene, with_exif

WIDTH: Final = 144
HEIGHT: Final = 96
CAR_BOX: Final = (0.25, 0.25, 0.75, 0.75)  # shares of height and width
FILL: Final = (255, 0, 0)  # the colour of class 3, car
FOLDER: Final = "TilSladding/2021/EV6/S1D1/F1_2021_05_01"
CAR: Final = Detections.of([CAR_BOX], [0.9], [3])
SECRET_DRIVER: Final = "Kari Sjåfør"

# Everything that a run can write, and the originals go: what most can go wrong with.
FULL: Final[dict[str, Any]] = {
    "remote_json": True, "local_json": True, "archive_json": True, "remote_mask": True, "local_mask": True,
    "archive_mask": True, "write_exif_to_db": True, "delete_input": True, "capture_marker_file": "ready",
}  # fmt: skip


def properties(name: str, second: int, inside: str = "") -> bytes:
    """The vendor's XML of tag 40055, for a picture taken at that second of 1 May 2021, 10:00."""
    text = (
        f'<?xml version="1.0" encoding="utf-8"?><ImageProperties Date="2021-05-01T10:{second // 60:02d}:'
        f'{second % 60:02d}.2500000"><ImageName>D:\\Kjøring\\{name}</ImageName><Driver>{SECRET_DRIVER}</Driver>'
        f"<CarID>CAR 7</CarID><Comment></Comment><Heading>12.5</Heading><GeoTag><dLongitude>10.5</dLongitude>"
        f"<dLatitude>59.5</dLatitude><dAltitude>100</dAltitude></GeoTag><VegComValues><VCCountyNo>50</VCCountyNo>"
        f"<VCRoad>EV6</VCRoad><VCHP>S1D1</VCHP><VCMeter>{second}</VCMeter><VCLane>1</VCLane></VegComValues>"
        f"{inside}</ImageProperties>"
    )
    return b"\xef\xbb\xbf" + text.encode()


def capture(
    number: int,
    name: str = "picture.jpg",
    *,
    xml: bytes | None = None,
    orientation: int = 1,
    exif: Mapping[int, RawEntry] | None = None,
    gps: Mapping[int, RawEntry] | None = None,
) -> bytes:
    """A JPEG with the vendor's EXIF: a smooth scene of its own per `number`, with fine black-and-white grain where
    the scripted car stands. `exif` and `gps` are the standard tags of these directories, little-endian."""
    buffer = io.BytesIO()
    Image.fromarray(pixels_of(number)).save(buffer, "JPEG", quality=92, subsampling=0)
    tiff = TiffBuilder("<")
    main = {
        0x0112: tiff.short(orientation),
        40055: tiff.raw(properties(name, number) if xml is None else xml, kind=7),
        40091: tiff.raw("Ev6 tur".encode("utf-16-le") + b"\0\0"),
    }
    return with_exif(buffer.getvalue(), tiff.build(main, exif, gps))


def plain(number: int) -> bytes:
    """A JPEG without any EXIF."""
    buffer = io.BytesIO()
    Image.fromarray(pixels_of(number)).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def pixels_of(number: int) -> NDArray[np.uint8]:
    """(96, 144, 3): what `capture(number)` shows."""
    pixels = scene(HEIGHT, WIDTH, seed=number).copy()
    top, left, bottom, right = car_window()
    grain = np.random.default_rng(number).integers(0, 2, ((bottom - top) // 8, (right - left) // 8), dtype=np.uint8)
    pixels[top:bottom, left:right] = (grain * 255).repeat(8, 0).repeat(8, 1)[:, :, None]
    return pixels


def car_window() -> tuple[int, int, int, int]:
    """Top, left, bottom, right of the scripted car in pixels."""
    top, left, bottom, right = CAR_BOX
    return int(top * HEIGHT), int(left * WIDTH), int(bottom * HEIGHT), int(right * WIDTH)


@dataclass
class CountingDetector:
    """A scripted detector that remembers what it was shown, and runs `before` first."""

    detections: Detections = CAR
    before: Callable[[NDArray[np.uint8]], None] | None = None
    seen: list[NDArray[np.uint8]] = field(default_factory=list)

    def __call__(self) -> ScriptedDetector:
        """What the chain takes: a function that gives the detector."""
        return ScriptedDetector(self._detect)

    def _detect(self, pixels: NDArray[np.uint8]) -> Detections:
        self.seen.append(pixels.copy())
        if self.before is not None:
            self.before(pixels)
        return self.detections

    @property
    def calls(self) -> int:
        return len(self.seen)


def shows(pixels: NDArray[np.uint8], number: int) -> bool:
    """Whether these are the pixels of `capture(number)`, up to what JPEG changes."""
    return pixels.shape == (HEIGHT, WIDTH, 3) and float(np.abs(pixels.astype(int) - pixels_of(number)).mean()) < 8


class Site:
    """The base folders of a run below one temporary folder, with a small stand-in for a model's files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.input = root / "in"
        self.output = root / "out"
        self.archive = root / "arch"
        self.errors = root / "out_error"
        self.state = root / "out_state"
        self.model = root / "model"
        self.database = Path(embedded_url(self.state).database or "")
        for folder in (self.input, self.model):
            folder.mkdir(exist_ok=True)
        if not (self.model / "saved_model.pb").exists():
            (self.model / "saved_model.pb").write_bytes(b"scripted")

    def workspace(self, *, archive: bool = False, **settings: Any) -> Workspace:
        """A workspace with these settings; retries of an unreachable share are short."""
        quick = {"file_access_retry_seconds": 0.05, "file_access_timeout_seconds": 0.2}
        return open_workspace(
            input_dir=self.input,
            output_dir=self.output,
            archive_dir=self.archive if archive else None,
            overrides={"model_type": str(self.model), **quick, **settings},
        )

    def put(self, name: str, data: bytes, folder: str = FOLDER) -> Path:
        """Lay a file into the input folder."""
        path = self.input / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def fill(self, count: int, folder: str = FOLDER, first: int = 0) -> list[Path]:
        """Lay so many captures into a folder, as `p000.jpg` and so on."""
        numbers = range(first, first + count)
        return [self.put(f"p{n:03d}.jpg", capture(n, f"p{n:03d}.jpg"), folder) for n in numbers]

    def rows(self, sql: str = "SELECT Filnavn, ID FROM PICTURES ORDER BY Filnavn, ID") -> list[tuple[Any, ...]]:
        """Ask the embedded database with the plain driver, past the code under test."""
        if not self.database.exists():
            return []
        connection = sqlite3.connect(self.database)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def run(self, workspace: Workspace, detector: CountingDetector | None = None, **options: Any) -> RunReport:
        """The whole chain over everything."""
        return run_all(workspace, detector or CountingDetector(), **options)


def files_below(folder: Path) -> Iterator[Path]:
    """Every file below a folder, hidden ones too, but not the markers of base folders; no link is followed."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name != MARKER:
                yield Path(place) / name


def names_below(folder: Path) -> list[str]:
    """The sorted paths of all files below a folder, relative to it, with `/`."""
    return sorted(path.relative_to(folder).as_posix() for path in files_below(folder))


def checksums(*folders: Path) -> set[str]:
    """The SHA-256 of every whole-named file below the folders."""
    return {sha256_of_file(path) for folder in folders for path in files_below(folder) if path.name[0] != "."}


def require_whole_files(*folders: Path) -> None:
    """Every picture, mask and record at a final name must decode; what is half-written must carry a hidden name."""
    for path in (path for folder in folders for path in files_below(folder) if not path.name.startswith(".")):
        data = path.read_bytes()
        if path.suffix == ".jpg":
            decode_jpeg(data)
        elif path.suffix in {".webp", ".png"}:
            decode_mask(data)
        elif path.suffix == ".json":
            assert tuple(record_from_json(data)) == RECORD_KEYS, path
        else:
            raise AssertionError(f"{path} is there, and no one should have written it")


def counts(report: MaskReport) -> tuple[int, int, int, int, int]:
    """Pictures found, masked, done already, failed, and known to fail."""
    return report.found, report.masked, report.already_done, report.failed, report.known_failed
