"""What the tests of records share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from anonymisation.imaging.exif.read import ExifTags, Place, Times
from anonymisation.metadata.record import RecordContext


@pytest.fixture(scope="session")
def tags() -> Callable[..., ExifTags]:
    """Makes EXIF tags that hold what is named, and nothing else; `taken` is their DateTimeOriginal."""

    def make(*, present: bool = True, taken: datetime | None = None, **values: Any) -> ExifTags:
        place = {name: values.pop(name) for name in [field.name for field in fields(Place)] if name in values}
        return ExifTags(present, times=Times(taken, taken), place=Place(**place), **values)

    return make


@pytest.fixture
def context(tmp_path: Path) -> RecordContext:
    """The shipped settings, for an input folder in `tmp_path`."""
    return RecordContext(tmp_path, "TilSladding", "Vegbilder\\{relative_input_dir}", "X")


@pytest.fixture(scope="session")
def properties() -> Callable[..., bytes]:
    """Makes the XML of tag 40055 around what is given: the inside, and the attributes of the root."""

    def make(inside: str = "", attributes: str = 'Date="2020-06-02T09:42:46.3948628"') -> bytes:
        text = f'<?xml version="1.0" encoding="utf-8"?><ImageProperties {attributes}>{inside}</ImageProperties>'
        return b"\xef\xbb\xbf" + text.encode()

    return make
