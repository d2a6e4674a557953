"""Mail: built as the original's, sent through a real SMTP server, and never in the way of the work."""

from __future__ import annotations

import email
import email.policy
import io
import logging
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from PIL import Image

from anonymisation.core.settings import Settings, load_settings
from anonymisation.imaging.jpeg.codec import decode_jpeg
from anonymisation.masking.detections import Detections
from anonymisation.reporting.mail import (
    MAX_ATTACHED_BYTES,
    Mailer,
    build_critical,
    build_finished,
    build_late,
    build_processing_error,
    send,
)
from anonymisation.reporting.mail_context import Link, MailContext
from anonymisation.reporting.mail_html import AMBER, GREEN
from anonymisation.reporting.run_report import FolderReport, RunReport
from anonymisation.reporting.step_reports import Failure, MaskReport
from tests.captures import CAR, FOLDER, Site, car_window, pixels_of
from tests.doubles import ScriptedDetector

CONTEXT = MailContext("host7", "2026-01-02 03.04.05", "/logs/run.log")
SECRET = "hemmelig-7"
FAILED = FolderReport(
    "a", mask=MaskReport("a", 3, 1, 0, 2, 0, (Failure("a/1.jpg", "torn"), Failure("a/2.jpg", "empty")))
)
GOOD = FolderReport("b", mask=MaskReport("b", 1, 1, 0, 0, 0))


class Mailbox:
    """What a real server took, and what it refuses."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.refuse: set[str] = set()

    async def handle_RCPT(  # noqa: N802 - the server's name for it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuse:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        self.envelopes.append(envelope)
        return "250 OK"


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def server(mailbox: Mailbox) -> Iterator[Controller]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield controller
    finally:
        controller.stop()


@pytest.fixture
def settings(server: Controller) -> Settings:
    return settings_for(server.port)


def settings_for(port: int, **changes: Any) -> Settings:
    values = {
        "email_from_address": "robot@example.org",
        "email_to_addresses": ["kari@example.org", "ola@example.org"],
        "email_smtp_host": "127.0.0.1",
        "email_smtp_port": port,
        "uncaught_exception_email": True,
        "processing_error_email": True,
        "finished_email": True,
    }
    return load_settings(overrides=values | changes).settings


def body(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def caught(error: Exception) -> Exception:
    """The error with a traceback."""
    try:
        raise error
    except Exception as raised:  # noqa: BLE001 - it is the value we want
        return raised


def test_the_critical_mail_has_the_original_subject_and_a_traceback() -> None:
    message = build_critical(caught(ZeroDivisionError("by zero")), CONTEXT)
    assert message["Subject"] == "[image-anonymisation] host7 : Execution stopped due to uncaught ZeroDivisionError."
    text = body(message)
    assert text.startswith("Host: host7\nTime: 2026-01-02 03.04.05\nLog file: /logs/run.log\n")
    assert "Traceback (most recent call last)" in text
    assert "ZeroDivisionError: by zero" in text


def test_the_error_mail_gathers_a_folder() -> None:
    message = build_processing_error(FAILED, CONTEXT)
    assert message["Subject"] == "[image-anonymisation] host7 : Processing error encountered."
    assert "Folder: a\n" in body(message)
    assert "  a/1.jpg: torn\n  a/2.jpg: empty" in body(message)


def test_the_finished_mail_holds_the_summary() -> None:
    message = build_finished(RunReport((FAILED, GOOD), seconds=61), CONTEXT)
    assert message["Subject"] == "[image-anonymisation] host7 : FAILED: 1 of 2 folders, 2 pictures"
    assert "images found     4" in body(message)
    assert "1 min 01 s" in body(message)


def test_the_finished_mail_says_that_a_model_found_nothing() -> None:
    report = RunReport((FolderReport("a", mask=MaskReport("a", 412, 412, 0, 0, 0)),))
    message = build_finished(report, CONTEXT)
    said = "Suspicious: the model found nobody and no vehicle in 412 pictures. Look at some of them, and at the model "
    assert f"{said}and score_threshold." in body(message)
    assert f"{said}and score_threshold." in html_of(message)
    assert AMBER in html_of(message)
    assert GREEN not in html_of(message)
    few = build_finished(RunReport((GOOD,)), CONTEXT)
    assert "Suspicious" not in body(few) + html_of(few)
    assert GREEN in html_of(few)


def test_tracebacks_carry_no_credentials() -> None:
    error = caught(RuntimeError(f"postgresql://u:{SECRET}@h/db and once more {SECRET}"))
    context = MailContext("h", "t", secrets=(SECRET,))
    assert SECRET not in build_critical(error, context).as_string()
    assert SECRET not in repr(context)


@pytest.mark.parametrize("nasty", ["x\nBcc: evil@example.org", "x\r\nSubject: other", "x\u2028Bcc: evil@example.org"])
def test_no_name_can_add_a_header(nasty: str, mailbox: Mailbox, settings: Settings) -> None:
    report = FolderReport(nasty, error=nasty)
    error = type("E\nBcc", (Exception,), {})(nasty)
    context = MailContext(nasty, nasty, nasty)
    for message in (
        build_processing_error(report, context),
        build_finished(RunReport((report,)), context),
        build_critical(error, context),
    ):
        assert send(message, settings)
    for received, envelope in zip(mailbox.messages, mailbox.envelopes, strict=True):
        assert received["Bcc"] is None
        assert len(received.get_all("Subject", [])) == 1
        assert envelope.rcpt_tos == ["kari@example.org", "ola@example.org"]


def test_any_name_can_be_mailed(mailbox: Mailbox, settings: Settings) -> None:
    report = FolderReport("Damåsen \udcff 東京", error="x" * 5000)
    assert send(build_processing_error(report, CONTEXT), settings)
    assert "Damåsen" in body(mailbox.messages[0])
    assert "x" * 5000 in body(mailbox.messages[0])


def html_of(message: EmailMessage) -> str:
    part = message.get_body(("html",))
    assert part is not None
    return str(part.get_content())


def masked_site(root: Path, count: int) -> tuple[Site, RunReport]:
    """A run over so many pictures; picture n shows n cars more than the first."""
    site = Site(root)
    site.fill(count)
    numbers = iter(range(1, count + 1))
    detector = ScriptedDetector(lambda _: Detections.concatenate([CAR] * next(numbers)))
    return site, site.run(site.workspace(enable_async=False), lambda: detector)  # type: ignore[arg-type]


def test_the_summary_shows_the_masked_pictures_with_most_detections(tmp_path: Path) -> None:
    site, report = masked_site(tmp_path, 8)
    message = build_finished(report, replace(CONTEXT, output=site.output))
    assert message.get_content_type() == "multipart/alternative"
    shown = {str(part["Content-ID"])[1:-1]: part for part in message.walk() if part.get_content_maintype() == "image"}
    html = html_of(message)
    assert re.findall(r'src="cid:([^"]+)"', html) == list(shown)
    told = re.findall(r"(p\d+)\.jpg, (\d+) detected", html)
    assert told == [(f"p{n:03d}", str(n + 1)) for n in (7, 6, 5, 4, 3, 2)]
    top, left, bottom, right = car_window()
    for (name, _), part in zip(told, shown.values(), strict=True):
        assert part.get_content_disposition() == "inline"
        with Image.open(io.BytesIO(part.get_content())) as picture:
            assert not picture.getexif()
            pixels = np.asarray(picture.convert("RGB")).astype(int)
        masked = decode_jpeg((site.output / FOLDER / f"{name}.jpg").read_bytes()).pixels
        assert np.abs(pixels - masked).mean() < 6
        grain = pixels_of(int(name[1:]))[top:bottom, left:right].std()
        assert pixels[top:bottom, left:right].std() < grain / 3
    assert max(len(part.get_content()) for part in shown.values()) < 60_000


def test_an_original_is_never_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever lies in the output folder: without the mark of a masked picture it is not sent."""
    site, report = masked_site(tmp_path, 3)
    (site.output / FOLDER / "p000.jpg").write_bytes((site.input / FOLDER / "p000.jpg").read_bytes())
    (site.output / FOLDER / "p001.jpg").unlink()
    message = build_finished(report, replace(CONTEXT, output=site.output))
    assert re.findall(r"(p\d+)\.jpg, \d+ detected", html_of(message)) == ["p002"]
    assert "p000.jpg is not shown in the mail: it lacks the mark of a masked picture" in caplog.text
    assert not [part for part in build_finished(report, CONTEXT).walk() if part.get_content_maintype() == "image"]


def test_the_page_says_what_the_text_says_and_nothing_in_it_is_markup() -> None:
    nasty = '<script>alert("1")</script>'
    folders = tuple(
        FolderReport(f"{nasty}{n}", error=f"{nasty} oracle+oracledb://u:{SECRET}@h/x" if n == 3 else None,
                     mask=MaskReport("f", 60, 58, 0, 2, 0, (Failure(nasty, "torn\n\x1b"), Failure("b.jpg", "empty"))))
        for n in range(80)
    )  # fmt: skip
    links = (Link("Run", "https://airflow.example/dags/a/runs/b?x=1&y=2"),)
    context = replace(CONTEXT, links=links, secrets=("<b>&",))
    message = build_finished(RunReport(folders, broken=("discover: <b>& away",), seconds=61), context)
    html = html_of(message)
    assert "<script>" not in html
    assert "&lt;script&gt;alert(&#34;1&#34;)" in html
    assert SECRET not in message.as_string()
    assert "discover: *** away" in html
    assert r"torn\n\x1b" in html
    assert '<a href="https://airflow.example/dags/a/runs/b?x=1&amp;y=2"' in html
    assert "Run: https://airflow.example/dags/a/runs/b?x=1&y=2" in body(message)
    for text in ("Not everything succeeded", ">80<", ">4640<", ">160<", "1 min 01 s", "… and 20 more folders"):
        assert text in html
    assert len(html) < 100_000  # mail programs cut what is longer


def test_links_go_nowhere_but_to_pages(tmp_path: Path) -> None:
    for wrong in ("javascript:alert(1)", "data:text/html,x", "/relative"):
        with pytest.raises(ValueError, match="expected an address that begins with http"):
            Link("Run", wrong)


def test_a_late_run_is_told() -> None:
    message = build_late("scheduled__2026", "2026-01-02 06:00 UTC", CONTEXT)
    assert message["Subject"] == "[image-anonymisation] host7 : The run is late."
    for text in (body(message), html_of(message)):
        assert "The run scheduled__2026 should have ended by 2026-01-02 06:00 UTC." in text


def test_sent_mail_is_addressed_and_dated(mailbox: Mailbox, settings: Settings) -> None:
    assert send(build_finished(RunReport(()), CONTEXT), settings)
    (message,) = mailbox.messages
    assert message["From"] == "robot@example.org"
    assert message["To"] == "kari@example.org, ola@example.org"
    assert message["Date"].datetime is not None
    assert message["Message-ID"]


def test_each_kind_has_its_own_switch(mailbox: Mailbox, server: Controller) -> None:
    switches = ("uncaught_exception_email", "processing_error_email", "finished_email")
    subjects = ("uncaught ValueError", "Processing error", "FAILED: 1 of 1 folder, 2 pictures")
    for on, subject in zip(switches, subjects, strict=True):
        mailbox.messages.clear()
        mailer = Mailer(settings_for(server.port, **{switch: switch == on for switch in switches}))
        mailer.critical(ValueError("x"))
        mailer.folder(FAILED)
        mailer.finished(RunReport((FAILED,)))
        assert [subject in str(message["Subject"]) for message in mailbox.messages] == [True]


def test_a_good_folder_is_not_mailed(mailbox: Mailbox, settings: Settings) -> None:
    known = FolderReport("k", mask=MaskReport("k", 1, 0, 0, 0, 1, (Failure("k/1.jpg", "torn", known=True),)))
    for report in (GOOD, known):
        Mailer(settings).folder(report)
    assert mailbox.messages == []


def test_the_log_file_is_attached_only_when_asked_for(mailbox: Mailbox, server: Controller, tmp_path: Path) -> None:
    log = tmp_path / "run å.log"
    log.write_text(f"line\npostgresql://u:{SECRET}@h/db\n")
    for attach in (False, True):
        Mailer(settings_for(server.port, email_attach_log_file=attach), str(log)).finished(RunReport(()))
    without, attached = mailbox.messages
    assert list(without.iter_attachments()) == []
    (part,) = attached.iter_attachments()
    assert part.get_filename() == "run å.log"
    assert part.get_content().splitlines()[0] == "line"
    assert SECRET not in part.get_content()


def test_of_a_huge_log_the_end_is_attached(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_bytes(b"x" * MAX_ATTACHED_BYTES + b"the end")
    message = build_finished(RunReport(()), MailContext("h", "t", str(log), attach_log=True))
    (part,) = message.iter_attachments()
    text = part.get_content()
    assert text.rstrip("\n").endswith("the end")
    assert len(text) <= MAX_ATTACHED_BYTES + 1


def test_a_log_that_is_gone_is_not_attached(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    context = MailContext("h", "t", str(tmp_path / "gone.log"), attach_log=True)
    assert list(build_finished(RunReport(()), context).iter_attachments()) == []
    assert "is not attached" in caplog.text


@pytest.mark.timeout(60)
def test_a_pipe_in_place_of_the_log_is_not_attached(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    os.mkfifo(tmp_path / "a.log")
    context = MailContext("h", "t", str(tmp_path / "a.log"), attach_log=True)
    assert list(build_finished(RunReport(()), context).iter_attachments()) == []
    assert "is not a file" in caplog.text


def test_a_server_that_is_away_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:  # bound and not listening: refuses at once
        taken.bind(("127.0.0.1", 0))
        assert not send(build_finished(RunReport(()), CONTEXT), settings_for(taken.getsockname()[1]))
    assert "could not be sent" in caplog.text


def test_a_server_that_says_nothing_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = settings_for(silent.getsockname()[1])
        assert not send(build_finished(RunReport(()), CONTEXT), settings, timeout=0.2)
    assert "could not be sent" in caplog.text


def test_a_refused_receiver_costs_only_its_own_mail(
    mailbox: Mailbox, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    mailbox.refuse = {"ola@example.org"}
    assert send(build_finished(RunReport(()), CONTEXT), settings)
    assert mailbox.envelopes[0].rcpt_tos == ["kari@example.org"]
    assert "refused for ola@example.org" in caplog.text
    mailbox.refuse.add("kari@example.org")
    assert not send(build_finished(RunReport(()), CONTEXT), settings)


@pytest.mark.parametrize("address", ["a\nb@example.org", "ø\udcff@example.org"])
def test_an_impossible_address_stops_nothing(
    address: str, server: Controller, caplog: pytest.LogCaptureFixture
) -> None:
    assert not send(build_finished(RunReport(()), CONTEXT), settings_for(server.port, email_from_address=address))
    assert "could not be sent" in caplog.text


def test_without_a_server_nothing_is_sent_and_it_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Mailer(load_settings(overrides={"finished_email": True}).settings).finished(RunReport(()))
    assert "email_smtp_host" in caplog.text
