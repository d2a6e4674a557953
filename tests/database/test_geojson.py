"""Rows as GeoJSON, from every kind of database."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from anonymisation.core.errors import ConfigurationError
from anonymisation.database.geojson import FeatureForm, Tally, feature_collection
from anonymisation.database.layouts.geometry import Point
from anonymisation.database.layouts.tables import load_layout
from anonymisation.database.loading.loader import LoadLimits, SourceRecord, load_records
from anonymisation.database.stored_rows import point_of, read_rows
from tests.database.sites import Site, SqliteSite

Make = Callable[..., list[SourceRecord]]


def exported(site: Site, *without: str) -> dict[str, Any]:
    target = site.target()
    pieces = feature_collection(read_rows(target), FeatureForm(target.layout, without), Tally())
    content: dict[str, Any] = json.loads(b"".join(pieces))
    return content


def test_rows_are_features(site: Site, state: Path, limits: LoadLimits, make_records: Make) -> None:
    position = {"exif_gpsposisjon": "srid=4326;POINT Z( 10.5 59.25 51.7 )", "exif_meter": "12.5", "exif_fylke": "6"}
    line = {"senterlinjeposisjon": "srid=25833;POINT Z(47822.5 6815943.5 2.5)"}
    flat = {"exif_gpsposisjon": "srid=4326;POINT( 10.5 59.25 )"}
    records = [*make_records(1, 0, **position, **line), *make_records(1, 1, **flat), *make_records(1, 2)]
    load_records(records, site.target(), state, limits)
    content = exported(site, "JsonData")
    assert content["type"] == "FeatureCollection"
    first, second, third = content["features"]
    assert first["id"] == records[0].record["bildeid"]
    assert first["geometry"] == {"type": "Point", "coordinates": [10.5, 59.25, 51.7]}
    assert second["geometry"]["coordinates"] == [10.5, 59.25]
    assert third["geometry"] is None
    properties = first["properties"]
    assert (properties["Filnavn"], properties["Meter"], properties["FylkeNummer"]) == ("picture_000000.jpg", 12.5, 6)
    assert properties["SenterlinjePosisjon"] == "SRID=25833;POINT(47822.5 6815943.5)"
    assert properties["Tidspunkt"][:19] == "2021-05-01T10:00:00"
    assert properties["Tidspunkt"].endswith("Z")
    assert "JsonData" not in properties
    assert "Posisjon" not in properties


@pytest.mark.parametrize("number", [0, 499, 500, 501, 1100])
def test_every_row_comes_once_in_the_order_of_the_keys(
    number: int, tmp_path: Path, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    site = SqliteSite(tmp_path)
    records = make_records(number)
    load_records([*make_records(1, 9999), *records], site.target(), state, limits)
    keys = [feature["id"] for feature in exported(site)["features"]]
    assert keys == sorted(item.record["bildeid"] for item in [*records, *make_records(1, 9999)])


def test_gdal_reads_it(tmp_path: Path, state: Path, limits: LoadLimits, captured: list[SourceRecord]) -> None:
    program = shutil.which("ogrinfo")
    if program is None:
        pytest.skip("needs GDAL's ogrinfo: run scripts/install_test_services.sh as root (Debian: gdal-bin)")
    site = SqliteSite(tmp_path)
    load_records(captured, site.target(), state, limits)
    path = tmp_path / "rows.geojson"
    target = site.target()
    tally = Tally()
    path.write_bytes(b"".join(feature_collection(read_rows(target), FeatureForm(target.layout), tally)))
    done = subprocess.run([program, "-ro", "-so", "-al", str(path)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert f"Feature Count: {tally.features}" in done.stdout
    assert "Geometry: 3D Point" in done.stdout
    assert 'GEOGCRS["WGS 84"' in done.stdout


def test_a_layout_without_wgs84_and_unknown_columns_are_refused() -> None:
    layout = load_layout("PICTURES")
    with pytest.raises(ConfigurationError, match="no such column"):
        FeatureForm(layout, ["Nothing"])
    others = tuple(column for column in layout.columns if column.name != "Posisjon")
    with pytest.raises(ConfigurationError, match="no geometry column in WGS 84"):
        FeatureForm(layout.model_copy(update={"columns": others}))


@pytest.mark.parametrize(
    ("value", "point"),
    [
        (None, None),
        ("0101000020E610000000000000000025400000000000A04D40", Point(4326, (10.5, 59.25))),
        ("0020000001000010E64025000000000000404DA00000000000", Point(4326, (10.5, 59.25))),
        ("01010000A0E610000000000000000025400000000000A04D400000000000001440", Point(4326, (10.5, 59.25, 5.0))),
        ("0101000020E6100000000000000000F87F000000000000F87F", None),  # POINT EMPTY
        (struct.pack("<2sBBiBI2d", b"GP", 0, 1, 4326, 1, 1, 10.5, 59.25), Point(4326, (10.5, 59.25))),
        (
            SimpleNamespace(SDO_SRID=5973, SDO_POINT=SimpleNamespace(X=1.0, Y=2, Z=None), SDO_GTYPE=2001),
            Point(5973, (1.0, 2.0)),
        ),
    ],
)
def test_points_of_every_driver(value: object, point: Point | None) -> None:
    assert point_of(value) == point


@pytest.mark.parametrize(
    "value",
    ["", "01", "nonsense", "0102000020E610000000000000", b"GP", SimpleNamespace(SDO_SRID=4326, SDO_POINT=None)],
)
def test_other_geometries_are_refused(value: object) -> None:
    with pytest.raises(ValueError):
        point_of(value)
