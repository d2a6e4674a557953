"""`anonymise db export`: the table as a GeoJSON file."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from anonymisation.database.dialects.rtree import register_functions
from tests.cli.records import db, put_record

pytestmark = pytest.mark.usefixtures("person")

PLACE = "srid=4326;POINT Z( 10.5 59.25 51.7 )"


def test_the_rows_become_a_file(database: Path, tmp_path: Path) -> None:
    put_record(tmp_path / "records", "p1.json", exif_gpsposisjon=PLACE)
    put_record(tmp_path / "records", "p2.json", 2)
    assert db("load", "-i", str(tmp_path / "records")).exit_code == 0
    path = tmp_path / "new/rows.geojson"
    result = db("export", "-o", str(path), "--without", "JsonData")
    assert result.exit_code == 0
    said = " ".join(result.stdout.split())
    assert "2 features in" in said
    assert "1 of them without a position" in said
    features = json.loads(path.read_text("utf-8"))["features"]
    assert [feature["properties"]["Filnavn"] for feature in features] == ["p1.jpg", "p2.jpg"]
    assert features[0]["geometry"]["coordinates"] == [10.5, 59.25, 51.7]


def test_without_a_table_nothing_is_written(database: Path, tmp_path: Path) -> None:
    result = db("export", "-o", str(tmp_path / "rows.geojson"))
    assert result.exit_code == 2
    assert "the table is not there" in result.stderr
    assert not database.exists()
    assert not list(tmp_path.glob("*.geojson"))


@pytest.mark.parametrize("arguments", [["--without", "Nothing"], ["--format", "geoparquet"]])
def test_mistakes_of_usage(arguments: list[str], database: Path, tmp_path: Path) -> None:
    assert db("export", "-o", str(tmp_path / "rows.geojson"), *arguments).exit_code == 2


def test_a_row_that_cannot_be_exported_leaves_the_old_file(database: Path, tmp_path: Path) -> None:
    put_record(tmp_path / "records", "p1.json", exif_gpsposisjon=PLACE)
    assert db("load", "-i", str(tmp_path / "records")).exit_code == 0
    path = tmp_path / "rows.geojson"
    path.write_text("old")
    with closing(sqlite3.connect(database)) as connection:
        register_functions(connection)
        connection.execute("UPDATE PICTURES SET SenterlinjePosisjon = x'00'")
        connection.commit()
    result = db("export", "-o", str(path))
    assert result.exit_code == 1
    assert "a row cannot be exported: expected a point" in " ".join(result.stderr.split())
    assert path.read_text() == "old"
    assert not list(tmp_path.glob(".*.part"))
