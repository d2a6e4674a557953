"""Mail about a run: stopped, pictures failed, finished. Building a message and sending it are separate.

The command line sends over SMTP with `Mailer`. An orchestrator builds the messages and sends them itself.
"""

from __future__ import annotations

import heapq
import logging
import os
import smtplib
import socket
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from email.utils import localtime, make_msgid
from pathlib import Path
from typing import Final

from anonymisation.core.settings import Settings
from anonymisation.core.text import encodable, hide_credentials, one_line
from anonymisation.files.plain import open_plain
from anonymisation.reporting.mail_context import MailContext
from anonymisation.reporting.mail_html import finished_html, folder_html, note_html
from anonymisation.reporting.mail_pictures import Thumbnail, thumbnails
from anonymisation.reporting.run_report import FolderReport, RunReport
from anonymisation.reporting.step_reports import MAX_EXAMPLES
from anonymisation.reporting.summary import headline, render_folder, render_summary

TIMEOUT_SECONDS: Final = 30.0
MAX_ATTACHED_BYTES: Final = 5_000_000  # many mail servers refuse messages above 10 MB; base64 adds a third


def build_critical(error: BaseException, context: MailContext) -> EmailMessage:
    """The message about a run that `error` stopped, with its traceback."""
    trace = "".join(traceback.format_exception(error))
    subject = f"Execution stopped due to uncaught {type(error).__name__}."
    message = _message(subject, f"{error}\n\n{trace}", context)
    _add_html(message, note_html(subject, [str(error)], context, code=trace), context)
    return message


def build_processing_error(folder: FolderReport, context: MailContext) -> EmailMessage:
    """The message about all failures in one folder; there is never one message per picture."""
    message = _message("Processing error encountered.", f"The run goes on.\n\n{render_folder(folder)}", context)
    _add_html(message, folder_html(folder, context), context)
    return message


def build_finished(report: RunReport, context: MailContext) -> EmailMessage:
    """The message about a finished run, with its summary and some masked pictures."""
    message = _message(headline(report), render_summary(report), context)
    examples = [example for folder in report.folders if folder.mask for example in folder.mask.examples]
    best = heapq.nlargest(MAX_EXAMPLES, examples, key=lambda example: example.objects)
    pictures = thumbnails(context.output, best) if context.output is not None else []
    shown = [(make_msgid(domain="image-anonymisation"), picture) for picture in pictures]
    html = finished_html(report, context, [(cid[1:-1], picture) for cid, picture in shown])
    _add_html(message, html, context, shown)
    return message


def build_late(run: str, due: str, context: MailContext) -> EmailMessage:
    """The message about a run that has not ended in time."""
    text = f"The run {run} should have ended by {due}. It is late, and goes on."
    message = _message("The run is late.", text, context)
    _add_html(message, note_html("The run is late", [text], context), context)
    return message


def send(message: EmailMessage, settings: Settings, *, timeout: float = TIMEOUT_SECONDS) -> bool:
    """Send over SMTP with the server of the settings; adds sender, receivers, date and ID.

    Returns:
        Whether the server took the message. A failure is logged, and stops nothing.
    """
    log = logging.getLogger(__name__)
    if not settings.email_smtp_host or not settings.email_to_addresses:
        log.warning("mail %r is not sent: email_smtp_host or email_to_addresses is not set", message["Subject"])
        return False
    try:
        _address(message, settings)
        with smtplib.SMTP(settings.email_smtp_host, settings.email_smtp_port, timeout=timeout) as server:
            refused = server.send_message(message)
    except (OSError, ValueError) as error:  # smtplib's own errors are OSErrors; a ValueError is an unusable address
        place = f"{settings.email_smtp_host}:{settings.email_smtp_port}"
        log.warning("mail %r could not be sent through %s: %s", message["Subject"], place, error)
        return False
    for address, reason in refused.items():
        log.warning("mail %r was refused for %s: %s", message["Subject"], address, reason)
    return True


@dataclass(frozen=True, slots=True)
class Mailer:
    """Sends the kinds of mail that the settings switch on."""

    settings: Settings
    log_file: str | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)
    output: Path | None = None

    def critical(self, error: BaseException) -> None:
        """With `uncaught_exception_email`, report that `error` stopped the run."""
        if self.settings.uncaught_exception_email:
            self._send(lambda context: build_critical(error, context))

    def folder(self, report: FolderReport) -> None:
        """With `processing_error_email`, report the failures of a folder, if there are any."""
        if self.settings.processing_error_email and not report.succeeded:
            self._send(lambda context: build_processing_error(report, context))

    def finished(self, report: RunReport) -> None:
        """With `finished_email`, send the summary."""
        if self.settings.finished_email:
            self._send(lambda context: build_finished(report, context))

    def _send(self, build: Callable[[MailContext], EmailMessage]) -> None:
        here = MailContext.here(self.settings, self.log_file, self.secrets)
        send(build(replace(here, output=self.output)), self.settings)


def _message(subject: str, content: str, context: MailContext) -> EmailMessage:
    """A plain-text message. Texts in headers are put on one line, so that no line break reaches a header."""
    message = EmailMessage()
    message["Subject"] = one_line(f"[image-anonymisation] {context.host} : {subject}")
    head = f"Host: {context.host}\nTime: {context.time}\nLog file: {context.log_file or 'none'}\n"
    links = "".join(f"{link.label}: {link.url}\n" for link in context.links)
    message.set_content(encodable(hide_credentials(f"{head}{links}\n{content}\n", context.secrets)))
    return message


def _add_html(
    message: EmailMessage, html: str, context: MailContext, shown: Iterable[tuple[str, Thumbnail]] = ()
) -> None:
    """Add the HTML next to the text, then its pictures, then the log file."""
    message.add_alternative(html, subtype="html")
    if (part := message.get_body(("html",))) is not None:
        for cid, picture in shown:
            part.add_related(picture.data, "image", "jpeg", cid=cid, disposition="inline")
    if context.attach_log and context.log_file is not None:
        _attach_log(message, Path(context.log_file), context)


def _attach_log(message: EmailMessage, path: Path, context: MailContext) -> None:
    try:
        with open_plain(path.resolve()) as stream:  # of the log itself, a link is allowed
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - MAX_ATTACHED_BYTES))
            text = stream.read().decode("utf-8", "replace")
    except OSError as error:
        logging.getLogger(__name__).warning("the log file %s is not attached: %s", path, error)
        return
    message.add_attachment(hide_credentials(text, context.secrets), filename=one_line(path.name))


def _address(message: EmailMessage, settings: Settings) -> None:
    values = {
        "From": settings.email_from_address,
        "To": ", ".join(settings.email_to_addresses),
        "Date": localtime(),
        "Message-ID": make_msgid(domain=socket.gethostname()),
    }
    for name, value in values.items():
        if name not in message:
            message[name] = value
