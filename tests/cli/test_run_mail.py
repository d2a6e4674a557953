"""What `anonymise run` mails, through a real SMTP server, and where its database password comes from."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import click
import pytest
from aiosmtpd.controller import Controller
from sqlalchemy.engine import make_url

from anonymisation.cli import cli
from anonymisation.cli import run as run_module
from anonymisation.cli.options import ChainOptions
from anonymisation.cli.session import open_session
from anonymisation.reporting.step_reports import SUSPICIOUS_FROM
from tests.captures import FOLDER, capture, plain
from tests.cli.conftest import Program
from tests.masking.nonsense_models import car_outputs

SECRET = "hemmelig-7"


class Postbox:
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - the server's name
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"

    def subjects(self) -> list[str]:
        """The last words of each subject, in the order of arrival."""
        return [str(mail["Subject"]).partition(" : ")[2] for mail in self.mails]


@pytest.fixture
def postbox(program: Program) -> Iterator[Postbox]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    box = Postbox()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    program.configure(email_smtp_host="127.0.0.1", email_smtp_port=port, email_from_address="robot@example.org")
    program.configure(email_to_addresses=["kari@example.org"])
    program.configure(uncaught_exception_email=True, processing_error_email=True, finished_email=True)
    try:
        yield box
    finally:
        controller.stop()


def test_one_mail_per_folder_with_failures_then_the_summary(program: Program, postbox: Postbox) -> None:
    program.configure(email_attach_log_file=True)
    program.site.fill(1)
    for folder in ("a", "b"):
        for name in ("x.jpg", "y.jpg"):
            program.site.put(name, capture(1)[:800], folder)
    result = program("run", "-l", str(program.site.root / "logs"))
    assert result.exit_code == 1
    assert postbox.subjects() == [
        "Processing error encountered.",
        "Processing error encountered.",
        "FAILED: 2 of 3 folders, 4 pictures",
    ]
    error, _, finished = postbox.mails
    text, (log,) = error.get_body(("plain",)), [part.get_content() for part in error.iter_attachments()]
    assert text is not None
    body = text.get_content()
    assert "a/x.jpg: " in body
    assert "a/y.jpg: " in body
    assert "b/" not in body
    assert "a/x.jpg" in log
    summary = finished.get_body(("plain",))
    assert summary is not None
    assert "images found     5" in summary.get_content()
    html = finished.get_body(("html",))
    assert html is not None
    (shown,) = [part for part in finished.walk() if part.get_content_type() == "image/jpeg"]  # one picture was masked
    assert f"cid:{str(shown['Content-ID'])[1:-1]}" in html.get_content()
    postbox.mails.clear()
    assert program("run").exit_code == 0  # what is known to fail is told in the summary, and not mailed anew
    assert postbox.subjects() == ["Finished: 3 folders, 0 pictures masked"]


def test_a_night_on_which_nothing_is_found_is_suspicious(program: Program, postbox: Postbox, tmp_path: Path) -> None:
    from tests.masking.scripted_models import save_constant

    model = save_constant(tmp_path / "blind", car_outputs(num_detections=0))
    program.configure(model_type=str(model))
    for number in range(SUSPICIOUS_FROM):
        program.site.put(f"{number:04d}.jpg", plain(number % 3))
    result = program("run")
    assert result.exit_code == 0, result.output
    said = f"Suspicious: the model found nobody and no vehicle in {SUSPICIOUS_FROM} pictures."
    assert said in result.stdout
    (finished,) = postbox.mails
    for kind in ("plain", "html"):
        part = finished.get_body((kind,))
        assert part is not None
        assert said in part.get_content()
    assert "Suspicious" not in program("run").stdout  # what is done was reported before


def test_what_stops_a_run_is_mailed(program: Program, postbox: Postbox) -> None:
    program.site.input.rmdir()
    assert program("run").exit_code == 3
    assert postbox.subjects() == ["Execution stopped due to uncaught ShareUnavailableError."]


def test_an_unforeseen_error_is_mailed_without_credentials(
    program: Program, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError(f"postgresql://u:{SECRET}@h/db")

    monkeypatch.setattr(run_module, "run_all", broken)
    assert program("run").exit_code == 1
    assert postbox.subjects() == ["Execution stopped due to uncaught KeyError."]
    assert SECRET not in postbox.mails[0].as_string()
    assert "Traceback" in postbox.mails[0].as_string()


def test_a_mail_server_that_is_away_changes_nothing(program: Program) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        program.configure(email_smtp_host="127.0.0.1", email_smtp_port=taken.getsockname()[1], finished_email=True)
        program.configure(email_from_address="robot@example.org", email_to_addresses=["kari@example.org"])
        program.site.fill(1)
        result = program("run")
    assert result.exit_code == 0
    assert "could not be sent" in result.stderr
    assert (program.site.output / FOLDER / "p000.jpg").exists()


def test_an_address_without_user_gets_no_password(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANONYMISATION_DB_PASSWORD", SECRET)
    assert password_of(program, "sqlite:////tmp/x.db") is None


def test_the_password_comes_from_the_environment(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANONYMISATION_DB_PASSWORD", SECRET)
    assert password_of(program, "postgresql://reader@host/db") == SECRET
    assert password_of(program, "postgresql://reader:own@host/db") == "own"


def password_of(program: Program, url: str) -> str | None:
    """The password that a run with this database address would use; it is hidden wherever the session is shown."""
    options = ChainOptions(program.site.input, program.site.output, config_file=program.config, database=url)
    with click.Context(cli):
        session = open_session(options)
    assert SECRET not in repr(session)
    return make_url(session.workspace.database_url).password
