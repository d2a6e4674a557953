"""The databases that the loading tests run on, each asked past the code under test."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from anonymisation.database.dialects.base import Dialect
from anonymisation.database.dialects.geopackage import decode_point
from anonymisation.database.layouts.geometry import parse_point
from anonymisation.database.layouts.tables import TableLayout, load_layout
from anonymisation.database.schema import create_table, drop_table
from anonymisation.database.target import DatabaseTarget, open_target
from tests.database.fake_oracle import FakeOracle
from tests.database.postgres_cluster import PostgresCluster


class Site(Protocol):
    """One database. Its tables are made by `target`, and it is asked with the plain driver."""

    kind: str

    def target(self, layout: str | TableLayout = "PICTURES") -> DatabaseTarget:
        """The table, made anew when it is first asked for."""

    def rows(self, layout: TableLayout) -> list[dict[str, Any]]:
        """What is stored: points as (SRID, coordinates), times as datetimes in UTC, numbers as Python's."""

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """The answer to SQL in the tongue of this database."""

    def away(self) -> None:
        """Make the database unreachable."""

    def back(self) -> None:
        """Undo `away`."""


@dataclass(slots=True)
class SqliteSite:
    """A file."""

    folder: Path
    kind: str = "sqlite"

    @property
    def file(self) -> Path:
        return self.folder / "pictures.gpkg"

    @property
    def url(self) -> sa.URL:
        return sa.URL.create("sqlite", database=str(self.file))

    def target(self, layout: str | TableLayout = "PICTURES") -> DatabaseTarget:
        return open_target(self.url, load_layout(layout) if isinstance(layout, str) else layout)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.file)) as connection:
            return connection.execute(sql).fetchall()

    def rows(self, layout: TableLayout) -> list[dict[str, Any]]:
        names = [column.name for column in layout.columns]
        listed = ", ".join(f'"{name}"' for name in names)
        return [
            {name: _from_sqlite(name, value) for name, value in zip(names, values, strict=True)}
            for values in self.ask(f'SELECT {listed} FROM "{layout.name}"')
        ]

    def away(self) -> None:
        self.file.rename(self.folder / "hidden") if self.file.exists() else None
        self.file.mkdir()

    def back(self) -> None:
        self.file.rmdir()
        if (self.folder / "hidden").exists():
            (self.folder / "hidden").rename(self.file)


def _from_sqlite(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        point = decode_point(value)
        return (point.srid, list(point.coordinates))
    if name == "Tidspunkt" and value is not None:
        return datetime.fromisoformat(value)
    return value


@dataclass(slots=True)
class PostgresqlSite:
    """A database of a cluster that stops and starts; the table is dropped before each use."""

    cluster: PostgresCluster
    kind: str = "postgresql"
    _made: set[str] = field(default_factory=set)

    @property
    def url(self) -> sa.URL:
        return self.cluster.url

    def target(self, layout: str | TableLayout = "PICTURES") -> DatabaseTarget:
        target = open_target(self.url, load_layout(layout) if isinstance(layout, str) else layout)
        if target.layout.name not in self._made:
            drop_table(target)
            create_table(target)
            self._made.add(target.layout.name)
        return target

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with self.cluster.connect() as connection:
            return list(connection.execute(sql.encode()).fetchall())

    def rows(self, layout: TableLayout) -> list[dict[str, Any]]:
        listed = ", ".join(
            f"ST_AsEWKT({column.name.lower()})" if column.spatial_metadata else column.name.lower()
            for column in layout.columns
        )
        return [
            {column.name: _from_postgresql(value) for column, value in zip(layout.columns, values, strict=True)}
            for values in self.ask(f"SELECT {listed} FROM {layout.name.lower()}")
        ]

    def away(self) -> None:
        self.cluster.stop()

    def back(self) -> None:
        self.cluster.start()


def _from_postgresql(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("SRID="):
        point = parse_point(value)
        return (point.srid, list(point.coordinates))
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    return value


@dataclass(slots=True)
class FakeOracleSite:
    """The designed fake at the seam of Oracle's driver."""

    server: FakeOracle = field(default_factory=FakeOracle)
    kind: str = "fake oracle"
    _made: set[str] = field(default_factory=set)

    def target(self, layout: str | TableLayout = "PICTURES") -> DatabaseTarget:
        # The driver is imported here, so that the other databases are tested without it.
        from anonymisation.database.dialects.oracle import OracleDialect

        return self._target(
            "oracle://me:hunter2@nowhere/?service_name=FREE", layout, OracleDialect(self.server.connect)
        )

    def _target(self, url: str, layout: str | TableLayout, dialect: Dialect) -> DatabaseTarget:
        target = open_target(url, load_layout(layout) if isinstance(layout, str) else layout, dialect=dialect)
        if target.layout.name not in self._made:
            create_table(target)
            self._made.add(target.layout.name)
        return target

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return self.server.ask(sql)

    def rows(self, layout: TableLayout) -> list[dict[str, Any]]:
        return [
            {column.name: _from_oracle(row[column.name.upper()]) for column in layout.columns}
            for row in self.server.rows(layout.name.upper())
        ]

    def away(self) -> None:
        self.server.away = True

    def back(self) -> None:
        self.server.away = False


def _from_oracle(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    if hasattr(value, "SDO_POINT"):
        place = value.SDO_POINT
        return (value.SDO_SRID, [number for number in (place.X, place.Y, place.Z) if number is not None])
    return value.read() if hasattr(value, "read") else value


@dataclass(slots=True)
class OracleSite:
    """A real Oracle with the schema of a login that may create tables, named by ANONYMISATION_TEST_ORACLE_URL."""

    url: str
    kind: str = "oracle"
    _made: set[str] = field(default_factory=set)

    def target(self, layout: str | TableLayout = "PICTURES") -> DatabaseTarget:
        target = open_target(self.url, load_layout(layout) if isinstance(layout, str) else layout)
        if target.layout.name not in self._made:
            drop_table(target)
            create_table(target)
            self._made.add(target.layout.name)
        return target

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            yield connection.connection.driver_connection

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with self._connected() as connection, connection.cursor() as cursor:
            return list(cursor.execute(sql))

    def rows(self, layout: TableLayout) -> list[dict[str, Any]]:
        listed = ", ".join(f'"{column.name.upper()}"' for column in layout.columns)
        with self._connected() as connection, connection.cursor() as cursor:
            return [
                {column.name: _from_oracle(value) for column, value in zip(layout.columns, values, strict=True)}
                for values in cursor.execute(f'SELECT {listed} FROM "{layout.name.upper()}"')
            ]

    def away(self) -> None:
        raise NotImplementedError("a test does not stop someone else's Oracle")

    def back(self) -> None:
        raise NotImplementedError("a test does not start someone else's Oracle")


def oracle_url() -> str | None:
    """The SQLAlchemy URL of the Oracle to test with: ANONYMISATION_TEST_ORACLE_URL."""
    return os.environ.get("ANONYMISATION_TEST_ORACLE_URL")
