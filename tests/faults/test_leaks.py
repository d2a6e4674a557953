"""Promise 5: no byte of outputs, logs, mails, XComs, state, database and process list holds a planted secret."""

from __future__ import annotations

import json
import logging
import os
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from click.testing import CliRunner

from anonymisation.cli import cli
from anonymisation.database.keys import make_key
from scripts.airflow_stack import free_port
from tests.captures import CountingDetector, Site
from tests.database.postgres_cluster import NotInstalledError, PostgresCluster, running_cluster
from tests.faults.conftest import Tried
from tests.faults.harness import FOLDERS, Nights, deliver
from tests.faults.secrets_planted import (
    ALL,
    DATABASE,
    DRIVER,
    MAIL,
    found_in,
    leaks,
    mail_parts,
    picture,
    preview,
    read_all,
)
from tests.smtp_catcher import Catcher

MAILS = {
    "uncaught_exception_email": True, "processing_error_email": True, "finished_email": True,
    "email_attach_log_file": True, "email_from_address": "robot@example.org", "email_to_addresses": ["k@example.org"],
}  # fmt: skip


@pytest.fixture
def postbox() -> Iterator[Controller]:
    """A mail server that takes any login, as the Connection of a deployment has one."""
    controller = Controller(
        Catcher(),
        hostname="127.0.0.1",
        port=free_port(),
        authenticator=lambda *_: AuthResult(success=True),
        auth_require_tls=False,
    )
    controller.start()
    yield controller
    controller.stop()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresCluster]:
    """A server with a user whose password is planted."""
    try:
        with running_cluster() as cluster:
            with cluster.connect() as connection:
                connection.execute(f"CREATE ROLE loader LOGIN SUPERUSER PASSWORD '{DATABASE}'".encode())
                [(rules,)] = connection.execute("SHOW hba_file").fetchall()
                file = Path(str(rules))
                file.write_text(f"local all loader scram-sha-256\n{file.read_text()}")
                connection.execute("SELECT pg_reload_conf()")
            yield cluster
    except NotInstalledError as error:
        pytest.skip(str(error))


class ProcessList:
    """The command lines of all processes, looked at again and again while the block runs."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.seen: set[bytes] = set()

    def __enter__(self) -> ProcessList:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    self.seen.add((process / "cmdline").read_bytes())
                except OSError:
                    continue  # it has ended
            if self._ended.wait(0.02):
                return


def store_connection(server: PostgresCluster) -> None:
    """Store the login as `roads`, and make its table."""
    address = server.url.set(username=None, drivername="postgresql").render_as_string()
    login = ("--dsn", address, "--user", "loader", "--table-name", "PICTURES", "--name", "roads", "--password-stdin")
    for verb, *flags in (("configure", *login), ("create-table", "--connection", "roads")):
        done = CliRunner().invoke(cli, ["db", verb, *flags], input=f"{DATABASE}\n")
        assert done.exit_code == 0, done.output


def plant(place: Site) -> None:
    """Good pictures, one that is torn, and some whose XML is broken around the driver."""
    for number, folder in enumerate(FOLDERS):
        place.put(f"good{number}.jpg", picture(number, f"good{number}.jpg"), folder)
    torn, last = picture(7, "torn.jpg"), FOLDERS[-1]
    place.put("torn.jpg", torn[: len(torn) - 800], last)
    place.put("open.jpg", picture(8, "open.jpg", f"<Driver>{DRIVER}</Driv"), last)
    place.put("entity.jpg", picture(9, "entity.jpg", f"<Driver>&{DRIVER};</Driver>"), last)


def written_by(site: Site, *more: Path) -> dict[str, bytes]:
    """Everything that was written, except the originals that the archive and the error folder keep."""
    originals = {path for base in (site.archive, site.errors) for path in base.rglob("*.jpg")}
    return read_all(site.output, site.archive, site.errors, site.state, *more, but=originals)


def previews_in(written: dict[str, bytes]) -> list[str]:
    """The places that hold a preview of a picture, by the coded pixels in its middle."""
    scans = [preview(number)[-200:-100] for number in range(10)]
    return [place for place, data in written.items() if any(scan in data for scan in scans)]


def test_the_search_finds_what_is_planted() -> None:
    """Without this the tests below could not fail."""
    data = picture(3, "x.jpg")
    assert set(found_in(data)) == set(ALL) - {DATABASE, MAIL}
    assert previews_in({"x": data}) == ["x"]


def test_nothing_of_a_night_on_the_command_line_holds_a_secret(
    nights: Nights, server: PostgresCluster, postbox: Controller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    tried: Tried,
) -> None:  # fmt: skip
    monkeypatch.setenv("ORACLE_KEY", make_key())
    monkeypatch.setenv("ANONYMISATION_CONNECTIONS_DIR", str(tmp_path / "connections"))
    place = deliver(tmp_path, ())
    plant(place.site)
    drop_table(server)
    store_connection(server)
    place.configure(database="roads", email_smtp_host="127.0.0.1", email_smtp_port=postbox.port, **MAILS)
    place.configure(log_level="DEBUG", delete_input=False)
    kept = _environment(tmp_path)
    with ProcessList() as processes:
        printed = [nights.run(place, environment=kept)]
        server.stop()
        place.site.put("late.jpg", picture(5, "late.jpg"), FOLDERS[0])
        printed.append(nights.run(place, environment=kept))
        server.start()
        printed.append(nights.run(place, environment=kept))
    assert [night.code for night in printed] == [1, 3, 0], "\n".join(night.text for night in printed)
    written = written_by(place.site, place.logs, tmp_path / "connections", tmp_path / "tmp")
    written |= {f"night {number}": night.text.encode() for number, night in enumerate(printed)}
    written |= {f"process {line!r}": line for line in processes.seen}
    written |= _mails(postbox)
    with server.connect() as connection:
        rows = connection.execute("SELECT * FROM pictures").fetchall()
    written["rows"] = repr(rows).encode()
    assert len(rows) == 3
    assert any(name.endswith("late.jpg") for name in written)
    assert leaks(written) == []
    assert previews_in(written) == []
    tried("secrets planted", "in pictures and in a stored connection; a night, one without database, one with", 3)


def test_nothing_of_a_run_in_airflow_holds_a_secret(
    server: PostgresCluster, postbox: Controller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, tried: Tried,
) -> None:  # fmt: skip
    """Task logs are taken before Airflow masks what it knows to be secret."""
    site = Site(tmp_path)
    plant(site)
    deploy(site, server, postbox, monkeypatch)
    from tests.plugins.plain_run import PlainRun

    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, "anonymisation")
    caplog.set_level(logging.DEBUG, "anonymisation_airflow")
    drop_table(server)
    runs = [PlainRun(run_id="without a table"), PlainRun(run_id="without a database"), PlainRun(run_id="with both")]
    runs[0].go()
    server.stop()
    site.put("late.jpg", picture(5, "late.jpg"), FOLDERS[0])
    runs[1].go()
    server.start()
    done = CliRunner().invoke(cli, ["db", "create-table", "--connection", server.url.render_as_string()])
    assert done.exit_code == 0, done.output
    runs[2].go()
    assert "failed" in runs[0].states.values()
    assert "failed" in runs[1].states.values()
    assert not [error for error in runs[2].errors.values() if "torn" not in str(error)], runs[2].errors
    written = written_by(site)
    for run in runs:
        written[f"XComs of {run.run_id}"] = repr((run.xcoms, run.events, run.states)).encode()
        errors = ("".join(traceback.format_exception(error)) for error in run.errors.values())
        written[f"errors of {run.run_id}"] = "\n".join(errors).encode()
    written["task logs"] = caplog.text.encode()
    written |= _mails(postbox)
    with server.connect() as connection:
        rows = connection.execute("SELECT * FROM pictures").fetchall()
    written["rows"] = repr(rows).encode()
    assert len(rows) == 3
    assert leaks(written) == []
    assert previews_in(written) == []
    tried("secrets planted", "in pictures and in Airflow's Connections; runs without table, database, and with both", 3)


def drop_table(server: PostgresCluster) -> None:
    with server.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS pictures")


def deploy(site: Site, server: PostgresCluster, postbox: Controller, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a deployment whose Connections hold the passwords, with a scripted model."""
    config = site.root / "config.yml"
    content = {"model_type": str(site.model), "remote_json": True, "write_exif_to_db": True, **MAILS}
    config.write_text(yaml.safe_dump(content))
    for name, path in (("INPUT", site.input), ("OUTPUT", site.output), ("ARCHIVE", site.archive), ("CONFIG", config)):
        monkeypatch.setenv(f"ANONYMISATION_{name}", str(path))
    socket = str(server.url.query["host"])
    database = {"conn_type": "postgres", "host": socket, "schema": "pictures", "login": "loader", "password": DATABASE}
    mail = {"conn_type": "smtp", "host": "127.0.0.1", "port": postbox.port, "login": "robot", "password": MAIL}
    mail |= {"extra": {"disable_ssl": True, "disable_tls": True, "retry_limit": 1}}
    monkeypatch.setenv("AIRFLOW_CONN_ANONYMISATION_DB", json.dumps(database))
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(mail))
    detector = CountingDetector()
    monkeypatch.setattr("anonymisation.masking.models.factory.load_detector", lambda _: detector())


def _environment(folder: Path) -> dict[str, str]:
    """What a night needs of this process's environment; its temporary files are looked at as well."""
    (folder / "tmp").mkdir()
    names = ("ORACLE_KEY", "ANONYMISATION_CONNECTIONS_DIR")
    return {"TMPDIR": str(folder / "tmp"), **{name: os.environ[name] for name in names}}


def _mails(postbox: Controller) -> dict[str, bytes]:
    mails = postbox.handler.mails
    assert mails, "no mail was sent"
    return {f"mail {number}": b"\n".join(mail_parts(mail)) for number, mail in enumerate(mails)}
