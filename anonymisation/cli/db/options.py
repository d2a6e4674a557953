"""The flags that the verbs of `anonymise db` share, and the database that they name."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from anonymisation.cli.options import config_option, log_option
from anonymisation.cli.session import output_console, start_logging
from anonymisation.core.record_settings import is_said
from anonymisation.core.settings import LoadedSettings, Settings, load_settings
from anonymisation.database.airflow_connections import database_in_file
from anonymisation.database.connections import (
    FOLDER_VARIABLE,
    PASSWORD_VARIABLE,
    WALLET_PASSWORD_VARIABLE,
    ConnectionStore,
    is_url,
    secrets_of,
    with_wallet_password,
)
from anonymisation.database.keys import KEY_VARIABLE
from anonymisation.database.layouts.tables import TableLayout
from anonymisation.database.layouts.user_formatters import effective_layout
from anonymisation.database.oracle_options import with_client
from anonymisation.database.target import EMBEDDED_NAME, DatabaseTarget, embedded_url, open_target

_FOLDER: Final = click.Path(path_type=Path, file_okay=False)

table_option = click.option(
    "-t", "--table-name", "--table_name", "table_name", metavar="NAME",
    help="Table layout: NAME.yml in the folder of your own (db_tables_dir), or an included one; default: db_table "
    "of the configuration file, else the stored connection's.",
)  # fmt: skip
connections_option = click.option(
    "--connections-dir", type=_FOLDER, envvar=FOLDER_VARIABLE, show_envvar=True, help="Folder of stored connections."
)
state_option = click.option(
    "--state", "--state-dir", "state", type=_FOLDER,
    help="State folder (state_dir), for waiting rows and, if no database is named, for the default one.",
)  # fmt: skip


oracle_client_option = click.option(
    "--oracle-client-lib-dir", "oracle_client", metavar="DIR",
    help="Folder of Oracle's client libraries, for thick mode (oracle_client_lib_dir); `system`: where the system has "
    "them.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DatabaseOptions:
    """The values of the shared flags. `connection` may be a URL with a password; `open_database` refuses it."""

    connection: str | None = field(repr=False)
    connections_dir: Path | None
    table_name: str | None
    config_file: Path | None
    log_folder: Path | None
    state: Path | None
    oracle_client: str | None = None

    def state_folder(self, settings: Settings) -> Path | None:
        """The state folder of the flag, or else of the configuration."""
        return self.state or (Path(settings.state_dir) if settings.state_dir else None)


@dataclass(frozen=True, slots=True)
class DatabaseSession:
    """One call of a verb. Results go to `out` (stdout), the log and the progress bar to `err` (stderr)."""

    settings: Settings
    target: DatabaseTarget
    out: Console
    err: Console


@dataclass(frozen=True, slots=True)
class _Address:
    """A database: `url`, usually without password; `stored` names the stored connection, if it is one."""

    url: URL
    stored: str | None = None
    schema: str | None = None
    table: str | None = None


_OPTIONS: Final = (
    click.option("--connection", metavar="NAME|URL", help="A connection stored by `anonymise db configure`, or an "
                 "SQLAlchemy URL without password; the password comes from ANONYMISATION_DB_PASSWORD or a prompt. "
                 "Default: the configured database."),
    table_option,
    connections_option,
    config_option,
    log_option,
    state_option,
    oracle_client_option,
)  # fmt: skip


def database_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags that name a database to a verb; it gets them as its keyword `options`."""

    @functools.wraps(function)
    def wrapper(
        connection: str | None,
        table_name: str | None,
        connections_dir: Path | None,
        config_file: Path | None,
        log_folder: Path | None,
        state: Path | None,
        oracle_client: str | None,
        **flags: Any,
    ) -> Any:
        options = DatabaseOptions(
            connection, connections_dir, table_name, config_file, log_folder, state, oracle_client
        )
        return function(options=options, **flags)

    for option in reversed(_OPTIONS):
        wrapper = option(wrapper)
    return wrapper


def open_database(options: DatabaseOptions) -> DatabaseSession:
    """Find the database and its password, and start logging; nothing is connected yet. It is closed when the verb ends.

    Without the flag this is the database of Airflow's Connection where its file is at hand, else the configured one,
    else the embedded database of the state folder.

    Raises:
        ConfigurationError: configuration, layout or connection cannot be used.
        click.UsageError: no database is named, or the command line contains a password.
    """
    loaded = load_settings(options.config_file)
    settings = loaded.settings
    address = _find(options, settings)
    layout = _layout(loaded, options, address)
    url = make_url(
        with_client(_with_password(address, options), options.oracle_client or settings.oracle_client_lib_dir)
    )
    err = Console(stderr=True)
    start_logging(settings, err, options.log_folder, _secrets(url))
    target = open_target(url, layout, schema=address.schema)
    click.get_current_context().call_on_close(target.close)
    return DatabaseSession(settings, target, output_console(), err)


def named_layout(options: DatabaseOptions) -> tuple[TableLayout, str | None, str | None]:
    """The layout, the kind of database and the schema that the flags name, without asking for any password.

    Raises: as `open_database`, but no database has to be named.
    """
    loaded = load_settings(options.config_file)
    settings = loaded.settings
    start_logging(settings, Console(stderr=True), options.log_folder)
    named = options.connection or settings.database or database_in_file() is not None
    address = _find(options, settings) if named else None
    layout = _layout(loaded, options, address)
    if address is None:
        return layout, None, None
    return layout, address.url.get_backend_name(), address.schema


def _layout(loaded: LoadedSettings, options: DatabaseOptions, address: _Address | None) -> TableLayout:
    """The layout of the table that a run with this configuration and connection fills, unless a flag names another."""
    stored = None if address is None or is_said(loaded.sources, "db_table") else address.table
    named = options.table_name or stored
    return effective_layout(loaded.settings.model_copy(update={"db_table": named}) if named else loaded.settings)


def can_ask() -> bool:
    """Whether there is a terminal for a hidden password prompt."""
    if sys.stdin.isatty():
        return True
    try:
        with Path("/dev/tty").open("rb"):
            return True
    except OSError:
        return False


def _find(options: DatabaseOptions, settings: Settings) -> _Address:
    if options.connection is None and (found := database_in_file()) is not None:
        return _Address(found.url, schema=found.schema)
    named = options.connection or settings.database
    if not named:
        folder = options.state_folder(settings)
        if folder is None:
            raise click.UsageError(
                "name the database with --connection (or `database` in the configuration), or --state <output>_state "
                f"for the default {EMBEDDED_NAME}"
            )
        return _Address(embedded_url(folder.expanduser().absolute()))
    if not is_url(named):
        connection = ConnectionStore(options.connections_dir).read(named)
        return _Address(connection.url(), named, connection.schema, connection.table)
    try:
        url = make_url(named)
    except (ArgumentError, ValueError):
        raise click.UsageError("--connection: expected an SQLAlchemy URL such as sqlite:////folder/file.gpkg") from None
    if secrets_of(url) and options.connection:
        raise click.UsageError(
            "--connection: a password does not belong on the command line, where everyone on this machine can read it; "
            f"leave it out of the URL, give it in {PASSWORD_VARIABLE} or at the prompt, and change it now"
        )
    return _Address(url)


def _with_password(address: _Address, options: DatabaseOptions) -> URL:
    if address.stored is not None:
        return ConnectionStore(options.connections_dir).unlock(address.stored)
    url = with_wallet_password(address.url)
    if url.username is None or url.password is not None or url.get_backend_name() == "sqlite":
        return url
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is None and can_ask():
        about = f"Password of {url.username} (empty: none needed)"
        password = click.prompt(about, hide_input=True, default="", show_default=False, err=True)
    if not password and url.get_backend_name() == "oracle":
        raise click.UsageError(
            f"no password for {url.username}: give it in {PASSWORD_VARIABLE}, or store the connection with "
            "`anonymise db configure`"
        )
    return url.set(password=password) if password else url


def _secrets(url: URL) -> tuple[str, ...]:
    secrets = (
        *secrets_of(url),
        os.environ.get(WALLET_PASSWORD_VARIABLE),
        os.environ.get(PASSWORD_VARIABLE),
        os.environ.get(KEY_VARIABLE),
    )
    return tuple(secret for secret in secrets if secret)
