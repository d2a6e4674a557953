"""Points of systems that differ from their column's by their heights only."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from anonymisation.database.layouts.columns import row_from_record
from anonymisation.database.layouts.formatters import FORMATTERS, as_point
from anonymisation.database.layouts.geometry import Point, same_coordinates
from anonymisation.database.layouts.reference_systems import plane_of
from anonymisation.database.layouts.tables import load_layout

REGISTRY = Path("/usr/share/proj/proj.db")
PLACE = (47822.906, 6815943.503)


def centre_line(written: object) -> Any:
    return row_from_record(load_layout("VEGBILDER"), {"senterlinjeposisjon": written})["SenterlinjePosisjon"]


def test_the_centre_line_after_the_road_network_step_is_kept(cases: Path, caplog: pytest.LogCaptureFixture) -> None:
    record = json.loads((cases / "records/senterlinje_5973.json").read_text("utf-8"))
    row = row_from_record(load_layout("VEGBILDER"), record)
    east, north, height = (float(text) for text in re.findall(r"\d+\.\d+", record["senterlinjeposisjon"]))
    assert row["SenterlinjePosisjon"] == Point(25833, (east, north))
    assert row["SenterlinjeHoyde"] == height
    assert caplog.messages == []


@pytest.mark.parametrize(
    "written",
    [
        "srid=5973;POINT Z(47822.906 6815943.503 2.809)",
        "SRID=5973;POINT Z( 47822.906 6815943.503 2.809 )",
        " Srid = 5973 ; PointZ(47822.906  6815943.503\t2.809) ",
        "SRID=5973;POINT(47822.906 6815943.503)",
        "srid=5973;POINT Z(47822.906 6815943.503 NaN)",
        "srid=6173;POINT Z(47822.906 6815943.503 2.809)",
        "srid=25833;POINT Z(47822.906 6815943.503 2.809)",
    ],
)
def test_spellings_of_the_centre_line(written: str) -> None:
    point = centre_line(written)
    assert (point.srid, point.coordinates) == (25833, PLACE)
    own = int("".join(filter(str.isdigit, written.partition(";")[0])))
    assert (point.own_srid or point.srid) == own


@pytest.mark.parametrize("written", [None, "", " ", "POINT EMPTY", "srid=5973;POINT Z EMPTY", "SRID=5973;point empty "])
def test_no_point_is_no_value_and_no_warning(written: object, caplog: pytest.LogCaptureFixture) -> None:
    assert centre_line(written) is None
    assert as_point(written) is None
    assert "SenterlinjePosisjon (" not in caplog.text


@pytest.mark.parametrize("written", ["srid=5973;", "POINT Z(1 2 3)", "srid=5973;POINT()", "srid=5973;POINT M(1 2 3)"])
def test_half_a_point_is_named(written: str, caplog: pytest.LogCaptureFixture) -> None:
    assert centre_line(written) is None
    assert "SenterlinjePosisjon (expected srid=" in caplog.text


@pytest.mark.parametrize("srid", [5972, 25832, 32633, 4326, 4258, 5942, 5113])
def test_points_of_other_systems_are_left_out_and_named(srid: int, caplog: pytest.LogCaptureFixture) -> None:
    assert centre_line(f"srid={srid};POINT Z(47822.906 6815943.503 2.809)") is None
    assert f"got ({srid}, 2)" in caplog.text


@pytest.mark.parametrize(
    ("srid", "coordinates", "column", "same"),
    [
        (5973, (1.0, 2.0), 25833, True),
        (25833, (1.0, 2.0), 5973, True),
        (6173, (1.0, 2.0), 5973, True),
        (5973, (1.0, 2.0, 3.0), 25833, True),
        (5973, (1.0, 2.0, 3.0), 5973, True),
        (25833, (1.0, 2.0, 3.0), 5973, False),  # nothing says that its height is one of NN2000
        (6173, (1.0, 2.0, 3.0), 5973, False),
        (4979, (1.0, 2.0, 3.0), 4326, True),
        (4326, (1.0, 2.0), 4258, False),
    ],
)
def test_heights_count_where_a_column_states_theirs(
    srid: int, coordinates: tuple[float, ...], column: int, same: bool
) -> None:
    assert same_coordinates(Point(srid, coordinates), column) is same


def test_in_three_dimensions_the_height_stays() -> None:
    record = {"senterlinjeposisjon": "srid=5973;POINT Z(47822.906 6815943.503 2.809)"}
    assert FORMATTERS["SenterlinjePosisjon"](record) == Point(5973, (*PLACE, 2.809))


@pytest.mark.skipif(not REGISTRY.is_file(), reason="needs the registry of PROJ (Debian: proj-data)")
def test_the_registry_agrees() -> None:
    ask = "SELECT code, horiz_crs_code FROM compound_crs WHERE auth_name = 'EPSG' AND horiz_crs_auth_name = 'EPSG'"
    with closing(sqlite3.connect(f"file:{REGISTRY}?mode=ro", uri=True)) as registry:
        compound = {int(code): int(plane) for code, plane in registry.execute(ask)}
    known = {srid: plane_of(srid) for srid in range(1, 40000) if plane_of(srid) != srid and srid not in (4937, 4979)}
    assert len(known) == 69
    assert known == {srid: compound[srid] for srid in known}
