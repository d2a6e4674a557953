"""The facts in every mail about a run: host, time, log file, and links."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from anonymisation.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Link:
    """The address of a page, and the text of its button."""

    label: str
    url: str

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"expected an address that begins with http, got {self.url!r}")


@dataclass(frozen=True, slots=True)
class MailContext:
    """Host, time and log file (a path or an address) for every message, and the `secrets` that it must not contain.

    With `attach_log`, the end of the log file is attached if it can be read. `links` lead to pages about the run. With
    an `output` folder, the summary shows some masked pictures below it.
    """

    host: str
    time: str
    log_file: str | None = None
    attach_log: bool = False
    secrets: tuple[str, ...] = field(default=(), repr=False)
    links: tuple[Link, ...] = ()
    output: Path | None = None

    @classmethod
    def here(cls, settings: Settings, log_file: str | None = None, secrets: tuple[str, ...] = ()) -> MailContext:
        """The context of this host and this moment, in the format of `datetime_format`."""
        now = datetime.now().astimezone().strftime(settings.datetime_format)
        return cls(socket.gethostname(), now, log_file, settings.email_attach_log_file, secrets)
