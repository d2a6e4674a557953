"""A real PostgreSQL that fails in the middle of a load: a load without a fault then gives the undisturbed rows."""

# ruff: noqa: F811 - fixtures have the names of the imported ones

from __future__ import annotations

import contextlib
import random
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
import sqlalchemy as sa

from anonymisation.chain.load import load_folder, send_waiting_rows
from anonymisation.chain.mask import mask_folder
from anonymisation.database.layouts.tables import load_layout
from anonymisation.database.loading.loader import (
    LoadLimits,
    LoadReport,
    SourceRecord,
    load_records,
    open_target,
    send_spooled,
)
from tests.captures import FOLDER, CountingDetector, Site
from tests.database.conftest import cluster, make_records, state  # noqa: F401 - fixtures
from tests.database.postgres_cluster import PostgresCluster
from tests.database.sites import PostgresqlSite
from tests.faults.conftest import EVERY, LONG

Make = Callable[..., list[SourceRecord]]

COUNT: Final = 120
SMALL: Final = LoadLimits(batch_rows=10)
TIMES: Final = 20 if LONG else 2  # of a fault at a random moment
MOST_TIMES: Final = 200


@pytest.fixture
def site(cluster: PostgresCluster) -> Iterator[PostgresqlSite]:
    site = PostgresqlSite(cluster)
    site.target().close()
    yield site
    with cluster.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS pictures CASCADE; DROP FUNCTION IF EXISTS touched")


def require_undisturbed(site: PostgresqlSite, records: list[SourceRecord], state: Path) -> None:
    """After a load without a fault: the rows of the records, each once, and nothing that waits."""
    with site.target() as target:
        send_spooled(target, state, SMALL)
        report = load_records(records, target, state, SMALL)
    assert (report.inserted + report.updated, report.failed, report.waiting) == (len(records), (), 0)
    rows = {row["ID"]: row["Filnavn"] for row in site.rows(target.layout)}
    assert rows == {item.record["bildeid"]: item.record["exif_filnavn"] for item in records}
    assert site.ask("SELECT count(*) FROM pictures") == [(len(records),)]
    assert not list((state / "spool").rglob("*.jsonl*"))


def with_fault(records: list[SourceRecord], places: Mapping[int, Callable[[], object]]) -> Iterator[SourceRecord]:
    """The records; before those at `places` something happens."""
    for number, record in enumerate(records):
        if number in places:
            places[number]()
        yield record


def test_restarted_in_mid_load(site: PostgresqlSite, state: Path, make_records: Make) -> None:
    records, choice = make_records(COUNT), random.Random(1)

    def restart() -> None:
        site.away()
        site.back()

    with site.target() as target:
        for _ in range(TIMES):
            faults = {choice.randrange(20, COUNT): restart}
            report = load_records(with_fault(records, faults), target, state, SMALL)
            assert (report.inserted + report.updated, report.failed, report.waiting) == (COUNT, (), 0)
    require_undisturbed(site, records, state)


def test_sessions_ended_at_random_moments(site: PostgresqlSite, state: Path, make_records: Make) -> None:
    records, done = make_records(COUNT), threading.Event()
    ended = 0

    def end_sessions() -> None:
        nonlocal ended
        while not done.wait(0.02):
            gone = site.ask(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = 'pictures' AND pid <> pg_backend_pid() AND query LIKE 'INSERT%'"
            )
            ended += int(gone[0][0])

    rival = threading.Thread(target=end_sessions)
    rival.start()
    try:
        with site.target() as target:
            for number in range(MOST_TIMES):  # on a busy machine the rival may come too late again and again
                if number >= TIMES and ended:
                    break
                load_records(records, target, state, SMALL)
    finally:
        done.set()
        rival.join()
    assert ended
    require_undisturbed(site, records, state)


class Proxy:
    """TCP to the socket of the server. Drops connections at so many COMMITs of rows, before or after they arrive."""

    def __init__(self, server: Path, when: str, drops: int) -> None:
        self._server, self._when, self.left = server, when, drops
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(str(self._server))
            back = threading.Thread(target=self._copy_back, args=(server, client), daemon=True)
            back.start()
            try:
                loads = False
                while data := client.recv(65536):
                    loads |= b"INSERT" in data
                    if loads and b"COMMIT" in data and self.left:
                        self.left -= 1
                        if self._when == "after":
                            client.shutdown(socket.SHUT_WR)  # the answer is lost
                            server.sendall(data)
                            server.shutdown(socket.SHUT_WR)
                        else:
                            for end in (server, client):  # at once, although the other thread still reads
                                end.shutdown(socket.SHUT_RDWR)
                        back.join()
                        return
                    server.sendall(data)
            except OSError:
                return

    @staticmethod
    def _copy_back(server: socket.socket, client: socket.socket) -> None:
        try:
            while data := server.recv(65536):
                client.sendall(data)
        except OSError:
            pass  # nobody listens any more; the server has its COMMIT
        while _received(server):
            pass

    def close(self) -> None:
        self._listener.close()


def _received(server: socket.socket) -> bytes:
    try:
        return server.recv(65536)
    except OSError:
        return b""


@pytest.mark.parametrize("drops", [1, 2, 7])
@pytest.mark.parametrize("when", ["before", "after"])
def test_connections_dropped_at_the_commit(
    when: str,
    drops: int,
    site: PostgresqlSite,
    state: Path,
    make_records: Make,
) -> None:
    records = make_records(COUNT)
    folder = Path(str(site.url.query["host"]))
    proxy = Proxy(folder / ".s.PGSQL.5432", when, drops)
    url = sa.URL.create("postgresql", "postgres", host="127.0.0.1", port=proxy.port, database="pictures")
    try:
        with open_target(url, load_layout("PICTURES")) as target:
            report = load_records(records, target, state, SMALL)
    finally:
        proxy.close()
    assert proxy.left == 0
    assert (report.inserted + report.updated, report.failed, report.waiting) == (COUNT, (), 0)
    require_undisturbed(site, records, state)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of 6 MB that the server's user may write to."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m,mode=0777", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        (folder / "space").mkdir(mode=0o777)
        (folder / "space").chmod(0o777)
        subprocess.run(["chown", "postgres", str(folder / "space")], check=True)
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(file: Path) -> None:
    """Write until the disk is full."""
    with file.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(bytes(1000))


def test_disk_full_in_the_server(
    site: PostgresqlSite, cluster: PostgresCluster, state: Path, make_records: Make,
) -> None:  # fmt: skip
    records = make_records(COUNT)
    folder = Path(str(site.url.query["host"])) / "disk"
    with small_disk(folder) as disk, site.target() as target:
        with cluster.connect() as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{disk}/space'".encode())
            connection.execute("ALTER TABLE pictures SET TABLESPACE small")
        try:
            load_records(records[:20], target, state, SMALL)
            filled = disk / "filled"
            fill(filled)
            report = load_records(records[20:], target, state, SMALL)
            assert report.waiting > 0
            assert report.failed == ()
            filled.unlink()
            require_undisturbed(site, records, state)
        finally:
            with cluster.connect() as connection:
                connection.execute("DROP TABLE pictures")
                connection.execute("DROP TABLESPACE small")


TRIGGERS = {
    "refusing": "IF new.id LIKE '%7' THEN RAISE 'no'; END IF; RETURN new;",
    "skipping": "IF new.id LIKE '%7' THEN RETURN NULL; END IF; RETURN new;",
    "rewriting": "IF new.id LIKE '%7' THEN new.id := 'X' || new.id; END IF; RETURN new;",
}


@pytest.mark.parametrize("what", TRIGGERS)
def test_a_trigger_that_is_there_for_a_while(
    what: str, site: PostgresqlSite, cluster: PostgresCluster, state: Path, make_records: Make,
) -> None:  # fmt: skip
    records = make_records(COUNT)
    with cluster.connect() as connection, site.target() as target:
        connection.execute(
            f"CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {TRIGGERS[what]} END $$;"
            "CREATE TRIGGER t BEFORE INSERT OR UPDATE ON pictures FOR EACH ROW EXECUTE FUNCTION touched()".encode()
        )
        report = load_records(records, target, state, SMALL)
        assert [failure.picture for failure in report.failed] == [item.picture for item in records[7::10]]
        assert len(site.rows(target.layout)) == COUNT - COUNT // 10
        connection.execute("DROP TRIGGER t ON pictures")
    require_undisturbed(site, records, state)


def damaged(data: bytes) -> Iterator[bytes]:
    """The bytes damaged in one place (all places, or one in `EVERY`, in the long run), and cut off there."""
    choice = random.Random(3)
    places = range(0, len(data), EVERY) if LONG else sorted(choice.sample(range(len(data)), 8))
    for place in places:
        yield data[:place] + bytes([data[place] ^ (1 << choice.randrange(8))]) + data[place + 1 :]
        yield data[:place]


def test_a_spool_damaged_at_every_byte(tmp_path: Path) -> None:
    """The chain: whatever the spool has, a night sends what is sound, and the folder's next load gives the rest."""
    site = Site(tmp_path)
    site.fill(2)
    workspace = site.workspace(write_exif_to_db=True)
    mask_folder(workspace, FOLDER, CountingDetector())
    site.database.mkdir()
    with pytest.raises(Exception, match="2 rows wait"):
        load_folder(workspace, FOLDER)
    site.database.rmdir()
    [segment] = (site.state / "spool").rglob("*.jsonl")
    data = segment.read_bytes()
    found, expected = 0, [("p000.jpg",), ("p001.jpg",)]
    for bad in damaged(data):
        site.database.unlink(missing_ok=True)
        segment.write_bytes(bad)
        sent = send_waiting_rows(workspace)
        assert sent is not None
        assert (sent.updated, sent.failed, sent.waiting, len(sent.problems)) == (0, (), 0, int(sent.inserted < 2))
        found += len(sent.problems)
        assert send_waiting_rows(workspace) == LoadReport(0, 0, (), 0, ())
        report = load_folder(workspace, FOLDER)
        assert (report.inserted + report.updated + report.already_loaded, report.failed) == (2, 0)
        assert site.rows("SELECT Filnavn FROM PICTURES ORDER BY Filnavn") == expected
    assert found
