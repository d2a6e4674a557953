"""Loading into every kind of database: what goes in, what is refused, and what the report says."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from anonymisation.core.errors import ConfigurationError, DatabaseUnavailableError
from anonymisation.database.layouts.tables import load_layout
from anonymisation.database.loading.loader import (
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
from anonymisation.database.schema import create_table, drop_table
from tests.database.sites import Site, SqliteSite

Make = Callable[..., list[SourceRecord]]


@pytest.fixture
def target(site: Site) -> DatabaseTarget:
    return site.target()


def in_reference(column: str, value: object, kind: str) -> object:
    """A value of the reference in the form in which `Site.rows` gives it."""
    if column == "Tidspunkt":
        time = datetime.fromisoformat(str(value))
        digits = {"sqlite": 1000, "postgresql": 1}.get(kind, 10**6)  # DATE has no fractions, GeoPackage milliseconds
        return time.replace(microsecond=time.microsecond // digits * digits)
    if isinstance(value, str) and value.startswith("SDOGeometry("):
        if value.endswith("is_null=True)"):
            return None
        inner = value.split("srid=")[1]
        srid, rest = inner.split(", point=")
        return (int(srid), json.loads(rest.split(", elem_info")[0]))
    return value


@pytest.mark.parametrize("name", ["VEGBILDER", "PICTURES"])
def test_stored_rows_of_the_captures_equal_the_reference(
    name: str, site: Site, state: Path, limits: LoadLimits,
    reference_records: list[SourceRecord], expected_rows: dict[str, dict[str, Any]],
) -> None:  # fmt: skip
    target = site.target(name)
    report = load_records(reference_records, target, state, limits)
    by_identifier = {rows["ID"]: rows for _, rows in sorted(expected_rows.items())}  # the greater path stands
    stored = site.rows(target.layout)
    assert len(stored) == len(by_identifier) == report.inserted
    for row in stored:
        expected = by_identifier[row["ID"]]
        assert list(row) == list(expected)
        for column, value in row.items():
            assert (column, value) == (column, in_reference(column, expected[column], site.kind))
            assert isinstance(value, str) == isinstance(in_reference(column, expected[column], site.kind), str)
    assert (report.inserted + report.updated, report.failed, report.waiting) == (len(reference_records), (), 0)


def test_loading_again_updates(site: Site, target: DatabaseTarget, state: Path, make_records: Make) -> None:
    limits = LoadLimits(batch_rows=7)
    assert load_records(make_records(25), target, state, limits) == LoadReport(25, 0, (), 0, ())
    assert load_records(make_records(30, versjon="second"), target, state, limits) == LoadReport(5, 25, (), 0, ())
    rows = site.rows(target.layout)
    assert (len(rows), len({row["ID"] for row in rows}), {row["Versjon"] for row in rows}) == (30, 30, {"second"})
    assert not list((state / "spool").rglob("*.jsonl"))


def test_no_records_is_a_report_of_nothing(target: DatabaseTarget, state: Path, limits: LoadLimits) -> None:
    assert load_records([], target, state, limits) == LoadReport(0, 0, (), 0, ())


BAD_VALUES = [
    ("exif_tid", None, "(?i)null.*TIDSPUNKT"),
    ("bildeid", None, "(?i)null.*ID"),
    ("exif_filnavn", "", "(?i)null.*FILNAVN"),
    ("exif_vegkat", "Ø" * 5, "(?i)VEGKATEGORI.*8"),
    ("exif_vegkat", "E" + " " * 8, "(?i)VEGKATEGORI.*8"),
    ("bildeid", "2021-06-02T" + " " * 600, "(?i)ID.*512"),
    ("exif_vegnr", "1" + "0" * 130, "(?i)VEGNUMMER|DPY-4003"),
    ("exif_meter", "9" * 400, "(?i)large|METER|DPY-4003"),
    ("exif_strekningsnavn", "\udce5", "surrogate|json"),
    ("bildeid", "2021-06-02T\udce5", "surrogate|json"),
]


@pytest.mark.parametrize("place", [0, 9])
@pytest.mark.parametrize(("key", "value", "reason"), BAD_VALUES)
def test_a_bad_row_costs_only_itself(
    key: str, value: object, reason: str, place: int,
    site: Site, target: DatabaseTarget, state: Path, limits: LoadLimits, make_records: Make,
) -> None:  # fmt: skip
    records = make_records(10)
    records[place] = SourceRecord(records[place].picture, records[place].record | {key: value})
    report = load_records(records, target, state, limits)
    assert (report.inserted, report.updated, report.waiting) == (9, 0, 0)
    [failure] = report.failed
    assert failure.picture == records[place].picture
    assert re.search(reason, failure.reason)
    assert "\n" not in failure.reason
    assert len(site.rows(target.layout)) == 9
    assert not list((state / "spool").rglob("*.jsonl"))


def test_several_bad_rows_cost_only_themselves(
    site: Site, target: DatabaseTarget, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    records = make_records(40)
    bad = {3, 4, 17, 39}
    for place in bad:
        change = {"exif_tid": None} if place % 2 else {"exif_vegkat": "too long a text"}
        records[place] = SourceRecord(records[place].picture, records[place].record | change)
    report = load_records(records, target, state, limits)
    assert (report.inserted, report.updated) == (36, 0)
    assert [failure.picture for failure in report.failed] == [records[place].picture for place in sorted(bad)]
    assert len(site.rows(target.layout)) == 36


def test_lengths_are_bytes_and_the_longest_fits(
    target: DatabaseTarget, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    assert load_records(make_records(1, exif_vegkat="Ø" * 4), target, state, limits).inserted == 1


def test_values_are_bound_whatever_they_hold(
    site: Site, target: DatabaseTarget, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    nasty = '\'); DROP TABLE "PICTURES"; -- :x %s ? \\ \n{}'
    assert load_records(make_records(1, exif_roadident=nasty), target, state, limits).inserted == 1
    assert [row["VegIdentitet"] for row in site.rows(target.layout)] == [nasty]


def test_a_refused_update_leaves_the_row_as_it_was(
    site: Site, target: DatabaseTarget, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    load_records(make_records(3), target, state, limits)
    report = load_records(make_records(3, exif_vegkat="123456789"), target, state, limits)
    assert (report.updated, len(report.failed)) == (0, 3)
    assert [row["Vegkategori"] for row in site.rows(target.layout)] == [None] * 3


def test_more_refused_rows_than_allowed_stop_the_load(
    site: Site, target: DatabaseTarget, state: Path, make_records: Make
) -> None:
    limits = LoadLimits(batch_rows=5, max_errors=3)
    good, bad = make_records(5), make_records(4, first=100, exif_tid=None)
    assert len(load_records([*good, *bad[:3]], target, state, limits).failed) == 3
    with pytest.raises(LoadStoppedError, match="4 rows were refused") as caught:
        load_records([*bad, *make_records(50, first=200)], target, state, limits)
    assert bad[-1].picture in str(caught.value)
    assert (caught.value.report.inserted, len(caught.value.report.failed)) == (1, 4)
    assert len(site.rows(target.layout)) == 6


def collide(records: list[SourceRecord]) -> tuple[set[str], dict[str, SourceRecord]]:
    """The identifiers that several of `records` share, and the record that is to stand under each."""
    identifiers = [str(item.record["bildeid"]) for item in records]
    shared_by_two = {name for name in identifiers if identifiers.count(name) > 1}
    ordered = sorted(records, key=lambda item: item.picture)
    return shared_by_two, {str(item.record["bildeid"]): item for item in ordered}


@pytest.mark.parametrize("batch_rows", [1, 2, 100])
@pytest.mark.parametrize("order", ["forward", "backward", "shuffled"])
def test_of_two_pictures_with_one_identifier_the_greater_path_stands(
    order: str, batch_rows: int, site: Site, target: DatabaseTarget, state: Path, captured: list[SourceRecord]
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
        [folder] = [row["Mappenavn"] for row in site.rows(target.layout) if row["ID"] == name]
        assert folder == standing[name].record["mappenavn"]


@pytest.mark.parametrize("backward", [False, True])
def test_collisions_are_settled_across_runs(
    backward: bool, site: Site, target: DatabaseTarget, state: Path, limits: LoadLimits, captured: list[SourceRecord]
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
        [folder] = [row["Mappenavn"] for row in site.rows(target.layout) if row["ID"] == name]
        assert folder == greater.record["mappenavn"]


def test_the_lesser_picture_stands_where_the_greater_is_refused(
    site: Site, target: DatabaseTarget, state: Path, limits: LoadLimits, make_records: Make
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
    assert len(site.rows(target.layout)) == 1


def test_a_picture_yields_only_to_a_row_that_is_there(
    site: Site, target: DatabaseTarget, state: Path, limits: LoadLimits, captured: list[SourceRecord]
) -> None:
    load_records(captured, target, state, limits)
    assert drop_table(target)  # the table starts anew, the registry is older than it
    create_table(target)
    doubled, standing = collide(captured)
    lesser = [item for item in captured if item.record["bildeid"] in doubled and item not in standing.values()]
    assert load_records(lesser, target, state, limits) == LoadReport(2, 0, (), 0, ())
    assert len(site.rows(target.layout)) == 2
    assert len(load_records(captured, target, state, limits).collisions) == 2
    for name in doubled:
        [folder] = [row["Mappenavn"] for row in site.rows(target.layout) if row["ID"] == name]
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
     "postgresql://me:hunter2@host:port/db", "sqlite://me:hunter2@host/db"],
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
    assert (state / "pictures.gpkg").is_file()


def test_a_table_of_another_layout_is_a_mistake_of_configuration(
    site: Site, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    layout = load_layout("PICTURES")
    create_table(site.target(layout)) if site.kind == "sqlite" else site.target(layout)
    wider = layout.model_copy(
        update={"columns": (*layout.columns, layout.columns[1].model_copy(update={"name": "More"}))}
    )
    target = open_target(site.target().engine.url, wider, dialect=site.target().dialect)
    with pytest.raises(ConfigurationError, match="does not fit its layout"):
        load_records(make_records(3), target, state, limits)
    assert drop_table(target)
    create_table(target)
    assert send_spooled(target, state, limits) == LoadReport(3, 0, (), 0, ())


def test_a_table_that_is_not_there_is_said_with_what_creates_it(
    site: Site, target: DatabaseTarget, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    if site.kind == "sqlite":
        pytest.skip("the embedded database creates its table itself")
    drop_table(target)
    with pytest.raises(ConfigurationError, match="create-table"):
        load_records(make_records(3), target, state, limits)
    create_table(target)
    assert send_spooled(target, state, limits).inserted == 3


def test_a_file_that_is_no_database_cannot_be_asked(tmp_path: Path) -> None:
    site = SqliteSite(tmp_path)
    site.file.write_bytes(b"not a database, but long enough to be taken for one by its size" * 20)
    with pytest.raises(DatabaseUnavailableError, match="file is not a database"):
        existing_ids(site.target(), ["x"])


def test_messages_and_representations_hold_no_values(
    target: DatabaseTarget, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    report = load_records(make_records(1, exif_vegkat="hunter2hunter2"), target, state, limits)
    assert len(report.failed) == 1
    assert "hunter2" not in repr(report)
    assert "Engine" not in repr(target)
