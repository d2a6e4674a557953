"""Sends the messages of `anonymisation.reporting.mail` through the SMTP Connection of the deployment.

The configuration says which mails are sent and who receives them. The Connection holds host, port, login and TLS.
A mail that cannot be sent is logged and stops nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from email.message import EmailMessage
from email.utils import localtime, make_msgid
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import Context, conf
from airflow.sdk.exceptions import AirflowException

from anonymisation.core.errors import AnonymisationError, PicturesFailedError, WorkFailedError
from anonymisation.core.settings import Settings, load_settings
from anonymisation.database.airflow_connections import secret_extras
from anonymisation.workspace.shards import WorkUnit
from anonymisation_airflow.connections import find_connection
from anonymisation_airflow.deployment import Deployment

if TYPE_CHECKING:
    from anonymisation.reporting.mail_context import MailContext
    from anonymisation.reporting.run_report import FolderReport, RunReport


class RunFailedError(WorkFailedError):
    """A folder or the discovery failed; the summary in the log and the mail names both folder and reason."""


class TaskEndedError(AnonymisationError):
    """A task ended without an exception: someone killed the task, or its process died."""


def mail_summary(context: Context, report: RunReport) -> None:
    """With `finished_email`, send the summary of a finished run."""
    from anonymisation.reporting.mail import build_finished

    _mail(run_of(context), ["finished_email"], lambda mail: build_finished(report, mail))


def mail_folder(context: Context, report: FolderReport) -> None:
    """Report the failures of a folder, with `processing_error_email`.

    A folder that stopped is also reported with `uncaught_exception_email` alone.
    """
    from anonymisation.reporting.mail import build_processing_error

    switches = ["processing_error_email", *(["uncaught_exception_email"] if report.error else [])]
    _mail(run_of(context), switches, lambda mail: build_processing_error(report, mail))


def mail_late(run: RunName, due: str) -> None:
    """Report that a run has not ended by `due`. A deadline is set on purpose, so no switch turns this mail off."""
    from anonymisation.reporting.mail import build_late

    _mail(run, [], lambda mail: build_late(run.run_id, due, mail))


def mail_marked(run: RunName, what: str) -> None:
    """With `uncaught_exception_email`, report that a person marked `what` as failed."""
    from anonymisation.reporting.mail import build_critical

    error = TaskEndedError(f"{what} was marked as failed by hand; {run.run_id} does not finish its work")
    _mail(run, ["uncaught_exception_email"], lambda mail: build_critical(error, mail))


def task_failed(context: Context) -> None:
    """With `uncaught_exception_email`, report that a task failed after its last retry. Airflow calls this function.

    Other mails report failed pictures of a folder, parts of a large folder and the run's verdict.
    """
    from anonymisation.reporting.mail import build_critical

    error = context.get("exception")
    if isinstance(error, PicturesFailedError | RunFailedError) or _is_part(context):
        return
    if not isinstance(error, BaseException):
        error = TaskEndedError(f"task {context['ti'].task_id} ended: {error or 'its process is gone'}")
    _mail(run_of(context), ["uncaught_exception_email"], lambda mail: build_critical(error, mail))


@dataclass(frozen=True, slots=True)
class RunName:
    """A run and its addresses in the UI."""

    dag_id: str
    run_id: str

    @property
    def page(self) -> str | None:
        """The address of the run in the UI, with its logs; None where this process does not know the UI's address."""
        base = conf.get("api", "base_url", fallback="").rstrip("/")
        return f"{base}/dags/{quote(self.dag_id, safe='')}/runs/{quote(self.run_id, safe='')}" if base else None

    @property
    def operations_page(self) -> str | None:
        """The address of the run's tab with the operations page, likewise."""
        return f"{self.page}/plugin/anonymisation" if self.page else None


def run_of(context: Context) -> RunName:
    """Return the run of a task."""
    return RunName(context["ti"].dag_id, context["ti"].run_id)


def _is_part(context: Context) -> bool:
    """Whether the task works on one of several parts of a folder. The summary reports all parts in one mail."""
    ti = context["ti"]
    index = -1 if ti.map_index is None else ti.map_index
    if index < 0:
        return False
    units = ti.xcom_pull(task_ids="discover") or []
    return index < len(units) and not WorkUnit.from_value(units[index]).shard.is_whole


def _mail(run: RunName, switches: Sequence[str], build: Callable[[MailContext], EmailMessage]) -> None:
    """Send the message that `build` makes if one of the `switches` is on; without switches, send it always."""
    log = logging.getLogger(__name__)
    deployment = Deployment.from_environment()
    try:
        settings = load_settings(deployment.config).settings
    except AnonymisationError as error:
        log.warning("no mail is sent, since the configuration cannot be used: %s", error)
        return
    if switches and not any(getattr(settings, switch) for switch in switches):
        return
    connection = find_connection(deployment.smtp_conn_id)
    if connection is None:
        log.info("no mail is sent: this Airflow has no Connection %s", deployment.smtp_conn_id)
        return
    sender = settings.email_from_address or str(connection.extra_dejson.get("from_email", ""))
    if not sender or not settings.email_to_addresses:
        log.warning("no mail is sent: email_from_address or email_to_addresses is not configured")
        return
    database = find_connection(deployment.db_conn_id)
    found = [item for item in (connection, database) if item is not None]
    passwords = [word for item in found for word in (item.password, *secret_extras(item.extra_dejson)) if word]
    message = build(_mail_context(run, deployment, settings, tuple(passwords)))
    _send(message, settings, sender, deployment.smtp_conn_id)


def _mail_context(run: RunName, deployment: Deployment, settings: Settings, secrets: tuple[str, ...]) -> MailContext:
    from anonymisation.reporting.mail_context import Link, MailContext

    pages = {"Run and logs": run.page, "Operations page": run.operations_page}
    links = tuple(Link(label, address) for label, address in pages.items() if address is not None)
    if not links:
        logging.getLogger(__name__).warning("the mail has no links: set AIRFLOW__API__BASE_URL to the UI's address")
    return replace(
        MailContext.here(settings, run.page, secrets),
        attach_log=False,  # the UI shows the logs; there is no file to attach
        links=links,
        output=deployment.output if settings.draw_mask else None,
    )


def _send(message: EmailMessage, settings: Settings, sender: str, conn_id: str) -> None:
    from airflow.providers.smtp.hooks.smtp import SmtpHook

    log = logging.getLogger(__name__)
    message["From"] = sender
    message["To"] = ", ".join(settings.email_to_addresses)
    message["Date"] = localtime()
    message["Message-ID"] = make_msgid()
    try:
        with SmtpHook(smtp_conn_id=conn_id) as hook:
            # The hook has no public way to send a finished message.
            client: Any = hook._smtp_client  # noqa: SLF001
            client.send_message(message)
    except (OSError, ValueError, RuntimeError, AirflowException) as error:
        log.warning("mail %r could not be sent through Connection %s: %s", message["Subject"], conn_id, error)
    else:
        log.info("mail %r is sent", message["Subject"])
