"""Logging of the command line to the terminal and, if a folder is given, to a file, without credentials."""

from __future__ import annotations

import errno
import logging
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.highlighter import NullHighlighter
from rich.logging import RichHandler

from anonymisation.core.errors import ShareUnavailableError
from anonymisation.core.settings import Settings
from anonymisation.core.text import hide_credentials, one_line

FILE_ONLY: Final[dict[str, bool]] = {"file_only": True}  # `extra=` of a message that is not shown on the terminal
PACKAGE: Final = "anonymisation"
_FORMAT: Final = "%(asctime)s %(levelname)-8s %(message)s"
# Characters that Windows forbids in file names, as many deployments use Windows shares; Linux forbids only the slash.
_ILLEGAL: Final = re.compile(r'[<>:"/\\|?*\x00-\x1f]')


class CredentialFreeFormatter(logging.Formatter):
    """Formats a message and its traceback without passwords, and indents every line but the first.

    The indentation separates a message of several lines, or a file name with a line break, from the next message.
    """

    def __init__(self, fmt: str, datefmt: str | None = None, secrets: tuple[str, ...] = ()) -> None:
        super().__init__(fmt, datefmt)
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        lines = hide_credentials(super().format(record), self._secrets).splitlines()
        return "\n    ".join(one_line(line) for line in lines)


@dataclass(frozen=True, slots=True)
class Logging:
    """The logging that was set up: the path of the log file, or None."""

    file: Path | None


def log_file_name(settings: Settings, now: datetime, host: str) -> str:
    """The setting `log_file_name`, filled in; characters that file names cannot hold become `-`."""
    name = settings.log_file_name.format(datetime=now.strftime(settings.datetime_format), hostname=host)
    return _ILLEGAL.sub("-", name).strip() or "anonymise.log"


@contextmanager
def logging_to(
    settings: Settings, console: Console, log_dir: Path | None = None, secrets: tuple[str, ...] = ()
) -> Iterator[Logging]:
    """Log to `console` and to a file in `log_dir` until the end of the block.

    Logs messages of this package from `log_level` on, those of libraries from WARNING on.

    Raises:
        ShareUnavailableError: the log file cannot be written.
    """
    now = datetime.now().astimezone()
    path = None if log_dir is None else log_dir.absolute() / log_file_name(settings, now, socket.gethostname())
    handlers = [_terminal_handler(console, secrets)]
    if path is not None:
        handlers.append(_file_handler(path, settings, secrets))
    root, package = logging.getLogger(), logging.getLogger(PACKAGE)
    levels = package.level, root.level
    package.setLevel(settings.log_level)
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)
    for handler in handlers:
        root.addHandler(handler)
    try:
        yield Logging(path)
    finally:
        package.setLevel(levels[0])
        root.setLevel(levels[1])
        logging.captureWarnings(False)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()


def silence_tensorflow() -> None:
    """Keep TensorFlow's start-up messages off the terminal; call it before anything imports TensorFlow."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    for name in ("tensorflow", "absl", "h5py"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _terminal_handler(console: Console, secrets: tuple[str, ...]) -> logging.Handler:
    """Coloured output that works with a progress bar on a terminal; elsewhere plain lines that are not wrapped."""
    handler: logging.Handler
    if console.is_terminal:
        handler = RichHandler(
            console=console, show_path=False, log_time_format="[%H:%M:%S]", highlighter=NullHighlighter()
        )
        handler.setFormatter(CredentialFreeFormatter("%(message)s", secrets=secrets))
    else:
        handler = _ConsoleHandler(console)
        handler.setFormatter(CredentialFreeFormatter(_FORMAT, secrets=secrets))
    handler.addFilter(lambda record: not getattr(record, "file_only", False))
    return handler


class _ConsoleHandler(logging.Handler):
    """Looks up the console's stream for each message, since it can be replaced."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._console.file.write(self.format(record) + "\n")
        except (OSError, ValueError):  # ValueError: the stream is closed
            self.handleError(record)


def _file_handler(path: Path, settings: Settings, secrets: tuple[str, ...]) -> logging.Handler:
    options: dict[str, Any] = {"encoding": "utf-8", "errors": "backslashreplace"}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_fifo():  # opening it would wait for a reader for ever
            raise OSError(errno.EINVAL, "is not a file")
        handler = logging.FileHandler(path, **options)
    except OSError as error:
        raise ShareUnavailableError(f"the log file {path} cannot be written: {error.strerror}") from error
    handler.setFormatter(CredentialFreeFormatter(_FORMAT, settings.datetime_format, secrets))
    return handler
