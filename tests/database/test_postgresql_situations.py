"""Tables of PostgreSQL as sites have them: each takes rows, updates them, and refuses the bad ones alone."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
import pytest
import sqlalchemy as sa

from anonymisation.core.errors import ConfigurationError
from anonymisation.database.layouts.tables import load_layout
from anonymisation.database.loading.batches import make_batch
from anonymisation.database.loading.loader import (
    LoadLimits,
    LoadReport,
    SourceRecord,
    load_records,
    open_target,
)
from anonymisation.database.schema import create_table
from anonymisation.database.target import transaction
from tests.database.loading_process import identifier
from tests.database.pgbouncer import running_pgbouncer
from tests.database.postgres_cluster import GUEST, GUEST_PASSWORD, NotInstalledError, PostgresCluster
from tests.database.sites import PostgresqlSite

Make = Callable[..., list[SourceRecord]]
LAYOUT: Final = load_layout("PICTURES")

ONE: Final = 4  # the record that a trigger or a missing partition keeps out
TOO_LONG: Final = (17, 63, 118)
IS_BAD: Final = f"new.id LIKE '%_{ONE:06d}'"


def trigger(body: str) -> str:
    return (
        f"CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;"
        "CREATE TRIGGER touches BEFORE INSERT OR UPDATE ON pictures FOR EACH ROW EXECUTE FUNCTION touched()"
    )


ASIDE: Final = "ALTER TABLE pictures RENAME TO base;"
LIKE: Final = f"{ASIDE} CREATE TABLE pictures (LIKE base INCLUDING DEFAULTS)"
BY_TIME: Final = (
    f"{LIKE} PARTITION BY RANGE (tidspunkt); ALTER TABLE pictures ADD PRIMARY KEY (id, tidspunkt);"
    "CREATE TABLE may PARTITION OF pictures FOR VALUES FROM ('2021-05-01Z') TO ('2021-06-01Z');"
    "CREATE TABLE rest PARTITION OF pictures DEFAULT"
)
INSTEAD: Final = f"""{ASIDE} CREATE VIEW pictures AS SELECT * FROM base;
    CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF TG_OP = 'INSERT' THEN
            INSERT INTO base SELECT new.*;
        ELSE
            UPDATE base SET versjon = new.versjon, tidspunkt = new.tidspunkt WHERE id = old.id;
        END IF;
        RETURN new;
    END $$;
    CREATE TRIGGER instead INSTEAD OF INSERT OR UPDATE ON pictures FOR EACH ROW EXECUTE FUNCTION instead()"""
NO_KEY: Final = "ALTER TABLE pictures DROP CONSTRAINT pictures_pkey"


@dataclass(frozen=True, slots=True)
class Situation:
    """What a site's owner does to the database, `before` and `after` the table is made, and how a loader gets there."""

    after: str = ""
    before: str = ""
    schema: str | None = None
    postgis: str = "public"
    refuses: str | None = None  # the reason of the record ONE
    guest: bool = False
    pooled: bool = False


SITUATIONS: Final = {
    "plain": Situation(),
    "partitioned by ID": Situation(
        f"{LIKE} PARTITION BY RANGE (id); ALTER TABLE pictures ADD PRIMARY KEY (id);"
        "CREATE TABLE early PARTITION OF pictures FOR VALUES FROM (MINVALUE) TO ('2021-05-15');"
        "CREATE TABLE late PARTITION OF pictures FOR VALUES FROM ('2021-05-15') TO (MAXVALUE)"
    ),
    "no partition for one row": Situation(
        f"{LIKE} PARTITION BY RANGE (id); ALTER TABLE pictures ADD PRIMARY KEY (id);"
        f"CREATE TABLE early PARTITION OF pictures FOR VALUES FROM (MINVALUE) TO ('{identifier(ONE)}');"
        f"CREATE TABLE late PARTITION OF pictures FOR VALUES FROM ('{identifier(ONE)}a') TO (MAXVALUE)",
        refuses="no partition",
    ),
    "partitioned by hash": Situation(
        f"{LIKE} PARTITION BY HASH (id); ALTER TABLE pictures ADD PRIMARY KEY (id);"
        "CREATE TABLE even PARTITION OF pictures FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE odd PARTITION OF pictures FOR VALUES WITH (MODULUS 2, REMAINDER 1)"
    ),
    "partitioned by time": Situation(BY_TIME),
    "view": Situation(f"{ASIDE} CREATE VIEW pictures AS SELECT * FROM base WITH CHECK OPTION"),
    "view of partitions": Situation(
        f"{BY_TIME}; ALTER TABLE pictures RENAME TO whole; CREATE VIEW pictures AS SELECT * FROM whole"
    ),
    "view with triggers": Situation(INSTEAD),
    "view with rules": Situation(
        f"{ASIDE} CREATE VIEW pictures AS SELECT * FROM base;"
        "CREATE RULE new AS ON INSERT TO pictures DO INSTEAD INSERT INTO base SELECT new.* RETURNING *;"
        "CREATE RULE old AS ON UPDATE TO pictures DO INSTEAD"
        " UPDATE base SET versjon = new.versjon, tidspunkt = new.tidspunkt WHERE id = old.id RETURNING *"
    ),
    "partitioned by list": Situation(
        f"{LIKE} PARTITION BY LIST (vegkategori); CREATE TABLE europe PARTITION OF pictures FOR VALUES IN ('E');"
        "CREATE TABLE rest PARTITION OF pictures DEFAULT PARTITION BY RANGE (tidspunkt);"
        "CREATE TABLE always PARTITION OF rest DEFAULT"
    ),
    "no key": Situation(NO_KEY),
    "deferrable key": Situation(f"{NO_KEY}; ALTER TABLE pictures ADD PRIMARY KEY (id) DEFERRABLE"),
    "inherited": Situation(f"{ASIDE} CREATE TABLE pictures (PRIMARY KEY (id)) INHERITS (base)"),
    "trigger refuses": Situation(
        trigger(f"IF {IS_BAD} THEN RAISE 'under embargo'; END IF; RETURN new;"), refuses="^under embargo$"
    ),
    "trigger skips": Situation(trigger(f"IF {IS_BAD} THEN RETURN NULL; END IF; RETURN new;"), refuses="a trigger"),
    "trigger rewrites the key": Situation(
        trigger(f"IF {IS_BAD} THEN new.id := lower(new.id); END IF; RETURN new;"), refuses="a trigger"
    ),
    "trigger rewrites": Situation(trigger("new.vegkategori := 'E'; RETURN new;")),
    "partitioned by inheritance": Situation(
        "CREATE TABLE child (PRIMARY KEY (id)) INHERITS (pictures);"
        "CREATE FUNCTION route() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO child SELECT new.*; RETURN NULL; END $$;"
        "CREATE TRIGGER route BEFORE INSERT ON pictures FOR EACH ROW EXECUTE FUNCTION route()"
    ),
    "partitioned by inheritance, one skipped": Situation(
        "CREATE TABLE child (PRIMARY KEY (id)) INHERITS (pictures);"
        "CREATE FUNCTION route() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF NOT ({IS_BAD}) THEN INSERT INTO child SELECT new.*; END IF; RETURN NULL; END $$;"
        "CREATE TRIGGER route BEFORE INSERT ON pictures FOR EACH ROW EXECUTE FUNCTION route()",
        refuses="a trigger",
    ),
    "rule also": Situation(
        "CREATE TABLE seen (id text);CREATE RULE also AS ON INSERT TO pictures DO ALSO INSERT INTO seen VALUES (new.id)"
    ),
    "view with rules that return nothing": Situation(
        f"{ASIDE} CREATE VIEW pictures AS SELECT * FROM base;"
        "CREATE RULE new AS ON INSERT TO pictures DO INSTEAD INSERT INTO base SELECT new.*;"
        "CREATE RULE old AS ON UPDATE TO pictures DO INSTEAD"
        " UPDATE base SET versjon = new.versjon, tidspunkt = new.tidspunkt WHERE id = old.id"
    ),
    "partitions with a trigger": Situation(
        f"{BY_TIME}; {trigger(f'IF {IS_BAD} THEN RETURN NULL; END IF; RETURN new;')}", refuses="a trigger"
    ),
    "other schema": Situation(before="CREATE SCHEMA veg", schema="veg"),
    "PostGIS in another schema": Situation(postgis="gis"),
    "PostGIS and table in other schemas, no search path": Situation(
        before="CREATE SCHEMA veg; ALTER ROLE ALL SET search_path = ''", schema="veg", postgis="gis"
    ),
    "fewer rights": Situation(
        "REVOKE ALL ON DATABASE {database} FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC;"
        f"GRANT CONNECT ON DATABASE {{database}} TO {GUEST}; GRANT USAGE ON SCHEMA public TO {GUEST};"
        f"GRANT SELECT, INSERT, UPDATE ON pictures TO {GUEST}",
        guest=True,
    ),
    "PgBouncer": Situation(pooled=True),
    "partitions behind PgBouncer": Situation(BY_TIME, pooled=True),
    "trigger behind PgBouncer": Situation(
        trigger(f"IF {IS_BAD} THEN RAISE 'under embargo'; END IF; RETURN new;"), refuses="^under embargo$", pooled=True
    ),
}


@pytest.fixture(scope="module")
def templates(cluster: PostgresCluster) -> Iterator[dict[str, str]]:
    """A database with PostGIS to copy, by PostGIS' schema; making PostGIS takes longer than everything else here."""
    with ExitStack() as stack:
        yield {
            schema: stack.enter_context(
                cluster.database(f"CREATE SCHEMA IF NOT EXISTS {schema}", f"CREATE EXTENSION postgis SCHEMA {schema}")
            )
            for schema in ("public", "gis")
        }


@pytest.fixture
def opened(cluster: PostgresCluster, templates: dict[str, str]) -> Iterator[Callable[[Situation], tuple[str, sa.URL]]]:
    """Makes a situation; returns its database, and the URL at which a loader finds it."""
    with ExitStack() as stack:

        def make(situation: Situation) -> tuple[str, sa.URL]:
            before = situation.before.replace("ROLE ALL", f"ROLE {cluster.url.username} IN DATABASE {{database}}")
            name = stack.enter_context(cluster.database(template=templates[situation.postgis]))
            url = cluster.url.set(database=name)
            with cluster.connect(name) as connection:
                connection.execute(before.replace("{database}", name).encode())
            with open_target(url, LAYOUT, schema=situation.schema) as owner:
                create_table(owner)
            with cluster.connect(name) as connection:
                connection.execute(situation.after.replace("{database}", name).encode())
            if situation.pooled:
                try:
                    url = stack.enter_context(running_pgbouncer(cluster)).set(database=name)
                except NotInstalledError as error:
                    pytest.skip(str(error))
            return name, url.set(username=GUEST, password=GUEST_PASSWORD) if situation.guest else url

        yield make


def stored(cluster: PostgresCluster, database: str, schema: str | None) -> dict[object, object]:
    """The version of each row; every row has a position, and no ID is there twice."""
    with cluster.connect(database) as connection:
        sql = f"SELECT id, versjon FROM {schema or 'public'}.pictures WHERE posisjon IS NOT NULL"
        rows = connection.execute(sql.encode()).fetchall()
    versions = {row[0]: row[1] for row in rows}
    assert len(rows) == len(versions)
    return versions


@pytest.mark.parametrize("what", SITUATIONS)
def test_a_table_takes_rows_updates_them_and_refuses_the_bad_ones_alone(
    what: str, cluster: PostgresCluster, opened: Callable[[Situation], tuple[str, sa.URL]], state: Path,
    make_records: Make,
) -> None:  # fmt: skip
    situation = SITUATIONS[what]
    database, url = opened(situation)
    bad = dict.fromkeys(TOO_LONG, "value too long")
    if situation.refuses is not None:
        bad[ONE] = situation.refuses
    with open_target(url, LAYOUT, schema=situation.schema) as target:
        for tag, day in (("first", "2021-05-02"), ("second", "2021-06-02")):  # the second is of another partition
            records = make_records(
                120, versjon=tag, exif_tid=f"{day}T10:00:00", exif_gpsposisjon="srid=4326;POINT Z( 10.5 59.5 100 )"
            )
            for number in TOO_LONG:
                records[number].record["versjon"] = "x" * 256
            report = load_records(records, target, state, LoadLimits(batch_rows=50))
            good = {str(item.record["bildeid"]) for number, item in enumerate(records) if number not in bad}
            counts = (len(good), 0) if tag == "first" else (0, len(good))
            assert (report.inserted, report.updated, report.waiting, report.problems) == (*counts, 0, ())
            assert [failure.picture for failure in report.failed] == [records[n].picture for n in sorted(bad)]
            for failure, number in zip(report.failed, sorted(bad), strict=True):
                assert re.search(bad[number], failure.reason), failure.reason
            assert stored(cluster, database, situation.schema) == dict.fromkeys(good, tag)
    assert not list((state / "spool").rglob("*.jsonl"))


@pytest.mark.parametrize(
    "what", ["plain", "partitioned by time", "view with triggers", "no key", "PgBouncer", "partitions behind PgBouncer"]
)
def test_three_loaders_at_once_store_each_row_once(
    what: str, cluster: PostgresCluster, opened: Callable[[Situation], tuple[str, sa.URL]], tmp_path: Path,
    make_records: Make,
) -> None:  # fmt: skip
    situation = SITUATIONS[what]
    database, url = opened(situation)
    reports: dict[str, LoadReport] = {}

    def load(tag: str) -> None:
        records = make_records(60, versjon=tag, exif_gpsposisjon="srid=4326;POINT Z( 10.5 59.5 100 )")
        with open_target(url, LAYOUT, schema=situation.schema) as target:
            reports[tag] = load_records(records, target, tmp_path / tag, LoadLimits(batch_rows=5))

    loaders = [threading.Thread(target=load, args=(tag,)) for tag in ("one", "two", "three")]
    for loader in loaders:
        loader.start()
    for loader in loaders:
        loader.join()
    assert sum(report.inserted for report in reports.values()) == 60
    assert sum(report.updated for report in reports.values()) == 120
    assert all((report.failed, report.waiting) == ((), 0) for report in reports.values())
    rows = stored(cluster, database, situation.schema)
    assert len(rows) == 60
    assert set(rows.values()) <= reports.keys()


@pytest.mark.parametrize("view", [False, True])
def test_a_column_without_zone_gets_utc_whatever_the_zone_of_the_database(
    view: bool, cluster: PostgresCluster, opened: Callable[[Situation], tuple[str, sa.URL]], state: Path,
    make_records: Make,
) -> None:  # fmt: skip
    after = (
        "ALTER TABLE pictures ALTER tidspunkt TYPE timestamp;"
        f"ALTER DATABASE {{database}} SET timezone = 'Europe/Oslo';{INSTEAD if view else ''}"
    )
    database, url = opened(Situation(after))
    with open_target(url, LAYOUT) as target:
        load_records(make_records(1, exif_tid="2021-05-02T10:00:00"), target, state, LoadLimits())
    with cluster.connect(database) as connection:
        assert connection.execute("SELECT tidspunkt::text FROM pictures").fetchall() == [("2021-05-02 10:00:00",)]


def test_objects_that_take_no_rows_get_their_own_advice(
    opened: Callable[[Situation], tuple[str, sa.URL]], state: Path, make_records: Make
) -> None:
    _, url = opened(Situation(f"{ASIDE} CREATE MATERIALIZED VIEW pictures AS SELECT * FROM base"))
    advice = "materialized view.*rename it"
    with open_target(url, LAYOUT) as target, pytest.raises(ConfigurationError, match=advice):
        load_records(make_records(1), target, state, LoadLimits())


def test_a_rule_acts_once_for_each_new_row(
    cluster: PostgresCluster, opened: Callable[[Situation], tuple[str, sa.URL]], state: Path, make_records: Make
) -> None:
    database, url = opened(SITUATIONS["rule also"])
    with open_target(url, LAYOUT) as target:
        reports = [load_records(make_records(count), target, state, LoadLimits()) for count in (2, 3)]
    assert [(report.inserted, report.updated) for report in reports] == [(2, 0), (1, 2)]
    with cluster.connect(database) as connection:
        seen = connection.execute("SELECT id FROM seen ORDER BY id").fetchall()
        assert seen == connection.execute("SELECT id FROM pictures ORDER BY id").fetchall()
        assert len(seen) == 3


def test_a_refused_row_leaves_no_warning_of_the_driver(
    cluster: PostgresCluster, state: Path, make_records: Make, caplog: pytest.LogCaptureFixture
) -> None:
    records = make_records(9)
    records[ONE].record["versjon"] = "x" * 256
    report = load_records(records, PostgresqlSite(cluster).target(), state, LoadLimits())
    assert len(report.failed) == 1
    assert not caplog.records


def test_nothing_stays_in_a_session_that_others_use_next(
    cluster: PostgresCluster, state: Path, make_records: Make
) -> None:
    settings = "SELECT pg_backend_pid(), string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings"
    prepared = "SELECT count(*) FROM pg_prepared_statements"
    target = PostgresqlSite(cluster).target()
    try:
        with running_pgbouncer(cluster, sessions=1) as url, open_target(url, target.layout) as pooled:
            rival = psycopg.connect(
                host=str(url.query["host"]), port=int(str(url.query["port"])), user=url.username, dbname=url.database,
                autocommit=True, prepare_threshold=None,
            )  # fmt: skip
            with rival:
                before = rival.execute(settings.encode()).fetchall()
                for _ in range(8):  # the driver prepares what it runs for the sixth time
                    load_records(make_records(3), pooled, state, LoadLimits())
                assert rival.execute(settings.encode()).fetchall() == before
                assert rival.execute(prepared.encode()).fetchall() == [(0,)]
    except NotInstalledError as error:
        pytest.skip(str(error))


def test_options_that_a_pooler_does_not_take_are_not_blamed_on_the_login(
    cluster: PostgresCluster, state: Path, make_records: Make
) -> None:
    target = PostgresqlSite(cluster).target()
    try:
        with running_pgbouncer(cluster, sessions=1) as url:
            address = url.update_query_dict({"options": "-c statement_timeout=5s"})
            with (
                open_target(address, target.layout) as pooled,
                pytest.raises(ConfigurationError, match="the pooler in front of the database takes no such") as refused,
            ):
                load_records(make_records(1), pooled, state, LoadLimits())
    except NotInstalledError as error:
        pytest.skip(str(error))
    assert "correct user, password" not in str(refused.value)


def test_the_server_works_on_a_batch_while_the_next_one_is_made(cluster: PostgresCluster, make_records: Make) -> None:
    """The batch is larger than what sockets hold, so that the server has it only if all of it is sent."""
    site = PostgresqlSite(cluster)
    target = site.target()
    batch = make_batch(make_records(50, note="x" * 100_000), target.layout, target.writer)
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT%'"
    seen: list[int] = []
    with cluster.connect() as other:
        other.execute("BEGIN")
        other.execute(
            "INSERT INTO pictures (id, tidspunkt, filnavn, jsondata) VALUES (%s, now(), 'x', '{}')", [batch.keys[0]]
        )

        def look() -> None:
            end = time.monotonic() + 20
            while not seen and time.monotonic() < end:
                seen.extend(count for (count,) in site.ask(waits) if count)
            other.execute("ROLLBACK")

        with transaction(target) as connection:
            written = target.writer.write(connection, batch.rows, look)
    assert seen == [1]
    assert [outcome.refused for outcome in written] == [None] * 50
