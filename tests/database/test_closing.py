"""Every connection to a database is closed when the work with it ends: none is left to the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from anonymisation.chain.check import check_folder
from anonymisation.chain.discover import discover
from anonymisation.chain.load import load_folder, rows_present, send_waiting_rows, table_key
from anonymisation.chain.mask import mask_folder
from anonymisation.chain.release import release_folder
from anonymisation.cli import cli
from anonymisation.workspace.folder_state import open_state
from anonymisation.workspace.workspace import Workspace
from tests.captures import FOLDER, CountingDetector, Site
from tests.database.postgres_cluster import PostgresCluster
from tests.database.sites import PostgresqlSite

SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'pictures' AND pid <> pg_backend_pid()"


@pytest.fixture
def postgresql(cluster: PostgresCluster) -> Iterator[PostgresqlSite]:
    site = PostgresqlSite(cluster)
    site.target().close()
    gc.collect()
    gc.disable()
    yield site
    gc.enable()


def sessions(site: PostgresqlSite) -> object:
    """Sessions of the database. One that was closed is gone a moment later."""
    for _ in range(200):
        if site.ask(SESSIONS) == [(0,)]:
            return 0
        site.ask("SELECT pg_sleep(0.01)")
    return site.ask(SESSIONS)


def test_the_steps_of_the_chain_close_what_they_open(postgresql: PostgresqlSite, tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.fill(3)
    workspace = site.workspace(
        archive=True,
        write_exif_to_db=True,
        database=postgresql.url.render_as_string(hide_password=False),
        delete_input=True,
    )
    mask_folder(workspace, FOLDER, CountingDetector())
    assert load_folder(workspace, FOLDER).inserted == 3
    assert sessions(postgresql) == 0
    for step in (check_folder, release_folder, load_folder):
        step(workspace, FOLDER)
        assert sessions(postgresql) == 0, step
    send_waiting_rows(workspace)
    table_key(workspace)
    discover(workspace)
    present(workspace)
    assert sessions(postgresql) == 0


def present(workspace: Workspace) -> None:
    with open_state(workspace.shares.state, FOLDER) as state:
        assert rows_present(workspace, state, state.pictures) == set(state.pictures)


@pytest.mark.parametrize("verb", ["status", "execute-sql", "load", "insert-geom-metadata", "create-table"])
def test_the_verbs_of_the_command_line_close_what_they_open(
    verb: str, postgresql: PostgresqlSite, tmp_path: Path
) -> None:
    more = {"execute-sql": ["--sql", "SELECT 1"], "load": ["-i", str(tmp_path), "--state", str(tmp_path / "state")]}
    url = postgresql.url.render_as_string(hide_password=False)
    result = CliRunner().invoke(
        cli, ["db", verb, "--connection", url, "--table-name", "PICTURES", *more.get(verb, [])], catch_exceptions=False
    )
    assert result.exit_code == (2 if verb == "create-table" else 0), result.output  # the table is there already
    assert sessions(postgresql) == 0
