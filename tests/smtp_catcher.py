"""A mail server's handler that keeps what it is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

from scripts.airflow_stack import free_port


class Catcher:
    """For aiosmtpd's Controller; `mails` holds every message, in the order of arrival."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep the message."""
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 kept"


@contextmanager
def mail_connection() -> Iterator[tuple[Catcher, str]]:
    """A server in this process, and the Connection of Airflow that leads to it, as JSON."""
    catcher = Catcher()
    server = Controller(catcher, hostname="127.0.0.1", port=free_port())
    server.start()
    extra = {"disable_ssl": True, "disable_tls": True}
    try:
        yield catcher, json.dumps({"conn_type": "smtp", "host": "127.0.0.1", "port": server.port, "extra": extra})
    finally:
        server.stop()
