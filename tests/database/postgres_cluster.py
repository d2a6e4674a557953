"""A PostgreSQL cluster of one's own with PostGIS, in a temporary folder, reached by a Unix socket alone."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
import sqlalchemy as sa

INSTALL: Final = "run scripts/install_test_services.sh as root (Debian: postgresql, postgresql-<version>-postgis-3)"

_DATABASE: Final = "pictures"
_USER: Final = "postgres"
GUEST: Final = "guest"  # the one user who needs a password
GUEST_PASSWORD: Final = "correct horse"


class NotInstalledError(Exception):
    """PostgreSQL or PostGIS is not on this machine; the message says what to install."""


def find_programs() -> Path:
    """The folder of initdb and pg_ctl of the newest PostgreSQL that has PostGIS.

    Raises:
        NotInstalledError: there is none.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name, reverse=True)
    if program := shutil.which("initdb"):
        found.append(Path(program).resolve().parent)
    for folder in found:
        share = subprocess.run([folder / "pg_config", "--sharedir"], capture_output=True, text=True, check=False)
        shared = Path(share.stdout.strip() or f"/usr/share/postgresql/{folder.parent.name}")
        if (folder / "initdb").exists() and (shared / "extension/postgis.control").exists():
            return folder
    raise NotInstalledError(f"no PostgreSQL with PostGIS is installed: {INSTALL}")


class PostgresCluster:
    """A running cluster with a database that has PostGIS; `stop` and `start` are a person's at the server."""

    def __init__(self, folder: Path, programs: Path, *, durable: bool) -> None:
        self._folder = folder
        self._programs = programs
        self._databases = 0
        # The server refuses to run as root.
        self._user = _USER if os.geteuid() == 0 else None
        if self._user is not None:
            owner = pwd.getpwnam(self._user)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "-D", str(folder / "data"), "-U", _USER, "-A", "trust", "-E", "UTF8", "--no-sync")
        settings = ["listen_addresses = ''", f"unix_socket_directories = '{folder}'", "max_connections = 30"]
        settings += [] if durable else ["fsync = off"]
        self._run("sh", "-c", f'printf "%s\\n" "$@" >> {folder}/data/postgresql.conf', "sh", *settings)
        rules = folder / "data" / "pg_hba.conf"
        rules.write_text(f"local all {GUEST} scram-sha-256\n" + rules.read_text("utf-8"), "utf-8")
        self.start()
        with psycopg.connect(host=str(folder), user=_USER, dbname="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {_DATABASE}")
        with self.connect() as connection:
            connection.execute("CREATE EXTENSION postgis")
            connection.execute(f"CREATE ROLE {GUEST} LOGIN PASSWORD '{GUEST_PASSWORD}'".encode())

    @property
    def url(self) -> sa.URL:
        return sa.URL.create(
            "postgresql+psycopg", username=_USER, database=_DATABASE, query={"host": str(self._folder)}
        )

    def connect(self, database: str = _DATABASE) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(host=str(self._folder), user=_USER, dbname=database, autocommit=True)

    @contextmanager
    def database(self, *statements: str, template: str = "template1") -> Iterator[str]:
        """The name of a further database, made with `statements`; it is gone afterwards."""
        self._databases += 1
        name = f"further_{self._databases}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        try:
            with self.connect(name) as connection:
                for statement in statements:
                    connection.execute(statement.encode())
            yield name
        finally:
            with self.connect() as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def start(self) -> None:
        log = self._folder / "log"
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-l", str(log), "-w", "-t", "60", "start")

    def stop(self) -> None:
        """As a power cut would: no session is asked, and the next start recovers from the log."""
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "-w", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        path = self._programs / program
        command = [str(path) if path.exists() else program, *arguments]
        # pg_ctl's server inherits what it is given, so its output goes to no pipe that someone waits for.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd="/", check=False,
                user=self._user, extra_groups=[] if self._user else None,
            )  # fmt: skip
            output.seek(0)
            if done.returncode != 0:
                raise RuntimeError(f"{' '.join(command)} failed: {output.read().decode(errors='replace')}")


@contextmanager
def running_cluster(*, durable: bool = False) -> Iterator[PostgresCluster]:
    """A cluster that is gone afterwards; without `durable` it does not wait for the disk.

    Raises:
        NotInstalledError: PostgreSQL or PostGIS is not installed.
    """
    programs = find_programs()
    # Not in pytest's own folder, which the server's user may not enter; and the path of a socket must be short.
    folder = Path(tempfile.mkdtemp(prefix="pictures-pg-"))
    try:
        cluster = PostgresCluster(folder, programs, durable=durable)
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
