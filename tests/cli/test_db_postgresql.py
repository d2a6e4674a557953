"""`anonymise db` on a PostgreSQL that asks for a password, which must show nowhere."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest

from anonymisation.database.keys import make_key
from tests.conftest import REPOSITORY
from tests.database.postgres_cluster import NotInstalledError, PostgresCluster, running_cluster

PASSWORD: Final = "hemmelig-7 %40@:/æ+"
# Every form in which the password could stand in an address.
FORMS: Final = (PASSWORD, "hemmelig-7")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresCluster]:
    """A server with a user that must give a password, and a schema beside the user's own."""
    try:
        with running_cluster() as cluster:
            with cluster.connect() as connection:
                connection.execute(f"CREATE ROLE loader LOGIN PASSWORD '{PASSWORD}'".encode())
                connection.execute("CREATE SCHEMA veg AUTHORIZATION loader")
                [(rules,)] = connection.execute("SHOW hba_file").fetchall()
                file = Path(str(rules))
                file.write_text(f"local all loader scram-sha-256\n{file.read_text()}")
                connection.execute("SELECT pg_reload_conf()")
            yield cluster
    except NotInstalledError as error:
        pytest.skip(str(error))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A person's environment, with a key and nothing else of ours."""
    ours = {"ORACLE_KEY": make_key(), "ANONYMISATION_CONNECTIONS_DIR": str(tmp_path / "connections")}
    return {**{key: value for key, value in os.environ.items() if not key.startswith("ANONYMISATION_")}, **ours}


def run(environment: dict[str, str], *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """The program in a process of its own, which has no terminal; nothing that it shows holds the password."""
    done = subprocess.run(
        [sys.executable, "-m", "anonymisation", "db", *arguments],
        cwd=REPOSITORY, env=environment, input=typed, capture_output=True, text=True, start_new_session=True,
        check=False,
    )  # fmt: skip
    assert not any(form in done.stdout + done.stderr for form in FORMS)
    return done


def dsn(server: PostgresCluster) -> str:
    return server.url.set(username=None).render_as_string().replace("postgresql+psycopg", "postgresql")


def configure(server: PostgresCluster, environment: dict[str, str], password: str = PASSWORD) -> None:
    flags = ("--user", "loader", "--dsn", dsn(server), "--schema", "veg", "--table-name", "PICTURES", "--name", "pg")
    done = run(environment, "configure", *flags, "--password-stdin", typed=f"{password}\n")
    assert done.returncode == 0, done.stderr


def put_record(folder: Path, number: int) -> None:
    record = {
        "bildeid": f"2021-05-01T10.00.00.000000_p{number}",
        "exif_tid": "2021-05-01T10:00:00Z",
        "exif_filnavn": f"p{number}.jpg",
        "exif_gpsposisjon": "srid=4326;POINT Z( 10.5 59.5 100 )",
    }
    folder.mkdir(exist_ok=True)
    (folder / f"p{number}.json").write_text(json.dumps(record))


def test_every_verb_through_a_stored_connection(
    server: PostgresCluster, environment: dict[str, str], tmp_path: Path
) -> None:
    configure(server, environment)
    there = ("--connection", "pg", "-l", str(tmp_path / "log"))
    assert run(environment, "status", *there).returncode == 1
    created = run(environment, "create-table", *there, "--drop", "--yes")
    assert created.returncode == 0, created.stderr
    for number in range(3):
        put_record(tmp_path / "records", number)
    loaded = run(environment, "load", "-i", str(tmp_path / "records"), *there)
    assert loaded.returncode == 0, loaded.stderr
    facts = json.loads(run(environment, "status", *there, "--json").stdout)
    assert (facts["user"], facts["table"], facts["rows"]) == ("loader", "veg.PICTURES", 3)
    with server.connect() as connection:
        [point, *_] = connection.execute("SELECT ST_AsEWKT(posisjon) FROM veg.pictures").fetchall()
    assert point == ("SRID=4326;POINT(10.5 59.5)",)
    sql = "SELECT filnavn FROM veg.pictures WHERE filnavn LIKE 'p%' ORDER BY 1"
    [result] = json.loads(run(environment, "execute-sql", *there, "--sql", sql, "--json").stdout)
    assert result["rows"] == [["p0.jpg"], ["p1.jpg"], ["p2.jpg"]]
    refused = run(environment, "execute-sql", *there, "--sql", "DELETE FROM veg.pictures; SELECT 1/0")
    assert refused.returncode == 1
    assert "statement 2 of 2 was refused: division by zero" in refused.stderr
    assert "nothing is needed" in run(environment, "insert-geom-metadata", *there).stdout
    assert json.loads(run(environment, "status", *there, "--json").stdout)["rows"] == 3
    for log in (tmp_path / "log").iterdir():
        assert not any(form in log.read_text() for form in FORMS)


def test_a_wrong_password_is_a_refused_login_and_shows_neither(
    server: PostgresCluster, environment: dict[str, str]
) -> None:
    configure(server, environment, password="hemmelig-7-wrong")
    done = run(environment, "status", "--connection", "pg")
    assert done.returncode == 2
    assert "password authentication failed" in done.stdout


def test_a_url_takes_its_password_from_the_environment(server: PostgresCluster, environment: dict[str, str]) -> None:
    url = server.url.set(username="loader").render_as_string()
    flags = ("--connection", url, "--sql", "SELECT current_user", "--json")
    assert run(environment, "execute-sql", *flags).returncode != 0
    done = run({**environment, "ANONYMISATION_DB_PASSWORD": PASSWORD}, "execute-sql", *flags)
    assert json.loads(done.stdout)[0]["rows"] == [["loader"]]


def test_the_password_is_in_no_process_list_while_the_program_runs(environment: dict[str, str], tmp_path: Path) -> None:
    """The server is one that listens and never answers, so that the program can be looked at while it waits."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/roads"
        flags = ("--user", "loader", "--dsn", address, "--table-name", "PICTURES", "--password-stdin")
        assert run(environment, "configure", *flags, typed=f"{PASSWORD}\n").returncode == 0
        command = [sys.executable, "-m", "anonymisation", "db", "status", "--connection", "PICTURES"]
        with subprocess.Popen(
            [*command, "-l", str(tmp_path / "log")], cwd=REPOSITORY, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            silent.settimeout(60)
            connection, _ = silent.accept()  # by now it has decrypted the password
            listed = Path(f"/proc/{process.pid}/cmdline").read_text() + Path(f"/proc/{process.pid}/environ").read_text()
            connection.close()
            silent.close()
            shown = "".join(process.communicate(timeout=60))
    assert "--connection" in listed
    assert process.returncode == 3
    assert "cannot be used now" in shown
    written = "".join(log.read_text() for log in (tmp_path / "log").iterdir())
    assert not any(form in text for form in FORMS for text in (listed, shown, written))


def test_an_error_that_no_one_foresaw_leaves_no_password_in_its_traceback(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """The driver is made to fail in a way of its own, with everything that it was given in the message."""
    flags = ("--user", "loader", "--dsn", "postgresql://127.0.0.1:1/roads", "--table-name", "PICTURES")
    assert run(environment, "configure", *flags, "--password-stdin", typed=f"{PASSWORD}\n").returncode == 0
    script = (
        "import psycopg, sys\n"
        "def connect(*args, **parts): raise RuntimeError(f'broken with {parts}')\n"
        "psycopg.connect = connect\n"
        "from anonymisation.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "db", "status", "--connection", "PICTURES", "-l", str(tmp_path / "log")],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "RuntimeError" in done.stderr
    [log] = (tmp_path / "log").iterdir()
    assert "broken with" in log.read_text()
    for text in (done.stdout, done.stderr, log.read_text()):
        assert not any(form in text for form in FORMS)


def test_the_server_does_ask_for_the_password(server: PostgresCluster) -> None:
    """Without this the tests above could not fail."""

    def log_in(password: str | None) -> None:
        psycopg.connect(
            host=str(server.url.query["host"]), dbname=server.url.database, user="loader", password=password
        ).close()

    with pytest.raises(psycopg.OperationalError):
        log_in(None)
    log_in(PASSWORD)
