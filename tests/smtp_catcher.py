"""A mail server's handler that keeps what it is sent."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any


class Catcher:
    """For aiosmtpd's Controller; `mails` holds every message, in the order of arrival."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep the message."""
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 kept"
