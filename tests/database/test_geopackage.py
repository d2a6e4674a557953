"""The embedded database as GIS tools see it: a valid GeoPackage whose layers and points GDAL finds."""

from __future__ import annotations

import json
import math
import re
import shutil
import sqlite3
import struct
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymisation.database.dialects.geopackage import decode_point, encode_point
from anonymisation.database.dialects.rtree import register_functions
from anonymisation.database.layouts.geometry import Point
from anonymisation.database.layouts.tables import load_layout
from anonymisation.database.loading.loader import LoadLimits, SourceRecord, load_records, open_target
from anonymisation.database.schema import create_table, drop_table, table_exists
from anonymisation.database.statements import execute_sql
from tests.database.sites import SqliteSite

Make = Callable[..., list[SourceRecord]]

MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z"
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def ogrinfo(*arguments: str) -> str:
    """What GDAL says; its warnings count as failures."""
    program = shutil.which("ogrinfo")
    if program is None:
        pytest.skip("needs GDAL's ogrinfo: run scripts/install_test_services.sh as root (Debian: gdal-bin)")
    done = subprocess.run([program, "-ro", *arguments], capture_output=True, text=True, check=True)
    # GDAL before 3.7 reads version 1.4 and its microseconds, and says that it does not know them.
    known = ("Non-conformant content", "may only be partially supported")
    said = [line for line in done.stderr.splitlines() if not any(text in line for text in known)]
    assert said == []
    return done.stdout


@pytest.fixture
def file(tmp_path: Path, state: Path, limits: LoadLimits, reference_records: list[SourceRecord]) -> Path:
    """A GeoPackage with the rows of the real captures, one of which has a centre line in this test."""
    centred = reference_records[0].record | {"senterlinjeposisjon": "srid=25833;POINT Z( 212345.5 6634567.25 51.7 )"}
    site = SqliteSite(tmp_path)
    records = [SourceRecord(reference_records[0].picture, centred), *reference_records[1:]]
    load_records(records, site.target("VEGBILDER"), state, limits)
    return site.file


def test_gdal_lists_both_layers_with_their_reference_systems(file: Path) -> None:
    told = ogrinfo("-so", "-al", "-wkt_format", "WKT1", str(file))
    layers = dict(re.findall(r"Layer name: (\S+)\n(.*?)(?=\nLayer name|\Z)", told, re.DOTALL))
    assert list(layers) == ["VEGBILDER", "VEGBILDER_SenterlinjePosisjon"]
    assert 'GEOGCS["WGS 84"' in layers["VEGBILDER"]
    assert 'PROJCS["ETRS89 / UTM zone 33N"' in layers["VEGBILDER_SenterlinjePosisjon"]
    assert 'PARAMETER["central_meridian",15]' in layers["VEGBILDER_SenterlinjePosisjon"]
    for text in layers.values():
        assert "Geometry: Point" in text
        assert re.search(r"^Retning: Real", text, re.MULTILINE)
        assert re.search(r"^Tidspunkt: DateTime", text, re.MULTILINE)
        assert re.search(r"^ID: String \(256\.0\)", text, re.MULTILINE)
    assert "FID Column = fid" in layers["VEGBILDER"]
    assert "Geometry Column = Posisjon" in layers["VEGBILDER"]


def test_gdal_finds_the_points_where_the_reference_has_them(
    file: Path, expected_rows: dict[str, dict[str, Any]]
) -> None:
    told = ogrinfo("-al", "-fields=YES", str(file), "VEGBILDER")
    by_identifier = {row["ID"]: row for _, row in sorted(expected_rows.items())}
    features = re.findall(r"  ID \(String\) = (.+)\n(?:.*\n)*?(?:  POINT \((\S+) (\S+)\)\n)?\n", told)
    assert {name for name, _, _ in features} == set(by_identifier)
    placed = 0
    for name, x, y in features:
        wanted = re.search(r"point=(\[.*?\])", by_identifier[name]["Posisjon"])
        assert bool(x) == (wanted is not None)
        if wanted is not None:
            assert [float(x), float(y)] == pytest.approx(json.loads(wanted[1]), abs=1e-12)
            placed += 1
    assert placed == sum("point=[" in row["Posisjon"] for row in by_identifier.values()) > 0
    assert "POINT (212345.5 6634567.25)" in ogrinfo("-al", str(file), "VEGBILDER_SenterlinjePosisjon")


def test_the_file_says_what_it_is(file: Path) -> None:
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA application_id").fetchone() == (int.from_bytes(b"GPKG", "big"),)
    assert connection.execute("PRAGMA user_version").fetchone() == (10400,)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    systems = dict(connection.execute("SELECT srs_id, definition FROM gpkg_spatial_ref_sys"))
    assert set(systems) == {-1, 0, 4326, 25833}
    geometries = connection.execute("SELECT table_name, column_name, srs_id, z, m FROM gpkg_geometry_columns")
    assert geometries.fetchall() == [
        ("VEGBILDER", "Posisjon", 4326, 0, 0),
        ("VEGBILDER_SenterlinjePosisjon", "SenterlinjePosisjon", 25833, 0, 0),
    ]
    # Only GeoPackage's own types, so that readers take no column for something else.
    types = {row[2] for row in connection.execute("PRAGMA table_info(VEGBILDER)")}
    assert {kind.partition("(")[0] for kind in types} == {"INTEGER", "TEXT", "DOUBLE", "DATETIME", "POINT", "BLOB"}
    connection.close()


def test_every_layer_s_column_is_declared_as_a_point(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        shown = connection.execute("SELECT table_name, column_name, geometry_type_name FROM gpkg_geometry_columns")
        for layer, name, kind in shown.fetchall():
            columns: list[tuple[Any, ...]] = connection.execute(f'PRAGMA table_info("{layer}")').fetchall()
            assert [column[2] for column in columns if column[1] == name] == [kind]
            assert columns[0][2] == "INTEGER"
            assert len([column for column in columns if column[2] == "POINT"]) == 1


def test_the_second_layer_follows_its_rows(tmp_path: Path, state: Path, limits: LoadLimits, make_records: Make) -> None:
    site = SqliteSite(tmp_path)
    stored = 'SELECT OGC_FID, "Filnavn", hex("SenterlinjePosisjon") FROM "PICTURES_SenterlinjePosisjon" ORDER BY 1'

    def load(*places: float | None) -> list[tuple[Any, ...]]:
        lines = [None if east is None else f"srid=25833;POINT Z({east} 6815943.5 2)" for east in places]
        records = [make_records(1, n, senterlinjeposisjon=line)[0] for n, line in enumerate(lines)]
        load_records(records, site.target(), state, limits)
        points = [None if east is None else encode_point(Point(25833, (east, 6815943.5))) for east in places]
        return [
            (n + 1, f"picture_{n:06d}.jpg", data.hex().upper()) for n, data in enumerate(points) if data is not None
        ]

    for places in ((1.5, None, 3.5), (1.5, 2.5, 4.5), (None, None, 3.5)):
        wanted = load(*places)
        assert site.ask(stored) == wanted
    execute_sql(site.target(), ['DELETE FROM "PICTURES"'])
    assert site.ask(stored) == []
    assert site.ask('SELECT count(*) FROM "rtree_PICTURES_SenterlinjePosisjon_points"') == [(0,)]


def test_a_feature_keeps_its_number_when_its_row_is_loaded_again(
    tmp_path: Path, state: Path, limits: LoadLimits, captured: list[SourceRecord]
) -> None:
    site = SqliteSite(tmp_path)
    ask = 'SELECT fid, "ID" FROM "PICTURES" ORDER BY 1'
    load_records(captured, site.target(), state, limits)
    before = site.ask(ask)
    load_records(captured, site.target(), state, limits)
    assert site.ask(ask) == before


def test_the_spatial_index_follows_its_rows(
    tmp_path: Path, state: Path, limits: LoadLimits, captured: list[SourceRecord]
) -> None:
    site = SqliteSite(tmp_path)
    placed = [item for item in captured if item.record["exif_gpsposisjon"] is not None][:3]
    moved, gone, kept = placed
    stored = 'SELECT count(*) FROM "rtree_VEGBILDER_Posisjon"'
    window = f"{stored} WHERE minx >= 9.9 AND maxx <= 10.1 AND miny >= 59.9 AND maxy <= 60.1"
    bare = gone.record | {"exif_gpsposisjon": None}
    load_records([moved, SourceRecord(gone.picture, bare), kept], site.target("VEGBILDER"), state, limits)
    assert (site.ask(stored), site.ask(window)) == ([(2,)], [(0,)])
    there = moved.record | {"exif_gpsposisjon": "srid=4326;POINT Z( 10 60 5 )"}
    load_records([SourceRecord(moved.picture, there), gone], site.target("VEGBILDER"), state, limits)
    assert (site.ask(stored), site.ask(window)) == ([(3,)], [(1,)])
    load_records([SourceRecord(gone.picture, bare)], site.target("VEGBILDER"), state, limits)
    assert site.ask(stored) == [(2,)]
    execute_sql(site.target("VEGBILDER"), ['DELETE FROM "VEGBILDER"'])
    assert site.ask(stored) == [(0,)]


def test_gdal_knows_the_spatial_index_and_finds_with_it(file: Path) -> None:
    asked = ogrinfo("-q", "-sql", "SELECT HasSpatialIndex('VEGBILDER', 'Posisjon')", str(file))
    assert "= 1" in asked
    [point] = re.findall(r"POINT \((\S+) (\S+)\)", ogrinfo("-q", "-fid", "1", str(file), "VEGBILDER"))
    x, y = (float(number) for number in point)
    window = [str(number) for number in (x - 1e-6, y - 1e-6, x + 1e-6, y + 1e-6)]
    assert "POINT" in ogrinfo("-q", "-spat", *window, str(file), "VEGBILDER")


def test_two_tables_share_a_file_and_dropping_one_leaves_the_other(
    tmp_path: Path, state: Path, limits: LoadLimits, captured: list[SourceRecord]
) -> None:
    site = SqliteSite(tmp_path)
    for name in ("PICTURES", "VEGBILDER"):
        load_records(captured, site.target(name), state, limits)
    assert drop_table(site.target("PICTURES"))
    assert not table_exists(site.target("PICTURES"))
    assert site.ask("SELECT name FROM sqlite_master WHERE name LIKE '%PICTURES%' AND name NOT LIKE 'sqlite%'") == []
    assert [row[0] for row in site.ask("SELECT table_name FROM gpkg_contents")] == [
        "VEGBILDER",
        "VEGBILDER_SenterlinjePosisjon",
    ]
    assert "PICTURES" not in ogrinfo(str(site.file))
    create_table(site.target("PICTURES"))
    assert len(re.findall("PICTURES", ogrinfo(str(site.file)))) >= 2


def test_a_reference_system_unknown_here_is_left_to_the_reader(tmp_path: Path) -> None:
    folder = tmp_path / "db_tables"
    folder.mkdir()
    (folder / "swiss.yml").write_text(
        "pk_column: ID\ncolumns:\n"
        "  - {name: ID, dtype: VARCHAR(9), formatter: ID, extra: PRIMARY KEY}\n"
        "  - {name: Fid, dtype: NUMBER, formatter: Meter}\n"
        "  - name: P\n    dtype: SDO_GEOMETRY\n    formatter: Posisjon_2d\n    spatial_metadata: {dimension: 2, "
        "srid: 2056, dim_elements: [{name: X, min: 0, max: 9, tol: 1}, {name: Y, min: 0, max: 9, tol: 1}]}\n",
        "utf-8",
    )
    file = tmp_path / "swiss.gpkg"
    create_table(open_target(f"sqlite:///{file}", load_layout("swiss", tmp_path)))
    told = ogrinfo("-so", "-al", "-wkt_format", "WKT1", str(file))
    assert 'PROJCS["CH1903+ / LV95"' in told
    assert "FID Column = gpkg_fid" in told


CONTENTS = "SELECT table_name, min_x, min_y, max_x, max_y FROM gpkg_contents ORDER BY 1"


def place(longitude: float, latitude: float, line: str | None = None) -> dict[str, Any]:
    return {"exif_gpsposisjon": f"srid=4326;POINT Z( {longitude} {latitude} 5 )", "senterlinjeposisjon": line}


def test_every_load_widens_the_boxes_and_notes_the_change(
    tmp_path: Path, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    site = SqliteSite(tmp_path)
    line = "srid=5973;POINT Z(47822.5 6815943.5 2.809)"
    nothing = (None,) * 4
    steps: tuple[tuple[dict[str, Any], tuple[Any, ...], tuple[Any, ...]], ...] = (
        ({}, nothing, nothing),
        (place(9.5, 60), (9.5, 60, 9.5, 60), nothing),
        (place(10.5, 59.5), (9.5, 59.5, 10.5, 60), nothing),
        (place(-10.25, 60.5, line), (-10.25, 59.5, 10.5, 60.5), (47822.5, 6815943.5) * 2),
        ({}, (-10.25, 59.5, 10.5, 60.5), (47822.5, 6815943.5) * 2),
    )
    for number, (changes, box, line_box) in enumerate(steps):
        load_records(make_records(1, number, **changes), site.target(), state, limits)
        assert site.ask(CONTENTS) == [("PICTURES", *box), ("PICTURES_SenterlinjePosisjon", *line_box)]
        changes_of_layers = [changed for (changed,) in site.ask("SELECT last_change FROM gpkg_contents")]
        assert all(re.fullmatch(MOMENT, changed) and not changed.startswith("1999") for changed in changes_of_layers)
        with closing(sqlite3.connect(site.file)) as connection:
            connection.execute("UPDATE gpkg_contents SET last_change = '1999-01-01T00:00:00.000Z'")
            connection.commit()


def test_a_load_of_refused_rows_changes_nothing(
    tmp_path: Path, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    site = SqliteSite(tmp_path)
    load_records(make_records(1), site.target(), state, limits)
    before = site.ask("SELECT * FROM gpkg_contents")
    report = load_records(make_records(1, 1, exif_filnavn=None, **place(9, 60)), site.target(), state, limits)
    assert len(report.failed) == 1
    assert site.ask("SELECT * FROM gpkg_contents") == before


def test_a_file_of_an_earlier_version_gets_boxes_of_all_its_points(
    tmp_path: Path, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    site = SqliteSite(tmp_path)
    load_records(
        [*make_records(1, 0, **place(5, 58)), *make_records(1, 1, **place(31, 71))], site.target(), state, limits
    )
    with closing(sqlite3.connect(site.file)) as connection:
        register_functions(connection)
        connection.execute("UPDATE gpkg_contents SET min_x = NULL, min_y = NULL, max_x = NULL, max_y = NULL")
        connection.execute("UPDATE PICTURES SET Tidspunkt = '2021-05-01T10:00:00.250000Z'")
        connection.commit()
    load_records(make_records(1, 2, **place(10, 60)), site.target(), state, limits)
    assert site.ask(CONTENTS)[0] == ("PICTURES", 5, 58, 31, 71)
    assert load_records(make_records(3), site.target(), state, limits).updated == 3


def test_a_table_in_a_plain_sqlite_file_is_loaded_too(
    tmp_path: Path, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    site = SqliteSite(tmp_path)
    target = site.target()
    with closing(sqlite3.connect(site.file)) as connection:
        columns = ", ".join(f'"{column.name}"' for column in target.layout.columns if column.name != "ID")
        connection.execute(f'CREATE TABLE "PICTURES" ("ID" PRIMARY KEY, {columns})')
    assert load_records(make_records(2, **place(10, 60)), target, state, limits).inserted == 2


def test_times_have_the_form_of_the_standard(
    tmp_path: Path, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    site = SqliteSite(tmp_path)
    for number, time in enumerate(("10:00:00", "10:00:00.5", "10:00:00.2399999", "23:59:59.9999999", "12:00:00+02:00")):
        load_records(make_records(1, number, exif_tid=f"2021-05-01T{time}"), site.target(), state, limits)
    stored = [time for (time,) in site.ask('SELECT "Tidspunkt" FROM "PICTURES" ORDER BY fid')]
    assert all(re.fullmatch(MOMENT, time) for time in stored)
    ends = ["10:00:00.000", "10:00:00.500", "10:00:00.239", "23:59:59.999", "10:00:00.000"]
    assert stored == [f"2021-05-01T{end}Z" for end in ends]


@given(st.integers(1, 2**31 - 1), st.one_of(st.tuples(NUMBERS, NUMBERS), st.tuples(NUMBERS, NUMBERS, NUMBERS)))
def test_points_survive_the_binary_format(srid: int, coordinates: tuple[float, ...]) -> None:
    point = Point(srid, coordinates)
    assert decode_point(encode_point(point)) == point


@pytest.mark.parametrize("data", [b"", b"GP", b"XX\x00\x01" + b"\x00" * 25, b"GP\x00\x01" + b"\x00" * 20])
def test_other_bytes_are_no_point(data: bytes) -> None:
    with pytest.raises(ValueError, match="expected a point"):
        decode_point(data)


def test_the_index_reads_points_of_other_programs() -> None:
    connection = sqlite3.connect(":memory:")
    register_functions(connection)
    big_endian = b"GP\x00\x03" + struct.pack("<i4d", 4326, 9, 9, 59, 59) + struct.pack(">BI2d", 0, 1, 9, 59)
    empty = b"GP\x00\x11" + struct.pack("<iBI2d", 4326, 1, 1, math.nan, math.nan)
    ask = "SELECT ST_IsEmpty(?1), ST_MinX(?1), ST_MaxX(?1), ST_MinY(?1), ST_MaxY(?1)"
    assert connection.execute(ask, (big_endian,)).fetchone() == (0, 9, 9, 59, 59)
    assert connection.execute(ask, (empty,)).fetchone() == (1, None, None, None, None)
    assert connection.execute(ask, (None,)).fetchone() == (None,) * 5
    connection.close()
