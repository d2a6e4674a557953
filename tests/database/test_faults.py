"""Loading through kills, rivals, a database that is away and damaged files: every row is there once."""

from __future__ import annotations

import json
import os
import random
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from anonymisation.core.errors import DatabaseUnavailableError, ShareUnavailableError
from anonymisation.database.layouts.tables import load_layout
from anonymisation.database.loading.loader import (
    DatabaseTarget,
    LoadLimits,
    LoadReport,
    LoadStoppedError,
    SourceRecord,
    existing_ids,
    load_records,
    open_target,
    send_spooled,
)
from tests.database.conftest import SERVERS
from tests.database.loading_process import identifier
from tests.database.postgres_cluster import PostgresCluster
from tests.database.sites import PostgresqlSite, Site, SqliteSite

Query = Callable[[str], list[tuple[Any, ...]]]
Make = Callable[..., list[SourceRecord]]

PROCESS = Path(__file__).with_name("loading_process.py")
REPOSITORY = PROCESS.parents[2]
COUNT = 400
IDENTIFIERS = [identifier(number) for number in range(COUNT)]


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """A database that several processes reach, and that a test may stop."""
    return SqliteSite(tmp_path) if request.param == "sqlite" else PostgresqlSite(request.getfixturevalue("cluster"))


def start(target: DatabaseTarget, state: Path, *more: str) -> subprocess.Popen[str]:
    url = target.engine.url.render_as_string(hide_password=False)
    command = [sys.executable, str(PROCESS), url, str(state), str(COUNT), *more]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def kill_after(process: subprocess.Popen[str], record: int, spins: int) -> None:
    """Kill -9 when the process has announced `record`, a little later for more `spins`."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == str(record):
            break
    for _ in range(spins):
        pass
    process.kill()
    process.wait()
    process.stdout.close()


def spooled(state: Path) -> list[Path]:
    return sorted((state / "spool").rglob("*.jsonl"))


def test_a_killed_loader_loses_no_row(kill_seed: int, server: Site, state: Path, limits: LoadLimits) -> None:
    target = server.target()
    choice = random.Random(kill_seed)
    for _ in range(2):
        kill_after(start(target, state, "10"), choice.randrange(5, COUNT), choice.randrange(300_000))
    waiting = sum(len(path.read_bytes().splitlines()) for path in spooled(state))
    before = len(existing_ids(target, IDENTIFIERS))
    report = send_spooled(target, state, limits)
    assert report.inserted + report.updated == waiting
    assert len(server.rows(target.layout)) == before + report.inserted
    assert send_spooled(target, state, limits) == LoadReport(0, 0, (), 0, ())
    with start(target, state, "10", "last") as process:
        output, _ = process.communicate()
    assert output.splitlines()[-1].endswith("waiting=0")
    assert loaded_once(server, target, {"last"})
    assert spooled(state) == []


def loaded_once(site: Site, target: DatabaseTarget, tags: set[str]) -> bool:
    """Whether every row that the process loads is there, each once, with one of `tags`."""
    rows = site.rows(target.layout)
    return sorted(row["ID"] for row in rows) == sorted(IDENTIFIERS) and {row["Versjon"] for row in rows} <= tags


@pytest.mark.parametrize(
    "place",
    [
        "loading.loader.existing_keys",
        "dialects.sqlite.isolate",
        "loading.loader.IdentifierRegistry.claim",
        "loading.loader.Spool.remove",
    ],
)
def test_a_load_cut_short_at_any_step_is_finished_before_the_next(
    place: str, state: Path, target: DatabaseTarget, limits: LoadLimits, make_records: Make, query: Query,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    [record] = make_records(1, versjon="greater")
    greater = SourceRecord("b/x.jpg", record.record)
    lesser = SourceRecord("a/x.jpg", record.record | {"versjon": "lesser"})

    def cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"anonymisation.database.{place}", cut)
        with pytest.raises(KeyboardInterrupt):
            load_records([greater], target, state, limits)
    report = load_records([lesser], target, state, limits)
    assert (report.inserted, report.updated, report.resent) == (0, 1, 1)
    assert [collision.stands for collision in report.collisions] == ["b/x.jpg"]
    assert query('SELECT "Versjon" FROM "PICTURES"') == [("greater",)]
    assert spooled(state) == []


def test_two_loaders_at_once_do_no_harm(server: Site, state: Path) -> None:
    target = server.target()
    assert counts_of(target, state, state) == {"inserted": COUNT, "updated": COUNT}
    assert loaded_once(server, target, {"one", "two"})
    assert spooled(state) == []


def test_two_loaders_with_states_of_their_own_do_no_harm(server: Site, tmp_path: Path) -> None:
    target = server.target()
    assert counts_of(target, tmp_path / "a", tmp_path / "b") == {"inserted": COUNT, "updated": COUNT}
    assert loaded_once(server, target, {"one", "two"})


def counts_of(target: DatabaseTarget, *states: Path) -> dict[str, int]:
    """What two loaders of the same rows, at work at once, report together."""
    processes = [start(target, state, "10", tag) for state, tag in zip(states, ("one", "two"), strict=True)]
    last = [process.communicate()[0].splitlines()[-1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    counts = [dict(part.split("=") for part in line.split()) for line in last]
    assert [count["waiting"] for count in counts] == ["0", "0"]
    return {key: sum(int(count[key]) for count in counts) for key in ("inserted", "updated")}


def test_a_server_stopped_in_mid_load_and_started_again_gets_every_row_once(
    server: Site, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    target = server.target()
    records = make_records(200)

    def interrupted() -> Iterator[SourceRecord]:
        for number, record in enumerate(records):
            if number == 60:
                server.away()
            if number == 130:
                server.back()
            yield record

    report = load_records(interrupted(), target, state, LoadLimits(batch_rows=10))
    assert report.inserted + report.waiting == 200
    assert report.waiting >= 70
    assert send_spooled(target, state, limits).inserted == report.waiting
    assert sorted(row["ID"] for row in server.rows(target.layout)) == sorted(
        str(item.record["bildeid"]) for item in records
    )
    assert load_records(records, target, state, limits) == LoadReport(0, 200, (), 0, ())


@pytest.mark.parametrize("step", ["before", "after"])
def test_a_connection_dropped_in_mid_batch_costs_nothing(
    step: str, cluster: PostgresCluster, state: Path, limits: LoadLimits, make_records: Make,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    site = PostgresqlSite(cluster)
    target = site.target()
    write = type(target.writer).write
    dropped: list[int] = []

    def cut_off(writer: Any, connection: Any, rows: Any, while_waiting: Any) -> Any:
        if dropped:
            return write(writer, connection, rows, while_waiting)
        dropped.append(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar())
        written = write(writer, connection, rows) if step == "after" else None
        site.ask(f"SELECT pg_terminate_backend({dropped[0]}, 5000)")
        return written or write(writer, connection, rows)

    monkeypatch.setattr(type(target.writer), "write", cut_off)
    assert load_records(make_records(20), target, state, limits) == LoadReport(20, 0, (), 0, ())
    assert "trying once more" in caplog.text
    assert len(site.rows(target.layout)) == 20


def test_loading_stops_at_the_limit_while_the_server_is_away(
    server: Site, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    target = server.target()
    server.away()
    with pytest.raises(LoadStoppedError, match="30 rows wait"):
        load_records(make_records(100), target, state, LoadLimits(batch_rows=10, max_waiting=30))
    server.back()
    assert send_spooled(target, state, limits).inserted == 30
    assert load_records(make_records(100), target, state, limits) == LoadReport(70, 30, (), 0, ())


def block(database: Path, how: str) -> None:
    """Make the database unusable."""
    if how == "a folder":
        database.mkdir()
    elif how == "no folder":
        database.parent.rmdir()
    else:
        database.write_bytes(b"this is no database file" * 100)


def unblock(database: Path, how: str) -> None:
    if how == "a folder":
        database.rmdir()
    elif how == "no folder":
        database.parent.mkdir()
    else:
        database.unlink(missing_ok=True)


@pytest.mark.parametrize("how", ["a folder", "no folder", "no database"])
def test_rows_wait_while_the_database_is_away(how: str, tmp_path: Path, state: Path, make_records: Make) -> None:
    database = tmp_path / "mount" / "x.db"
    database.parent.mkdir()
    target = open_target(f"sqlite:///{database}", load_layout("PICTURES"))
    limits = LoadLimits(batch_rows=10)
    block(database, how)
    assert load_records(make_records(25), target, state, limits) == LoadReport(0, 0, (), 25, ())
    assert load_records(make_records(5, first=25), target, state, limits) == LoadReport(0, 0, (), 5, ())
    assert send_spooled(target, state, limits) == LoadReport(0, 0, (), 30, ())
    with pytest.raises(DatabaseUnavailableError, match=r"x\.db"):
        existing_ids(target, ["x"])
    unblock(database, how)
    assert send_spooled(target, state, limits) == LoadReport(30, 0, (), 0, ())
    assert send_spooled(target, state, limits) == LoadReport(0, 0, (), 0, ())
    identifiers = [str(item.record["bildeid"]) for item in make_records(30)]
    assert existing_ids(target, identifiers) == set(identifiers)


def test_a_locked_database_is_away_and_its_rows_wait(
    database: Path, state: Path, make_records: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anonymisation.database.dialects.sqlite.BUSY_TIMEOUT_SECONDS", 0.05)
    target = open_target(f"sqlite:///{database}", load_layout("PICTURES"))
    limits = LoadLimits()
    load_records(make_records(1), target, state, limits)
    other = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert load_records(make_records(4), target, state, limits).waiting == 4
    other.execute("ROLLBACK")
    other.close()
    assert send_spooled(target, state, limits) == LoadReport(3, 1, (), 0, ())


def test_waiting_rows_go_in_before_newer_ones(
    database: Path, state: Path, target: DatabaseTarget, limits: LoadLimits, make_records: Make, query: Query
) -> None:
    database.mkdir()
    bad = make_records(1, first=9, exif_tid=None)
    assert load_records([*make_records(5, versjon="old"), *bad], target, state, limits).waiting == 6
    database.rmdir()
    report = load_records(make_records(3, versjon="new"), target, state, limits)
    assert (report.inserted, report.updated, report.resent, report.waiting) == (0, 3, 5, 0)
    assert [failure.picture for failure in report.failed] == [bad[0].picture]
    assert query('SELECT "Versjon", count(*) FROM "PICTURES" GROUP BY 1 ORDER BY 1') == [("new", 3), ("old", 2)]


@pytest.mark.parametrize(("allowed", "kept"), [(10, 10), (7, 7), (25, 25), (1, 1), (0, 1)])
def test_loading_stops_when_too_many_rows_wait_and_discards_none(
    allowed: int, kept: int, database: Path, state: Path, target: DatabaseTarget, make_records: Make, query: Query
) -> None:
    records = make_records(40)
    limits = LoadLimits(batch_rows=4, max_waiting=allowed)
    database.mkdir()
    for _ in range(2):  # the second load finds the spool full
        with pytest.raises(LoadStoppedError, match=f"{kept} rows wait") as caught:
            load_records(records, target, state, limits)
    assert caught.value.report.waiting == 0
    database.rmdir()
    assert send_spooled(target, state, limits).inserted == kept
    assert load_records(records, target, state, limits) == LoadReport(40 - kept, kept, (), 0, ())
    assert query('SELECT count(*) FROM "PICTURES"') == [(40,)]


def test_as_many_rows_as_allowed_may_wait(
    database: Path, state: Path, target: DatabaseTarget, make_records: Make
) -> None:
    database.mkdir()
    limits = LoadLimits(batch_rows=4, max_waiting=10)
    assert load_records(make_records(10), target, state, limits).waiting == 10


def test_a_torn_last_line_costs_only_itself(
    database: Path, state: Path, target: DatabaseTarget, limits: LoadLimits, make_records: Make,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    database.mkdir()
    load_records(make_records(5), target, state, limits)
    [segment] = spooled(state)
    segment.write_bytes(segment.read_bytes()[:-40])
    (segment.parent / ".0123456789abcdef.part").write_bytes(b"half a segment")
    database.rmdir()
    report = send_spooled(target, state, limits)
    assert (report.inserted, report.updated, report.failed, report.waiting) == (4, 0, (), 0)
    [problem] = report.problems
    assert str(problem).startswith(f"{segment}: 1 of 5 rows cannot be read")
    assert str(problem) in caplog.text
    assert [path.name for path in segment.parent.iterdir() if path.suffix == ".damaged"] == [segment.name + ".damaged"]
    assert load_records(make_records(5), target, state, limits) == LoadReport(1, 4, (), 0, ())


def test_a_damaged_batch_is_set_aside_beside_earlier_ones(
    database: Path, state: Path, target: DatabaseTarget, limits: LoadLimits, make_records: Make
) -> None:
    for number in range(3):
        database.mkdir()
        load_records(make_records(2), target, state, limits)
        [segment] = spooled(state)
        segment.write_bytes(b"torn %d" % number)
        database.rmdir()
        send_spooled(target, state, limits)
        database.unlink(missing_ok=True)
    damaged = [path for path in segment.parent.iterdir() if path.suffix == ".damaged"]
    assert sorted(path.read_bytes() for path in damaged) == [b"torn 0", b"torn 1", b"torn 2"]


def test_the_spool_is_plain_json_and_runs_no_code(
    database: Path, state: Path, target: DatabaseTarget, limits: LoadLimits, make_records: Make
) -> None:
    database.mkdir()
    records = make_records(2, exif_roadident="Æ\udce5\n")
    load_records(records, target, state, limits)
    [segment] = spooled(state)
    lines = [json.loads(line) for line in segment.read_text("ascii").splitlines()]
    assert all(re.fullmatch("[0-9a-f]{8}", line.pop("crc32")) for line in lines)
    assert lines == [{"picture": item.picture, "record": item.record} for item in records]
    assert list(lines[0]["record"]) == list(records[0].record)


def test_rows_for_one_database_are_not_sent_to_another(
    tmp_path: Path, database: Path, state: Path, target: DatabaseTarget, limits: LoadLimits, make_records: Make,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    database.mkdir()
    load_records(make_records(3), target, state, limits)
    other = open_target(f"sqlite:///{tmp_path / 'other.db'}", load_layout("PICTURES"))
    assert send_spooled(other, state, limits) == LoadReport(0, 0, (), 0, ())
    assert "3 rows wait there for another database" in caplog.text
    database.rmdir()
    assert send_spooled(target, state, limits).inserted == 3


def test_the_embedded_database_is_the_same_wherever_its_state_is_mounted(tmp_path: Path) -> None:
    layout = load_layout("PICTURES")
    keys = {
        open_target(URL.create("sqlite", database=str(tmp_path / place / "pictures.db")), layout).key(tmp_path / place)
        for place in ("here", "there")
    }
    assert len(keys) == 1


def test_a_state_folder_that_cannot_be_written_is_an_error_before_anything_is_sent(
    tmp_path: Path, database: Path, target: DatabaseTarget, limits: LoadLimits, make_records: Make
) -> None:
    state = tmp_path / "file"
    state.write_text("not a folder")
    with pytest.raises(ShareUnavailableError, match="file"):
        load_records(make_records(1), target, state, limits)
    assert not database.exists()
