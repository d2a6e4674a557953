"""Records of real captures, their reference rows, and databases in real files."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from anonymisation.database.layouts.tables import load_layout
from anonymisation.database.loading.loader import DatabaseTarget, LoadLimits, SourceRecord, open_target
from tests.database.postgres_cluster import NotInstalledError, PostgresCluster, running_cluster
from tests.database.sites import FakeOracleSite, OracleSite, PostgresqlSite, Site, SqliteSite, oracle_url
from tests.drawn import DRAWN

Query = Callable[[str], list[tuple[Any, ...]]]

SITES = ("sqlite", "postgresql", "fake oracle")
SERVERS = ("sqlite", "postgresql")  # those that a test may stop, and that several processes reach

# What the formatters of the shipped layouts read.
KEYS = (
    "exif_heading", "exif_gpsposisjon", "senterlinjeposisjon", "exif_fylke", "exif_vegkat", "exif_vegstat",
    "exif_vegnr",
    "exif_hp", "exif_strekning", "exif_delstrekning", "exif_ankerpunkt", "exif_kryssdel", "exif_sideanleggsdel",
    "exif_meter", "mappenavn", "exif_reflinkid", "exif_reflinkposisjon", "detekterte_objekter", "exif_feltkode",
    "exif_roadident", "versjon", "exif_kvalitet",
)  # fmt: skip


@pytest.fixture(scope="session")
def expected_rows(references: Path) -> dict[str, dict[str, Any]]:
    """Picture → column → value."""
    rows: dict[str, dict[str, Any]] = json.loads((references / "reference/expected_rows.json").read_text("utf-8"))
    return rows


@pytest.fixture(scope="session")
def reference_records(references: Path) -> list[SourceRecord]:
    """The records of `expected_rows`."""
    return _records(references)


@pytest.fixture(scope="session")
def captured() -> list[SourceRecord]:
    """The records of the drawn captures."""
    return _records(DRAWN)


def _records(folder: Path) -> list[SourceRecord]:
    records = json.loads((folder / "reference/expected_metadata.json").read_text("utf-8"))
    return [SourceRecord(picture, record) for picture, record in records.items()]


@pytest.fixture(scope="session")
def cluster() -> Iterator[PostgresCluster]:
    """PostgreSQL with PostGIS, started once for all tests."""
    try:
        with running_cluster() as running:
            yield running
    except NotInstalledError as error:
        pytest.skip(str(error))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whatever takes a `site` runs on each; on a real Oracle with --run-db. Kills: 4 a server, 50 with --run-slow."""
    if "site" in metafunc.fixturenames:
        sites = (*SITES, "oracle") if metafunc.config.getoption("--run-db") else SITES
        metafunc.parametrize("site", sites, indirect=True)
    if "kill_seed" in metafunc.fixturenames:
        metafunc.parametrize("kill_seed", range(25 if metafunc.config.getoption("--run-slow") else 2))


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """A database of each kind, without tables."""
    match request.param:
        case "sqlite":
            yield SqliteSite(tmp_path)
        case "postgresql":
            yield PostgresqlSite(request.getfixturevalue("cluster"))
        case "fake oracle":
            pytest.importorskip("oracledb")
            yield FakeOracleSite()
        case _:
            url = oracle_url()
            if url is None:
                pytest.fail("--run-db needs ANONYMISATION_TEST_ORACLE_URL, see docker/oracle/README.md")
            yield OracleSite(url)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "pictures.db"


@pytest.fixture
def target(database: Path) -> DatabaseTarget:
    return open_target(f"sqlite:///{database}", load_layout("PICTURES"))


@pytest.fixture
def limits() -> LoadLimits:
    return LoadLimits()


@pytest.fixture
def query(database: Path) -> Query:
    """Ask the database with the plain driver, past the code under test."""

    def ask(sql: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(database)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    return ask


@pytest.fixture
def make_records() -> Callable[..., list[SourceRecord]]:
    """Records of as many pictures as asked for, complete for the PICTURES layout."""

    def make(count: int, first: int = 0, **changes: Any) -> list[SourceRecord]:
        made = []
        for number in range(first, first + count):
            name = f"picture_{number:06d}.jpg"
            record = dict.fromkeys(KEYS) | {
                "bildeid": f"2021-05-{1 + number % 28:02d}T10.00.00.000000_picture_{number:06d}",
                "exif_tid": "2021-05-01T10:00:00.25",
                "exif_dato": "2021-05-01",
                "exif_filnavn": name,
                **changes,
            }
            made.append(SourceRecord(f"Østfold/{name}", record))
        return made

    return make
