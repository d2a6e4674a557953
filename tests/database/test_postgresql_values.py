"""The bytes of a batch arrive in PostgreSQL as the texts that they are made of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from anonymisation.database.dialects.postgresql_values import array_literal, batch_values, register
from anonymisation.database.layouts.tables import load_layout
from anonymisation.database.loading.loader import (
    LoadLimits,
    SourceRecord,
    existing_ids,
    load_records,
    open_target,
)
from anonymisation.database.schema import create_table
from tests.database.postgres_cluster import PostgresCluster
from tests.database.sites import PostgresqlSite

Make = Callable[..., list[SourceRecord]]

TEXTS = ["", "NULL", "Ærlig", '"quoted" \\ {a,b}', "\u20ac \U0001f697", "line\nbreak\ttab", " blanks "]


def ask(cluster: PostgresCluster, sql: str, values: Any) -> list[Any]:
    with cluster.connect() as connection:
        register(connection)
        return [value for (value,) in connection.execute(sql.encode(), values).fetchall()]


def test_texts_arrive_as_they_are(cluster: PostgresCluster) -> None:
    objects = [json.dumps({"c0": text}).encode() for text in TEXTS]
    values = batch_values(objects, [(text.encode(), None) for text in TEXTS], "utf-8")
    assert sorted(values) == ["long0", "long1", "rows"]
    assert ask(cluster, "SELECT unnest(%(long0)s)", values) == TEXTS
    assert ask(cluster, "SELECT unnest(%(long1)s)", values) == [None] * len(TEXTS)
    assert ask(cluster, "SELECT c0 FROM json_to_recordset(%(rows)s) AS (c0 text)", values) == TEXTS


@pytest.mark.parametrize("kind", ["text", "varchar(90)", "char(90)"])
def test_a_literal_of_an_array_takes_the_type_of_its_column(kind: str, cluster: PostgresCluster) -> None:
    sql = f"SELECT t FROM (SELECT unnest(%s::{kind}[]) AS t) AS x WHERE t = ANY(%s)"
    found = ask(cluster, sql, [TEXTS, array_literal([*TEXTS, None])])
    assert [text.rstrip(" ") for text in found] == [text.rstrip(" ") for text in TEXTS]


def test_a_connection_with_another_encoding_gets_that_encoding(
    cluster: PostgresCluster, state: Path, make_records: Make
) -> None:
    site = PostgresqlSite(cluster)
    layout = site.target().layout
    records = make_records(3, exif_roadident="Ærlig")
    records[1] = SourceRecord(records[1].picture, records[1].record | {"exif_roadident": "\u0142"})
    address = site.url.update_query_dict({"client_encoding": "latin1"})
    with open_target(address, layout) as target:
        report = load_records(records, target, state, LoadLimits())
    assert report.inserted == 2
    [refused] = report.failed
    assert (refused.picture, "codec can't encode" in refused.reason) == (records[1].picture, True)
    rows = site.rows(layout)
    assert [json.loads(row["JsonData"])["exif_roadident"] for row in rows] == ["Ærlig"] * 2


@pytest.mark.parametrize("named", [None, "sql_ascii"])
def test_a_database_that_converts_nothing_gets_utf8(
    named: str | None, cluster: PostgresCluster, state: Path, make_records: Make
) -> None:
    """Such as old ones, of encoding SQL_ASCII: without a choice of the client the driver gives bytes."""
    records = make_records(2, exif_roadident="Ærlig \U0001f697")
    options = "template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
    with cluster.database("CREATE EXTENSION postgis", template=options) as database:
        address = cluster.url.set(database=database)
        address = address if named is None else address.update_query_dict({"client_encoding": named})
        with open_target(address, load_layout("PICTURES")) as target:
            create_table(target)
            reports = [load_records(records, target, state, LoadLimits()) for _ in range(2)]
            assert [(report.inserted, report.updated, report.failed) for report in reports] == [(2, 0, ()), (0, 2, ())]
            assert len(existing_ids(target, [item.record["bildeid"] for item in records])) == 2
        with cluster.connect(database) as connection:
            [[text], _] = connection.execute("SELECT convert_to(vegidentitet, 'SQL_ASCII') FROM pictures").fetchall()
    assert text == "Ærlig \U0001f697".encode()


def test_the_driver_knows_the_values_on_connections_that_are_registered_alone(cluster: PostgresCluster) -> None:
    values = batch_values([], [[b""]], "utf-8")
    with cluster.connect() as connection, pytest.raises(psycopg.ProgrammingError, match="cannot adapt"):
        connection.execute("SELECT %(rows)s", values)
