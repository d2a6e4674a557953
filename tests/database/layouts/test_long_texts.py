"""A picture may hold any text as any value. A long one becomes a record and a row in little time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from anonymisation.database.layouts.columns import row_from_record
from anonymisation.database.layouts.tables import load_layout
from anonymisation.imaging.exif.read import ExifTags
from anonymisation.metadata.record import RECORD_KEYS, RecordContext, build_record
from tests.limits import bounded, preload

preload(__name__)

LENGTH: Final = 100_000
TEXTS: Final = {
    "digits": "9" * LENGTH + "x",
    "points": "1." * (LENGTH // 2),
    "spaces": "srid=4326;point" + " " * LENGTH + "x",
    "numbers": "srid=4326;POINT Z( " + "9" * LENGTH + "x 2 3 )",
    "references": "_S1D" * (LENGTH // 4),
    "lanes": "_f1" * (LENGTH // 3),
    "folders": "\\" * LENGTH,
    "escapes": "&amp;" + "amp;" * (LENGTH // 4),
    "a character of many digits": "&amp;#" + "1" * LENGTH,
}
ELEMENTS: Final = (
    "<ImageName>{0}</ImageName><Heading>{0}</Heading>",
    "<GeoTag><dLongitude>{0}</dLongitude><dLatitude>{0}</dLatitude><dAltitude>{0}</dAltitude></GeoTag>",
    "<VegComValues><VCRoad>{0}</VCRoad><VCHP>{0}</VCHP><VCMeter>{0}</VCMeter></VegComValues>",
)


def records_and_rows(text: str) -> int:
    """Make both; their number."""
    return records(text) + rows(text)


def records(text: str) -> int:
    """Make records whose XML has the text in each place; their number."""
    context = RecordContext(Path("/in"), "TilSladding", "Vegbilder/{fylke}", "v")
    for element in ELEMENTS:
        xml = f'<ImageProperties Date="2021-05-01T10:00:00">{element.format(text)}</ImageProperties>'
        tags = ExifTags(present=True, image_properties=xml.encode())
        build_record(Path("/in/x.jpg"), tags, context, objects={})
    return len(ELEMENTS)


def rows(text: str) -> int:
    """Make rows of records that have the text as each value; how many there are."""
    tried = 0
    for table in ("PICTURES", "VEGBILDER"):
        layout = load_layout(table)
        for key in RECORD_KEYS:
            record: dict[str, Any] = {**dict.fromkeys(RECORD_KEYS), key: text}
            tried += len(row_from_record(layout, record)) > 0
    return tried


@pytest.mark.parametrize("name", TEXTS)
def test_a_long_text_costs_little(name: str) -> None:
    assert bounded(records_and_rows, TEXTS[name], seconds=5) == len(ELEMENTS) + 2 * len(RECORD_KEYS)
