"""What every mail about a run names: host, time, log file, and pages to look at."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from anonymisation.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Link:
    """A page, and what the button to it says."""

    label: str
    url: str

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"expected an address that begins with http, got {self.url!r}")


@dataclass(frozen=True, slots=True)
class MailContext:
    """What every message names: host, time and log file (a path or an address), and the `secrets` it must not hold.

    With `attach_log`, the end of the log file is attached where it can be read. `links` lead to pages about the run;
    with an `output` folder, the summary shows some masked pictures that lie below it.
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
        """This host and this moment, in the form of `datetime_format`."""
        now = datetime.now().astimezone().strftime(settings.datetime_format)
        return cls(socket.gethostname(), now, log_file, settings.email_attach_log_file, secrets)
