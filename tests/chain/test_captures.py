"""Whole runs over captures, drawn and real: records and rows as those of the original program, and nothing lost."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from anonymisation.database.dialects.geopackage import decode_point
from anonymisation.metadata.record import record_from_json
from tests.captures import (
    CountingDetector,
    Site,
    checksums,
    names_below,
    require_whole_files,
)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture(scope="module")
def expected(references: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((references / "reference/expected_metadata.json").read_text("utf-8"))
    for relative, record in found.items():
        if record["exif_kvalitet"] == "0":
            record["bildeid"] = id_without_date(references / "captures" / relative, record["bildeid"])
    return found


@pytest.fixture(scope="module")
def expected_rows(references: Path, expected: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((references / "reference/expected_rows.json").read_text("utf-8"))
    for relative, record in expected.items():
        if record["exif_kvalitet"] == "0":
            data = json.loads(found[relative]["JsonData"]) | {"bildeid": record["bildeid"]}
            found[relative] |= {"ID": record["bildeid"], "JsonData": json.dumps(data)}
    return found


def id_without_date(picture: Path, reference: str) -> str:
    """The ID of a picture without date: in the original program's, the time of the file stands for the checksum."""
    return f"sha256-{hashlib.sha256(picture.read_bytes()).hexdigest()[:19]}{reference[26:]}"


@pytest.fixture
def captures(site: Site, references: Path, expected: dict[str, dict[str, Any]]) -> Site:
    """The captures as input; the one without EXIF has the file time of its reference record."""
    shutil.copytree(references / "captures", site.input, dirs_exist_ok=True)
    for relative, record in expected.items():
        if record["exif_kvalitet"] == "0":
            seconds = datetime.fromisoformat(record["exif_tid"]).replace(tzinfo=UTC).timestamp()
            os.utime(site.input / relative, (seconds, seconds))
    return site


def reference_row(row: dict[str, Any]) -> dict[str, Any]:
    """A reference row, with points as (srid, x, y), without the columns that depend on the run."""
    found = {}
    for name, value in row.items():
        if name in {"JsonData", "DetekterteObjekter", "Versjon"}:
            continue
        if isinstance(value, str) and value.startswith("SDOGeometry("):
            call = ast.parse(value, mode="eval").body
            assert isinstance(call, ast.Call)
            parts = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
            value = None if parts["is_null"] else (parts["srid"], *parts["point"])
        found[name] = value
    return found


def stored_row(row: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    """The columns of a stored row that are in `like`, with points as (srid, x, y)."""
    found = {}
    for name in like:
        value = row[name]
        if isinstance(value, bytes):
            point = decode_point(value)
            value = (point.srid, *point.coordinates)
        found[name] = value
    return found


def test_records_and_rows_of_captures_equal_the_reference(
    captures: Site, expected: dict[str, dict[str, Any]], expected_rows: dict[str, dict[str, Any]]
) -> None:
    workspace = captures.workspace(write_exif_to_db=True, remote_json=True, db_table="VEGBILDER")
    report = captures.run(workspace)
    assert report.succeeded, [folder.failures or folder.error for folder in report.folders]
    assert report.total("mask", "masked") == len(expected)
    for relative, wanted in expected.items():
        record = record_from_json((captures.output / relative).with_suffix(".json").read_bytes())
        assert list(record) == list(wanted)
        run = {"detekterte_objekter": {"car": "1"}, "versjon": workspace.version_tag}
        assert record == wanted | run, relative
    rows = {row["ID"]: row for row in all_rows(captures, "VEGBILDER")}
    # Two pictures may have the same identifier; the row of the greater path stays.
    wanted_rows = {row["ID"]: row for _, row in sorted(expected_rows.items())}
    assert set(rows) == set(wanted_rows)
    for identifier, wanted in wanted_rows.items():
        reference = reference_row(wanted)
        stored = stored_row(rows[identifier], reference)
        moments = [datetime.fromisoformat(str(row.pop("Tidspunkt"))) for row in (stored, reference)]
        assert moments[0] == moments[1].replace(microsecond=moments[1].microsecond // 1000 * 1000)  # of a GeoPackage
        assert stored == reference
        record = json.loads(rows[identifier]["JsonData"])
        assert record == json.loads(wanted["JsonData"]) | run


def all_rows(site: Site, table: str) -> list[dict[str, Any]]:
    names = [name for _, name, *_ in site.rows(f"PRAGMA table_info({table})")]
    return [dict(zip(names, row, strict=True)) for row in site.rows(f"SELECT * FROM {table}")]


def test_a_second_run_over_captures_masks_nothing_and_delete_input_loses_nothing(captures: Site) -> None:
    originals = checksums(captures.input)
    pictures = names_below(captures.input)
    settings = {"write_exif_to_db": True, "remote_mask": True, "archive_mask": True}
    assert captures.run(captures.workspace(archive=True, **settings)).succeeded
    outputs = checksums(captures.output)
    detector = CountingDetector()
    assert captures.run(captures.workspace(archive=True, **settings), detector).folders == ()
    report = captures.run(captures.workspace(archive=True, delete_input=True, **settings), detector)
    assert report.total("mask", "already_done") == len(pictures)
    # A picture that yields its ID to another one has no row of its own, and no record on a share.
    yielding = len(pictures) - len(captures.rows())
    assert yielding > 0
    assert (report.total("release", "released"), report.total("release", "failed")) == (
        len(pictures) - yielding,
        yielding,
    )
    reasons = [failure.reason for folder in report.folders for failure in folder.failures]
    assert all("is that of another picture" in reason for reason in reasons)
    settings["remote_json"] = True
    report = captures.run(captures.workspace(archive=True, delete_input=True, **settings), detector)
    assert report.total("release", "released") == yielding
    assert detector.calls == 0
    assert list(captures.input.iterdir()) == []
    assert originals <= checksums(captures.archive)
    assert [name for name in names_below(captures.archive) if name.endswith(".jpg")] == pictures
    assert outputs <= checksums(captures.output)
    require_whole_files(captures.output, captures.archive)
