"""Loading into real SQLite files: what goes in, what is refused, and what the report says."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anonymisation.database.geometry import parse_point
from anonymisation.database.loader import (
    DatabaseTarget,
    LoadLimits,
    LoadReport,
    LoadStoppedError,
    SourceRecord,
    embedded_url,
    existing_ids,
    load_records,
    open_target,
    send_spooled,
)
from anonymisation.database.tables import load_layout
from anonymisation.errors import ConfigurationError, DatabaseUnavailableError

Query = Callable[[str], list[tuple[Any, ...]]]
Make = Callable[..., list[SourceRecord]]


def in_database(value: object) -> object:
    """A stored value in the form of the reference."""
    if isinstance(value, str) and value.startswith("SRID="):
        point = parse_point(value)
        return (point.srid, list(point.coordinates))
    return value


def in_reference(value: object) -> object:
    if isinstance(value, str) and value.startswith("SDOGeometry("):
        if value.endswith("is_null=True)"):
            return None
        inner = value.split("srid=")[1]
        srid, rest = inner.split(", point=")
        return (int(srid), json.loads(rest.split(", elem_info")[0]))
    return value


@pytest.mark.parametrize("name", ["VEGBILDER", "PICTURES"])
def test_stored_rows_of_the_captures_equal_the_reference(
    name: str, database: Path, state: Path, limits: LoadLimits, query: Query,
    captured: list[SourceRecord], expected_rows: dict[str, dict[str, Any]],
) -> None:  # fmt: skip
    target = open_target(f"sqlite:///{database}", load_layout(name))
    report = load_records(captured, target, state, limits)
    by_identifier = {rows["ID"]: rows for _, rows in sorted(expected_rows.items())}  # the greater path stands
    columns = list(next(iter(by_identifier.values())))
    stored = query(f'SELECT {", ".join(columns)} FROM "{name}"')
    assert len(stored) == len(by_identifier) == report.inserted
    for values in stored:
        expected = by_identifier[values[0]]
        for column, value in zip(columns, values, strict=True):
            assert (column, in_database(value)) == (column, in_reference(expected[column]))
            assert type(in_database(value)) is type(in_reference(expected[column]))
    assert (report.inserted + report.updated, report.failed, report.waiting) == (len(captured), (), 0)


def test_loading_again_updates(target: DatabaseTarget, state: Path, query: Query, make_records: Make) -> None:
    limits = LoadLimits(batch_rows=7)
    assert load_records(make_records(25), target, state, limits) == LoadReport(25, 0, (), 0, ())
    assert load_records(make_records(30, versjon="second"), target, state, limits) == LoadReport(5, 25, (), 0, ())
    assert query('SELECT count(*), count(DISTINCT "ID"), min("Versjon") FROM "PICTURES"') == [(30, 30, "second")]
    assert not list((state / "spool").rglob("*.jsonl"))


def test_no_records_is_a_report_of_nothing(target: DatabaseTarget, state: Path, limits: LoadLimits) -> None:
    assert load_records([], target, state, limits) == LoadReport(0, 0, (), 0, ())


BAD_VALUES = [
    ("exif_tid", None, "NOT NULL constraint failed: PICTURES.Tidspunkt"),
    ("bildeid", None, "NOT NULL constraint failed: PICTURES.ID"),
    ("exif_filnavn", "", "NOT NULL constraint failed: PICTURES.Filnavn"),
    ("exif_vegkat", "Ø" * 5, "PICTURES_Vegkategori_max_8_bytes"),
    ("exif_vegnr", "1" + "0" * 130, "PICTURES_Vegnummer_number"),
    ("exif_meter", "9" * 400, "too large"),
    ("exif_strekningsnavn", "\udce5", "surrogates not allowed"),
]


@pytest.mark.parametrize("place", [0, 3, 9])
@pytest.mark.parametrize(("key", "value", "reason"), BAD_VALUES)
def test_a_bad_row_costs_only_itself(
    key: str, value: object, reason: str, place: int,
    target: DatabaseTarget, state: Path, limits: LoadLimits, query: Query, make_records: Make,
) -> None:  # fmt: skip
    records = make_records(10)
    records[place] = SourceRecord(records[place].picture, records[place].record | {key: value})
    report = load_records(records, target, state, limits)
    assert (report.inserted, report.updated, report.waiting) == (9, 0, 0)
    [failure] = report.failed
    assert failure.picture == records[place].picture
    assert reason in failure.reason
    assert query('SELECT count(*) FROM "PICTURES"') == [(9,)]
    assert not list((state / "spool").rglob("*.jsonl"))


def test_lengths_are_bytes_and_the_longest_fits(
    target: DatabaseTarget, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    assert load_records(make_records(1, exif_vegkat="Ø" * 4), target, state, limits).inserted == 1


def test_values_are_bound_whatever_they_hold(
    target: DatabaseTarget, state: Path, limits: LoadLimits, query: Query, make_records: Make
) -> None:
    nasty = '\'); DROP TABLE "PICTURES"; -- :x %s ? \\ \n{}'
    assert load_records(make_records(1, exif_roadident=nasty), target, state, limits).inserted == 1
    assert query('SELECT "VegIdentitet" FROM "PICTURES"') == [(nasty,)]


def test_a_refused_update_leaves_the_row_as_it_was(
    target: DatabaseTarget, state: Path, limits: LoadLimits, query: Query, make_records: Make
) -> None:
    load_records(make_records(3), target, state, limits)
    report = load_records(make_records(3, exif_vegkat="123456789"), target, state, limits)
    assert (report.updated, len(report.failed)) == (0, 3)
    assert query('SELECT count(*) FROM "PICTURES" WHERE "Vegkategori" IS NULL') == [(3,)]


def test_more_refused_rows_than_allowed_stop_the_load(
    target: DatabaseTarget, state: Path, query: Query, make_records: Make
) -> None:
    limits = LoadLimits(batch_rows=5, max_errors=3)
    good, bad = make_records(5), make_records(4, first=100, exif_tid=None)
    assert len(load_records([*good, *bad[:3]], target, state, limits).failed) == 3
    with pytest.raises(LoadStoppedError, match="4 rows were refused") as caught:
        load_records([*bad, *make_records(50, first=200)], target, state, limits)
    assert bad[-1].picture in str(caught.value)
    assert (caught.value.report.inserted, len(caught.value.report.failed)) == (1, 4)
    assert query('SELECT count(*) FROM "PICTURES"') == [(6,)]


def collide(records: list[SourceRecord]) -> tuple[set[str], dict[str, SourceRecord]]:
    """The identifiers that several of `records` share, and the record that is to stand under each."""
    identifiers = [str(item.record["bildeid"]) for item in records]
    shared_by_two = {name for name in identifiers if identifiers.count(name) > 1}
    ordered = sorted(records, key=lambda item: item.picture)
    return shared_by_two, {str(item.record["bildeid"]): item for item in ordered}


@pytest.mark.parametrize("batch_rows", [1, 2, 100])
@pytest.mark.parametrize("order", ["forward", "backward", "shuffled"])
def test_of_two_pictures_with_one_identifier_the_greater_path_stands(
    order: str, batch_rows: int, target: DatabaseTarget, state: Path, query: Query, captured: list[SourceRecord]
) -> None:
    records = list(captured)
    if order == "backward":
        records.reverse()
    if order == "shuffled":
        random.Random(4).shuffle(records)
    limits = LoadLimits(batch_rows=batch_rows)
    doubled, standing = collide(records)
    assert len(doubled) == 2
    report = load_records(records, target, state, limits)
    assert {(item.identifier, item.stands) for item in report.collisions} == {
        (name, standing[name].picture) for name in doubled
    }
    assert {item.yields for item in report.collisions} == {
        item.picture for item in records if item is not standing[str(item.record["bildeid"])]
    }
    assert (report.inserted, report.updated, report.failed) == (len(records) - 2, 2, ())
    for name in doubled:
        [(folder,)] = query(f'SELECT "Mappenavn" FROM "PICTURES" WHERE "ID" = \'{name}\'')
        assert folder == standing[name].record["mappenavn"]


@pytest.mark.parametrize("backward", [False, True])
def test_collisions_are_settled_across_runs(
    backward: bool, target: DatabaseTarget, state: Path, limits: LoadLimits, query: Query, captured: list[SourceRecord]
) -> None:
    doubled, _ = collide(captured)
    for name in doubled:
        lesser, greater = sorted(
            (item for item in captured if item.record["bildeid"] == name), key=lambda item: item.picture
        )
        runs = [greater, lesser, lesser, greater] if backward else [lesser, greater, lesser, lesser]
        reports = [load_records([item], target, state, limits) for item in runs]
        assert [len(report.collisions) for report in reports] == ([0, 1, 1, 0] if backward else [0, 1, 1, 1])
        assert [(report.inserted, report.updated) for report in reports] == [(1, 0), (0, 1), (0, 1), (0, 1)]
        for report in reports:
            for collision in report.collisions:
                assert (collision.stands, collision.yields) == (greater.picture, lesser.picture)
        [(folder,)] = query(f'SELECT "Mappenavn" FROM "PICTURES" WHERE "ID" = \'{name}\'')
        assert folder == greater.record["mappenavn"]


def test_the_lesser_picture_stands_where_the_greater_is_refused(
    target: DatabaseTarget, state: Path, limits: LoadLimits, query: Query, make_records: Make
) -> None:
    [record] = make_records(1)
    rivals = [
        SourceRecord("a/x.jpg", record.record),
        SourceRecord("b/x.jpg", record.record | {"exif_vegkat": "123456789"}),
    ]
    report = load_records(rivals, target, state, limits)
    assert (report.inserted, report.collisions) == (1, ())
    assert [failure.picture for failure in report.failed] == ["b/x.jpg"]
    assert load_records(rivals[:1], target, state, limits).collisions == ()
    assert query('SELECT count(*) FROM "PICTURES"') == [(1,)]


def test_a_picture_yields_only_to_a_row_that_is_there(
    target: DatabaseTarget, database: Path, state: Path, limits: LoadLimits, query: Query, captured: list[SourceRecord]
) -> None:
    load_records(captured, target, state, limits)
    database.unlink()  # the table starts anew, the registry is older than it
    doubled, standing = collide(captured)
    lesser = [item for item in captured if item.record["bildeid"] in doubled and item not in standing.values()]
    assert load_records(lesser, target, state, limits) == LoadReport(2, 0, (), 0, ())
    assert query('SELECT count(*) FROM "PICTURES"') == [(2,)]
    assert len(load_records(captured, target, state, limits).collisions) == 2
    for name in doubled:
        [(folder,)] = query(f'SELECT "Mappenavn" FROM "PICTURES" WHERE "ID" = \'{name}\'')
        assert folder == standing[name].record["mappenavn"]


def test_existing_ids_answers_for_any_number(
    target: DatabaseTarget, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    records = make_records(1300)
    load_records(records, target, state, limits)
    identifiers = [str(item.record["bildeid"]) for item in records]
    assert existing_ids(target, [*identifiers, "2021-05-01_unknown", "' OR 1=1 --"]) == set(identifiers)
    assert existing_ids(target, []) == set()


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "sqlite://", "sqlite:///:memory:", "mysql://me:hunter2@host/db", "://me:hunter2@host",
     "postgresql://me:hunter2@host/db", "sqlite://me:hunter2@host/db", "oracle://me:hunter2/x@host/db"],
)  # fmt: skip
def test_unusable_urls_are_refused_without_their_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_target(url, load_layout("PICTURES"))
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", ["a b", "50%#{x}?y=1&z", "Årdal@host:1"])
def test_the_embedded_database_lies_in_the_state_folder_whatever_its_name(
    name: str, tmp_path: Path, limits: LoadLimits, make_records: Make
) -> None:
    state = tmp_path / name
    target = open_target(embedded_url(state), load_layout("PICTURES"))
    assert load_records(make_records(2), target, state, limits).inserted == 2
    assert (state / "pictures.db").is_file()


def test_a_table_of_another_layout_is_a_mistake_of_configuration(
    target: DatabaseTarget, database: Path, state: Path, limits: LoadLimits, query: Query, make_records: Make
) -> None:
    query('CREATE TABLE "PICTURES" ("ID" TEXT PRIMARY KEY)')
    with pytest.raises(ConfigurationError, match="does not fit its layout"):
        load_records(make_records(3), target, state, limits)
    query('DROP TABLE "PICTURES"')
    assert send_spooled(target, state, limits) == LoadReport(3, 0, (), 0, ())


def test_a_file_that_is_no_database_cannot_be_asked(target: DatabaseTarget, database: Path) -> None:
    database.write_bytes(b"not a database, but long enough to be taken for one by its size" * 20)
    with pytest.raises(DatabaseUnavailableError, match="file is not a database"):
        existing_ids(target, ["x"])


def test_messages_and_representations_hold_no_values(
    target: DatabaseTarget, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    report = load_records(make_records(1, exif_vegkat="hunter2hunter2"), target, state, limits)
    assert len(report.failed) == 1
    assert "hunter2" not in repr(report)
    assert "Engine" not in repr(target)
