"""What is missing or in the way when a table of PostgreSQL is created, replaced or used: each has its own message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
import sqlalchemy as sa

from anonymisation.core.errors import ConfigurationError
from anonymisation.database.dialects.postgresql import PostgresqlDialect
from anonymisation.database.layouts.datatypes import parse_dtype
from anonymisation.database.layouts.formatters import FORMATTERS
from anonymisation.database.layouts.tables import ColumnLayout, TableLayout, load_layout
from anonymisation.database.loading.loader import LoadLimits, LoadReport, SourceRecord, load_records, open_target
from anonymisation.database.schema import create_table, replace_table, table_exists
from tests.database.postgres_cluster import GUEST, GUEST_PASSWORD, PostgresCluster
from tests.database.sites import PostgresqlSite

Make = Callable[..., list[SourceRecord]]
LAYOUT: Final = load_layout("PICTURES")


def as_guest(url: sa.URL) -> sa.URL:
    return url.set(username=GUEST, password=GUEST_PASSWORD)


@pytest.fixture
def postgresql(cluster: PostgresCluster) -> Iterator[PostgresqlSite]:
    """The common database with a table; what the guest may do is forgotten afterwards."""
    made = PostgresqlSite(cluster)
    made.target().close()
    yield made
    with cluster.connect() as connection:
        connection.execute(f"DROP TABLE IF EXISTS pictures CASCADE; DROP OWNED BY {GUEST}".encode())


def test_a_database_without_postgis(cluster: PostgresCluster) -> None:
    refused = pytest.raises(ConfigurationError, match=r'PostGIS is not installed.*"geometry".*CREATE EXTENSION postgis')
    with cluster.database() as name, open_target(cluster.url.set(database=name), LAYOUT) as target, refused:
        create_table(target)


def test_a_login_that_may_not_create_tables(cluster: PostgresCluster) -> None:
    refused = pytest.raises(ConfigurationError, match=r"may not create .*permission denied for schema.*GRANT CREATE")
    with open_target(as_guest(cluster.url), LAYOUT) as target, refused:
        create_table(target)


def test_a_schema_that_is_not_there(cluster: PostgresCluster) -> None:
    refused = pytest.raises(ConfigurationError, match=r"the schema is not there .*CREATE SCHEMA")
    with open_target(cluster.url, LAYOUT, schema="gone") as target, refused:
        create_table(target)


@pytest.mark.parametrize("right", ["SELECT", "INSERT", "UPDATE"])
def test_a_login_that_lacks_one_right_on_the_table(
    right: str,
    postgresql: PostgresqlSite,
    cluster: PostgresCluster,
    state: Path,
    limits: LoadLimits,
    make_records: Make,
) -> None:
    rights = ", ".join({"SELECT", "INSERT", "UPDATE"} - {right})
    with cluster.connect() as connection, open_target(as_guest(postgresql.url), LAYOUT) as target:
        connection.execute(f"GRANT {rights} ON pictures TO {GUEST}".encode())
        with pytest.raises(ConfigurationError, match=r"lacks a right .*SELECT, INSERT and UPDATE"):
            load_records(make_records(3), target, state, limits)
        connection.execute(f"GRANT {right} ON pictures TO {GUEST}".encode())
        assert load_records([], target, state, limits) == LoadReport(0, 0, (), 0, ())
        assert load_records(make_records(1), target, state, limits).resent == 3


def test_a_server_that_only_reads(
    postgresql: PostgresqlSite, cluster: PostgresCluster, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    refused = pytest.raises(ConfigurationError, match=r"only reads .*primary")
    with cluster.connect() as connection:
        connection.execute(f"GRANT SELECT, INSERT, UPDATE ON pictures TO {GUEST}".encode())
        connection.execute(f"ALTER ROLE {GUEST} SET default_transaction_read_only = on".encode())
        with open_target(as_guest(postgresql.url), LAYOUT) as target, refused:
            load_records(make_records(1), target, state, limits)
        connection.execute(f"ALTER ROLE {GUEST} RESET ALL".encode())


def test_a_view_that_depends_on_the_table_is_named_and_nothing_is_removed(
    postgresql: PostgresqlSite, cluster: PostgresCluster, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    with postgresql.target() as target:
        load_records(make_records(3), target, state, limits)
        with cluster.connect() as connection:
            connection.execute("CREATE VIEW latest AS SELECT * FROM pictures")
        with pytest.raises(
            ConfigurationError, match=r"other objects depend on .*view latest depends on table pictures"
        ):
            replace_table(target)
        assert len(postgresql.rows(LAYOUT)) == 3


def test_a_table_stays_when_its_successor_cannot_be_created(
    postgresql: PostgresqlSite, cluster: PostgresCluster, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    with postgresql.target() as target:
        load_records(make_records(3), target, state, limits)
    with cluster.connect() as connection, open_target(as_guest(postgresql.url), LAYOUT) as guest:
        connection.execute(f"ALTER TABLE pictures OWNER TO {GUEST}".encode())
        with pytest.raises(ConfigurationError, match="may not create"):
            replace_table(guest)
        assert len(postgresql.rows(LAYOUT)) == 3
        connection.execute("ALTER TABLE pictures OWNER TO postgres")


def test_only_the_owner_replaces_a_table(postgresql: PostgresqlSite) -> None:
    refused = pytest.raises(ConfigurationError, match=r"may not remove .*owner")
    with open_target(as_guest(postgresql.url), LAYOUT) as guest, refused:
        replace_table(guest)


def test_a_view_under_the_tables_name_is_not_replaced(postgresql: PostgresqlSite, cluster: PostgresCluster) -> None:
    with cluster.connect() as connection, postgresql.target() as target:
        connection.execute("ALTER TABLE pictures RENAME TO base; CREATE VIEW pictures AS SELECT * FROM base")
        with pytest.raises(ConfigurationError, match="a view or another object"):
            replace_table(target)
        connection.execute("DROP TABLE base CASCADE")


def test_a_view_that_takes_no_rows(
    postgresql: PostgresqlSite, cluster: PostgresCluster, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    with cluster.connect() as connection, postgresql.target() as target:
        connection.execute("ALTER TABLE pictures RENAME TO base; CREATE VIEW pictures AS SELECT DISTINCT * FROM base")
        with pytest.raises(ConfigurationError, match=r"does not take what a load sends.*INSTEAD OF"):
            load_records(make_records(1), target, state, limits)
        connection.execute("DROP TABLE base CASCADE")


def test_a_table_is_created_next_to_one_that_was_renamed(postgresql: PostgresqlSite, cluster: PostgresCluster) -> None:
    with cluster.connect() as connection, postgresql.target() as target:
        connection.execute("ALTER TABLE pictures RENAME TO pictures_2025")
        create_table(target)
        assert table_exists(target)
        connection.execute("DROP TABLE pictures_2025")


def test_names_of_constraints_that_are_cut_stay_distinct(cluster: PostgresCluster) -> None:
    names = ("Beskrivelse_av_kjoeretoey_som_er_registrert_foran", "Beskrivelse_av_kjoeretoey_som_er_registrert_forbi")
    columns = [
        ColumnLayout(name=name, dtype=parse_dtype(dtype), formatter="ID")
        for name, dtype in (
            ("ID", "VARCHAR(64)"),
            *((name, "VARCHAR(64)") for name in names),
            (f"{names[0]}_n", "NUMBER"),
        )
    ]
    layout = TableLayout(
        name="Registreringer_av_kjoeretoey_langs_veg", pk_column="ID", columns=tuple(columns), formatters=FORMATTERS
    )
    with open_target(cluster.url, layout) as target:
        create_table(target)
        replace_table(target)
        with cluster.connect() as connection:
            sql = f"SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = '{layout.name}'::regclass"
            made = [str(name) for (name,) in connection.execute(sql.encode())]
            connection.execute(f"DROP TABLE {layout.name}".encode())
    assert len(set(made)) == len(made) == len(columns)
    assert all(len(name) <= 63 for name in made)
    assert {check.name for column in columns for check in PostgresqlDialect().checks(layout.name.lower(), column)} == {
        *made
    }
