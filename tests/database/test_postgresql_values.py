"""The bytes of a batch arrive in PostgreSQL as the texts that they are made of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from anonymisation.database.dialects.postgresql_values import array_literal, batch_values, register
from anonymisation.database.loading.loader import LoadLimits, SourceRecord, load_records, open_target
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


def test_the_driver_knows_the_values_on_connections_that_are_registered_alone(cluster: PostgresCluster) -> None:
    values = batch_values([], [[b""]], "utf-8")
    with cluster.connect() as connection, pytest.raises(psycopg.ProgrammingError, match="cannot adapt"):
        connection.execute("SELECT %(rows)s", values)
