"""Oracle as far as it goes without one: its SQL by its grammar, objects and batch errors at the driver's seam."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from anonymisation.core.errors import ConfigurationError
from anonymisation.database.dialects.postgresql import PostgresqlDialect
from anonymisation.database.layouts.tables import load_layout
from anonymisation.database.loading.loader import LoadLimits, LoadReport, SourceRecord, load_records, send_spooled
from anonymisation.database.schema import ddl, drop_table, insert_spatial_metadata
from anonymisation.database.target import make_table, open_target
from tests.database.fake_oracle import FakeOracle
from tests.database.oracle_sql import parse
from tests.database.sites import FakeOracleSite, oracle_url

Make = Callable[..., list[SourceRecord]]

oracledb = pytest.importorskip("oracledb")

from anonymisation.database.dialects.oracle import OracleDialect, merge_sql  # noqa: E402 - needs the driver

ADDRESS = "oracle://me:hunter2@nowhere/?service_name=FREE"


@pytest.fixture
def oracle() -> FakeOracleSite:
    return FakeOracleSite()


@pytest.fixture
def server(oracle: FakeOracleSite) -> FakeOracle:
    return oracle.server


@pytest.mark.db
def test_a_real_oracle_is_named() -> None:
    assert oracle_url(), "set ANONYMISATION_TEST_ORACLE_URL, see docker/oracle/README.md"


def test_the_production_table_is_created_with_oracles_own_types() -> None:
    [tree] = sqlglot.parse(ddl("oracle", load_layout("VEGBILDER")), dialect="oracle")
    assert isinstance(tree, exp.Create)
    columns = {item.name: item for item in tree.find_all(exp.ColumnDef)}
    types = {name: item.args["kind"].sql(dialect="oracle") for name, item in columns.items()}
    layout = load_layout("VEGBILDER")
    assert list(types) == [column.name.upper() for column in layout.columns]
    assert (types["ID"], types["VERSJON"], types["TIDSPUNKT"]) == ("VARCHAR2(256 BYTE)", "VARCHAR2(31 BYTE)", "DATE")
    assert (types["POSISJON"], types["JSONDATA"], types["METER"]) == ("MDSYS.SDO_GEOMETRY", "CLOB", "NUMBER")
    required = {name for name, item in columns.items() if item.find(exp.NotNullColumnConstraint)}
    assert required == {column.name.upper() for column in layout.columns if layout.requires(column)}
    assert next(tree.find_all(exp.PrimaryKey)).expressions[0].name == "ID"


def test_the_merge_binds_each_value_where_it_is_stored(oracle: FakeOracleSite) -> None:
    target = oracle.target("VEGBILDER")
    tree = parse(merge_sql(target.table))
    assert isinstance(tree, exp.Merge)
    binds = [f"b{index}" for index in range(len(target.layout.columns))]
    assert {item.name for item in tree.find_all(exp.Placeholder)} == set(binds)
    [update, insert] = [when.args["then"] for when in tree.args["whens"].expressions]
    assert len(update.expressions) == len(binds) - 1  # all but the key, which Oracle lets no MERGE update
    assert [item.name for item in insert.expression.expressions] == binds
    assert not list(tree.find_all(exp.Select))  # long text may not be bound in one


def test_geometry_goes_as_objects_and_time_without_fractions(
    oracle: FakeOracleSite, state: Path, limits: LoadLimits, captured: list[SourceRecord]
) -> None:
    target = oracle.target("VEGBILDER")
    load_records(captured, target, state, limits)
    rows = oracle.server.rows("VEGBILDER")
    geometry = next(row["POSISJON"] for row in rows if row["POSISJON"] is not None)
    assert (geometry.SDO_GTYPE, geometry.SDO_SRID) == (2001, 4326)
    assert (geometry.SDO_POINT.Z, geometry.SDO_ELEM_INFO, geometry.SDO_ORDINATES) == (None, None, None)
    assert all(row["SENTERLINJEPOSISJON"] is None for row in rows)
    times = [row["TIDSPUNKT"] for row in rows]
    assert all(isinstance(time, datetime) and time.microsecond == 0 and time.tzinfo is None for time in times)


def test_refused_rows_come_back_at_their_offsets_in_one_round_trip(
    oracle: FakeOracleSite, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    records = make_records(50)
    changes: dict[int, dict[str, Any]] = {
        7: {"exif_tid": None},
        8: {"exif_vegkat": "Ø" * 5},
        49: {"exif_filnavn": None},
    }
    for place, change in changes.items():
        records[place] = SourceRecord(records[place].picture, records[place].record | change)
    target = oracle.target()
    oracle.server.statements.clear()
    report = load_records(records, target, state, limits)
    assert report.inserted == 47
    assert [(failure.picture, failure.reason) for failure in report.failed] == [
        (records[7].picture, 'ORA-01400: cannot insert NULL into ("ME"."PICTURES"."TIDSPUNKT")'),
        (
            records[8].picture,
            'ORA-12899: value too large for column "ME"."PICTURES"."VEGKATEGORI" (actual: 10, maximum: 8)',
        ),
        (records[49].picture, 'ORA-01400: cannot insert NULL into ("ME"."PICTURES"."FILNAVN")'),
    ]
    assert sum(statement.startswith("SAVEPOINT") for statement in oracle.server.statements) == 1
    again = load_records(records[5:10], target, state, limits)
    assert [failure.reason[:9] for failure in again.failed] == ["ORA-01400", "ORA-12899"]


def test_a_row_that_becomes_null_in_an_update_is_refused_as_such(
    oracle: FakeOracleSite, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    load_records(make_records(3), oracle.target(), state, limits)
    report = load_records(make_records(3, exif_tid=None), oracle.target(), state, limits)
    assert {failure.reason[:9] for failure in report.failed} == {"ORA-01407"}


def test_a_key_that_another_session_inserts_meanwhile_is_updated(
    oracle: FakeOracleSite, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    records = make_records(10, versjon="mine")
    target = oracle.target()
    oracle.server.rivals = {str(records[place].record["bildeid"]) for place in (2, 9)}
    report = load_records(records, target, state, limits)
    assert (report.inserted + report.updated, report.failed) == (10, ())
    assert {row["VERSJON"] for row in oracle.server.rows("PICTURES")} == {"mine"}


def test_a_value_that_the_driver_cannot_send_costs_only_its_row(
    oracle: FakeOracleSite, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    records = make_records(20)
    records[11] = SourceRecord(records[11].picture, records[11].record | {"exif_vegnr": "9" * 130})
    report = load_records(records, oracle.target(), state, limits)
    assert (report.inserted, [failure.picture for failure in report.failed]) == (19, [records[11].picture])
    assert "DPY-4003" in report.failed[0].reason


def test_a_connection_cut_at_the_commit_is_made_again(
    oracle: FakeOracleSite, state: Path, limits: LoadLimits, make_records: Make, caplog: pytest.LogCaptureFixture
) -> None:
    target = oracle.target()
    oracle.server.cut_before_commit = True
    assert load_records(make_records(5), target, state, limits) == LoadReport(5, 0, (), 0, ())
    assert "trying once more" in caplog.text


def test_rows_wait_for_an_oracle_that_is_away(
    oracle: FakeOracleSite, state: Path, limits: LoadLimits, make_records: Make, caplog: pytest.LogCaptureFixture
) -> None:
    target = oracle.target()
    oracle.away()
    assert load_records(make_records(5), target, state, limits).waiting == 5
    assert "hunter2" not in caplog.text
    oracle.back()
    assert send_spooled(target, state, limits).inserted == 5


def test_spatial_metadata_describes_each_geometry_column_once(oracle: FakeOracleSite, server: FakeOracle) -> None:
    target = oracle.target("VEGBILDER")
    for _ in range(2):
        assert insert_spatial_metadata(target) == 2
    assert [(row["TABLE_NAME"], row["COLUMN_NAME"], row["SRID"]) for row in server.spatial] == [
        ("VEGBILDER", "POSISJON", 4326),
        ("VEGBILDER", "SENTERLINJEPOSISJON", 25833),
    ]
    assert server.spatial[0]["DIMINFO"] == [("Longitude", -180, 180, 0.5), ("Latitude", -90, 90, 0.5)]
    assert server.spatial[1]["DIMINFO"] == [("X", -100000, 1120000, 0.01), ("Y", 6430000, 7960000, 0.01)]
    assert set(server.indexes) == {"VEGBILDER_POSISJON_SX", "VEGBILDER_SENTERLINJEPOSISJON_SX"}
    assert drop_table(target)
    assert (server.spatial, server.indexes) == ([], {})


def test_a_spatial_index_of_another_name_is_enough(oracle: FakeOracleSite, server: FakeOracle) -> None:
    target = oracle.target("VEGBILDER")
    server.spatial = [{"TABLE_NAME": "VEGBILDER", "COLUMN_NAME": "POSISJON"}]
    sql = 'CREATE INDEX "SIDX_BY_HAND" ON "VEGBILDER" ("POSISJON") INDEXTYPE IS MDSYS.SPATIAL_INDEX_V2'
    server.connect().cursor().execute(sql)
    assert insert_spatial_metadata(target) == 2
    assert set(server.indexes) == {"SIDX_BY_HAND", "VEGBILDER_SENTERLINJEPOSISJON_SX"}


LONG = "a" * 63


@pytest.mark.parametrize("longest", [128, 30])
def test_names_of_indexes_are_as_long_as_the_server_takes_and_stay_distinct(
    longest: int, server: FakeOracle, oracle: FakeOracleSite, tmp_path: Path
) -> None:
    server.longest_name = longest
    folder = tmp_path / "db_tables"
    folder.mkdir()
    names = (f"{'b' * 60}xxx", f"{'b' * 60}yyy")
    elements = "[{name: X, min: 0, max: 1, tol: 1}, {name: Y, min: 0, max: 1, tol: 1}]"
    spatial = f"{{dimension: 2, srid: 4326, dim_elements: {elements}}}"
    columns = [
        f"  - {{name: {name}, dtype: SDO_GEOMETRY, formatter: Posisjon_2d, spatial_metadata: {spatial}}}"
        for name in names
    ]
    key = "  - {name: ID, dtype: VARCHAR(9), formatter: ID}"
    (folder / f"{LONG}.yml").write_text("\n".join(["pk_column: ID", "columns:", key, *columns]), "utf-8")
    target = oracle.target(load_layout(LONG, tmp_path))
    assert insert_spatial_metadata(target) == 2
    assert len(server.indexes) == 2
    assert all(len(name) <= longest and name.endswith("_SX") for name in server.indexes)


def test_a_table_of_another_schema_is_dropped_without_the_login_s_own_description(server: FakeOracle) -> None:
    mine = FakeOracleSite(server).target("VEGBILDER")
    insert_spatial_metadata(mine)
    described = list(server.spatial)
    for schema, left in (("roads", described), ("me", []), (None, [])):
        server.spatial = list(described)
        target = open_target(ADDRESS, load_layout("VEGBILDER"), dialect=OracleDialect(server.connect), schema=schema)
        with target.engine.begin() as connection:
            for statement in target.dialect.drop(target.layout, target.table):
                if not statement.startswith("DROP"):
                    connection.exec_driver_sql(statement)
        assert server.spatial == left
        assert target.dialect.drop(target.layout, target.table)[0].startswith("DROP TABLE")


def test_a_column_that_oracle_keeps_for_itself_is_named(tmp_path: Path) -> None:
    columns = "[{name: RowId, dtype: VARCHAR2(99), formatter: ID, extra: PRIMARY KEY}]"
    (tmp_path / "own.yml").write_text(f"pk_column: RowId\ncolumns: {columns}\n")
    layout = load_layout("own", own=tmp_path)
    with pytest.raises(ConfigurationError, match="RowId: Oracle takes no column of this name"):
        make_table(layout, OracleDialect())
    assert make_table(layout, PostgresqlDialect()).columns.keys() == ["rowid"]
