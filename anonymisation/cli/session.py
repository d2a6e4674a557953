"""The session of a chain verb: workspace, log, mail and terminal, opened from its flags."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from sqlalchemy.engine import make_url

from anonymisation.chain.discover import Selection
from anonymisation.chain.waiting_rows import Trouble, send_waiting
from anonymisation.cli.app import LOG_FILE_KEY, SECRETS_KEY
from anonymisation.cli.options import ChainOptions
from anonymisation.core.logs import FILE_ONLY, logging_to, silence_tensorflow
from anonymisation.core.settings import Settings
from anonymisation.database.airflow_connections import database_in_file
from anonymisation.database.connections import PASSWORD_VARIABLE, is_url, secrets_of, with_wallet_password
from anonymisation.reporting.mail import Mailer
from anonymisation.workspace.workspace import Workspace, open_workspace


@dataclass(frozen=True, slots=True)
class Session:
    """One call of a verb. Results go to `out` (stdout), the log and the progress bar to `err` (stderr)."""

    workspace: Workspace
    options: ChainOptions
    mailer: Mailer
    out: Console
    err: Console
    log_file: Path | None

    @property
    def selection(self) -> Selection:
        """The folders that the flags select."""
        options = self.options
        return Selection(
            capture_date=options.capture_date,
            patterns=options.folders,
            date_from=options.date_from,
            date_to=options.date_to,
        )

    @property
    def selected(self) -> str:
        """The flags that select folders, for messages; empty if there are none."""
        options = self.options
        asked = [f"--folder {pattern}" for pattern in options.folders]
        days = (("--date", options.capture_date), ("--from", options.date_from), ("--to", options.date_to))
        return ", ".join([*asked, *(f"{flag} {day}" for flag, day in days if day is not None)])

    @property
    def places(self) -> str:
        """The flags of folders and configuration of this call, quoted, for the next command that a message names."""
        shares, config, state = self.workspace.shares, self.options.config_file, self.options.state
        flags = {"-i": shares.input, "-o": shares.output, "-a": shares.archive, "-k": config, "--state": state}
        given = ((flag, str(path.absolute())) for flag, path in flags.items() if path is not None)
        return shlex.join(word for pair in given for word in pair)

    def log(self, text: str) -> None:
        """Write text to the log file only; the terminal shows it already."""
        logging.getLogger(__name__).info("%s", text, extra=FILE_ONLY)

    def send_waiting_rows(self) -> Trouble | None:
        """Send the rows that wait from earlier runs, except with --skip-clear-cache; see `send_waiting`."""
        return None if self.options.skip_clear_cache else send_waiting(self.workspace)


def open_session(options: ChainOptions, more_overrides: Mapping[str, Any] | None = None) -> Session:
    """Check flags and configuration, then start logging.

    Raises:
        ConfigurationError: flags or configuration have problems (lists all); nothing was touched.
        ShareUnavailableError: the log file cannot be written.
    """
    silence_tensorflow()
    found = database_in_file() if options.database is None else None
    workspace = open_workspace(
        input_dir=options.input_folder,
        output_dir=options.output_folder,
        archive_dir=options.archive_folder,
        picture=options.picture,
        config=options.config_file,
        overrides={**options.overrides(), **(more_overrides or {})},
        database_url=options.database if found is None else found.url,
        database_schema=None if found is None else found.schema,
    )
    workspace, secrets = _with_password(workspace)
    err = Console(stderr=True)
    log_file = start_logging(workspace.settings, err, options.log_folder, secrets)
    if options.database is not None and is_url(options.database) and secrets_of(make_url(options.database)):
        logging.getLogger(__name__).warning(
            "--database: everyone on this machine can read the password in its URL during the run; give it in %s, or "
            "store the connection with `anonymise db configure`", PASSWORD_VARIABLE,
        )  # fmt: skip
    output = workspace.shares.output if workspace.settings.draw_mask else None
    mailer = Mailer(workspace.settings, None if log_file is None else str(log_file), secrets, output)
    return Session(workspace, options, mailer, output_console(), err, log_file)


def start_logging(
    settings: Settings, console: Console, log_folder: Path | None, secrets: tuple[str, ...] = ()
) -> Path | None:
    """Log until the program ends, including its last error; returns the log file's path, if there is a file."""
    root = click.get_current_context().find_root()
    logged = root.with_resource(logging_to(settings, console, log_folder, secrets))
    root.meta[LOG_FILE_KEY] = logged.file
    root.meta[SECRETS_KEY] = secrets
    return logged.file


def output_console() -> Console:
    """The terminal for results, without markup, so that names of folders and pictures are shown unchanged."""
    return Console(markup=False, highlight=False, soft_wrap=True, emoji=False)


def _with_password(workspace: Workspace) -> tuple[Workspace, tuple[str, ...]]:
    """Add the environment's password to a database address with a user and no password; also returns the secrets."""
    password = os.environ.get(PASSWORD_VARIABLE)
    secrets = [password]
    if workspace.settings.write_exif_to_db:  # otherwise the address is neither checked nor used
        url = make_url(workspace.database_url)
        if password and url.password is None and url.username is not None:
            url = url.set(password=password)
        url = with_wallet_password(url)
        secrets += secrets_of(url)
        workspace = replace(workspace, database_url=url)
    return workspace, tuple(secret for secret in secrets if secret)
