"""Camera, time of exposure, speed and altitude as they stand in the standard tags."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Any

import pytest
from PIL import Image

from anonymisation.imaging.exif.camera import NO_CAMERA, CameraTags
from anonymisation.imaging.exif.read import read_exif
from tests.imaging.builders import TiffBuilder, with_exif


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "JPEG")
    return buffer.getvalue()


PLAIN = jpeg()


def camera(**tags: Any) -> CameraTags:
    """What is read of a picture with these tags: model, date, speed (with unit), altitude (with reference)."""
    tiff = TiffBuilder("<")
    main = {0x0110: tiff.ascii(tags["model"])} if "model" in tags else {0x0112: tiff.short(1)}
    exif = {0x9003: tiff.ascii(tags["date"])} if "date" in tags else {}
    gps = {}
    if "unit" in tags:
        gps[12] = tiff.ascii(tags["unit"])
    if "speed" in tags:
        gps[13] = tiff.ratio(*tags["speed"])
    if "altitude" in tags:
        gps |= {5: tiff.raw(bytes((tags["below"],)), kind=1), 6: tiff.ratio(*tags["altitude"])}
    return read_exif(with_exif(PLAIN, tiff.build(main, exif, gps)), source=None).camera


@pytest.mark.parametrize(
    ("model", "read"),
    [("Test Camera 5", "Test Camera 5"), ("Cam  ", "Cam"), ("", None), ("  ", None), ("A\0B", "A")],
)
def test_the_model_is_plain_text(model: str, read: str | None) -> None:
    assert camera(model=model).model == read


@pytest.mark.parametrize(
    ("date", "exposed"),
    [
        ("2021:06:02 09:42:46", datetime(2021, 6, 2, 9, 42, 46)),
        ("2021.06.02 09.42.46", datetime(2021, 6, 2, 9, 42, 46)),
        ("2021:06:02 09:42:46.75+02:00", datetime(2021, 6, 2, 9, 42, 46)),
        ("2021:06:02 00:00:00", datetime(2021, 6, 2)),
        ("2021:06:02", None),
        ("2021:06:02 ", None),
        ("2021:06:02   :  :  ", None),
        ("0000:00:00 00:00:00", None),
        ("2021:13:02 09:42:46", None),
        ("yesterday", None),
    ],
)
def test_the_time_of_exposure_needs_a_time_of_day(date: str, exposed: datetime | None) -> None:
    assert camera(date=date).exposed == exposed


@pytest.mark.parametrize(
    ("unit", "speed", "read"),
    [
        ("K", ((1388, 100),), 13.88),
        ("K ", ((0, 1),), 0.0),
        ("M", ((2237, 100),), 10.0),
        ("N", ((20, 1),), 20 / 1.944),
        ("X", ((20, 1),), None),
        ("K", ((20, 0),), None),
    ],
)
def test_a_speed_is_in_metres_per_second(unit: str, speed: Any, read: float | None) -> None:
    assert camera(unit=unit, speed=speed).speed == (read if read is None else pytest.approx(read))
    assert camera(speed=((5, 1),)).speed == 5


def test_the_altitude_is_as_it_stands_whatever_its_reference() -> None:
    assert [camera(altitude=((5172, 100),), below=below).altitude for below in (0, 1, 9)] == [51.72] * 3
    assert camera(altitude=((1, 0),), below=0).altitude is None
    assert camera(altitude=((900_000, 1),), below=0).altitude is None


def test_without_tags_there_is_nothing() -> None:
    assert read_exif(PLAIN, source=None).camera == NO_CAMERA
