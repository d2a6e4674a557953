"""A PgBouncer of one's own in transaction mode, in front of a cluster of the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
import sqlalchemy as sa

from tests.database.postgres_cluster import NotInstalledError, PostgresCluster

_PORT: Final = 6432  # names the socket; nothing listens on the network
_SECONDS: Final = 20  # until it answers
_SETTINGS: Final = """\
[databases]
* = host={server}
[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {folder}
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {sessions}
"""


def find_pgbouncer() -> str:
    """The program.

    Raises:
        NotInstalledError: it is not on this machine.
    """
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        raise NotInstalledError("no PgBouncer is installed: run scripts/install_test_services.sh as root")
    return program


@contextmanager
def running_pgbouncer(cluster: PostgresCluster, sessions: int = 2) -> Iterator[sa.URL]:
    """The URL of the cluster's database behind a PgBouncer that has `sessions` sessions of the server for all.

    Raises:
        NotInstalledError: PgBouncer is not installed.
    """
    program = find_pgbouncer()
    folder = Path(tempfile.mkdtemp(prefix="pictures-pgb-"))  # the path of a socket must be short
    url = cluster.url.set(query={"host": str(folder), "port": str(_PORT)})
    try:
        settings = _SETTINGS.format(server=cluster.url.query["host"], port=_PORT, folder=folder, sessions=sessions)
        (folder / "settings.ini").write_text(settings, "utf-8")
        (folder / "users").write_text(f'"{url.username}" ""\n', "utf-8")
        user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
        if user is not None:
            owner = pwd.getpwnam(user)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, str(folder / "settings.ini")], stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/",
                user=user, extra_groups=[] if user else None,
            )  # fmt: skip
        try:
            _wait_for(process, url, folder / "log")
            yield url
        finally:
            process.terminate()
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(process: subprocess.Popen[bytes], url: sa.URL, log: Path) -> None:
    end = time.monotonic() + _SECONDS
    while True:
        try:
            psycopg.connect(
                host=str(url.query["host"]),
                port=_PORT,
                user=url.username,
                dbname=url.database,
                connect_timeout=_SECONDS,
            ).close()
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"PgBouncer does not answer: {log.read_text('utf-8')}") from error
            time.sleep(0.02)
        else:
            return
