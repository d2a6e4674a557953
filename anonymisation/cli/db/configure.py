"""`anonymise db configure` and `make-key`: connections with their passwords, stored encrypted."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from anonymisation.cli.db.options import can_ask, connections_option
from anonymisation.cli.options import config_option, log_option
from anonymisation.cli.session import output_console, start_logging
from anonymisation.core.settings import load_settings
from anonymisation.database.connections import (
    PASSWORD_VARIABLE,
    WALLET_PASSWORD_VARIABLE,
    ConnectionStore,
    StoredConnection,
)
from anonymisation.database.keys import KEY_VARIABLE, KEYRING, find_or_make_key, make_key
from anonymisation.database.layouts.tables import is_identifier
from anonymisation.database.layouts.user_formatters import effective_layout


def _refuse_password(_context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        raise click.UsageError(
            "--password is not accepted: everyone on this machine can read the arguments of a command, and shells keep "
            "them. Leave it out: the command asks for the password (or reads it with --password-stdin, or from "
            f"{PASSWORD_VARIABLE}). If this was the real password, change it"
        )


_FOLDER: Final = click.Path(file_okay=False)


@click.command("configure", short_help="Store a database connection; asks for the password.")
@click.option("--user", help="User of the database; an SQLite file has none.")
@click.option("--dsn", required=True, help="Oracle: host:port/service, a TNS alias or a descriptor. Otherwise an "
              "SQLAlchemy URL without user and password, such as postgresql://host:5432/database.")  # fmt: skip
@click.option("--schema", help="Schema of the table, if it is not the user's own.")
@click.option(
    "-t",
    "--table-name",
    "--table_name",
    "table_name",
    required=True,
    help="Table layout, by name: one of your own (db_tables_dir), or PICTURES, VEGBILDER or VEGBILDER_2022.",
)
@click.option("--name", help="Name of the stored connection; without it, the table's name.")
@click.option(
    "--oracle-client-lib-dir",
    "oracle_client",
    metavar="DIR",
    help="Oracle: folder of the client libraries, for thick mode; `system`: where the system has them.",
)
@click.option(
    "--oracle-config-dir",
    "--tns-admin",
    "oracle_config",
    type=_FOLDER,
    help="Oracle: folder of tnsnames.ora; default: TNS_ADMIN.",
)
@click.option("--wallet-location", type=_FOLDER, help="Oracle: folder of the wallet; asks for its password.")
@click.option(
    "--password-stdin",
    is_flag=True,
    help="Read the password from standard input, its first line; the "
    "wallet's password from the second line, if there is one.",
)
@click.option("--password", hidden=True, is_flag=False, flag_value="", expose_value=False, callback=_refuse_password)
@connections_option
@config_option
@log_option
def configure_command(
    user: str | None,
    dsn: str,
    schema: str | None,
    table_name: str,
    name: str | None,
    oracle_client: str | None,
    oracle_config: str | None,
    wallet_location: str | None,
    password_stdin: bool,
    connections_dir: Path | None,
    config_file: Path | None,
    log_folder: Path | None,
) -> None:
    """Store a database connection. Asks for the password and encrypts it with the key in ORACLE_KEY or, without that, a
    key in the operating system's keyring. `--connection NAME` then uses the stored connection.

    \b
    Examples:
      anonymise db configure --user roads --dsn db.example.org:1521/ROADS -t VEGBILDER --name roads
      anonymise db configure --user roads --dsn postgresql://db.example.org/roads -t PICTURES --name roads
    """
    settings = load_settings(config_file).settings
    effective_layout(settings.model_copy(update={"db_table": table_name}))
    if schema is not None and not is_identifier(schema):
        raise click.UsageError(f"--schema: expected a letter, then letters, digits or _; got {schema!r}")
    oracle = _oracle_options(oracle_client, oracle_config, wallet_location)
    connection = StoredConnection(name or table_name, dsn, user, schema, table_name, oracle)
    if oracle and connection.url().get_backend_name() != "oracle":
        raise click.UsageError("--oracle-client-lib-dir, --oracle-config-dir and --wallet-location are for Oracle only")
    key = find_or_make_key() if user else None  # first, because without a key the password cannot be stored
    password = _password(user, stdin=password_stdin) if user else None
    wallet_password = _wallet_password(stdin=password_stdin) if wallet_location else None
    secrets = tuple(secret for secret in (password, wallet_password, key and key.text) if secret)
    start_logging(settings, Console(stderr=True), log_folder, secrets)
    store = ConnectionStore(connections_dir)
    replaced = store.path(connection.name).exists()
    path = store.save(connection, password, key, wallet_password)
    out = output_console()
    out.print(f"{'replaced' if replaced else 'stored'} {path}")
    if key is not None:
        out.print(f"The password in it is encrypted with the key in {key.source}.")
        if key.source == KEYRING:
            out.print(f"On a machine without a keyring (servers, containers), set {KEY_VARIABLE} and store it again.")
    out.print(f"Try it: anonymise db status --connection {connection.name}")


@click.command("make-key", short_help="Print a new key for ORACLE_KEY.")
def make_key_command() -> None:
    """Print a new key for ORACLE_KEY; nothing is stored. Everybody with the key can read the stored passwords.

    \b
    Example:
      export ORACLE_KEY="$(anonymise db make-key)"
    """
    click.echo(make_key())


def _oracle_options(client: str | None, config: str | None, wallet: str | None) -> dict[str, str]:
    options = {"config_dir": config, "wallet_location": wallet, "thick_mode_lib_dir": client}
    if client:
        options |= {"thick_mode": "true", "thick_mode_config_dir": config}
    return {key: value for key, value in options.items() if value}


def _wallet_password(*, stdin: bool) -> str | None:
    """The wallet's password; None: it has none, or opens by itself (cwallet.sso)."""
    if stdin:
        return sys.stdin.readline().rstrip("\r\n") or None
    given = os.environ.get(WALLET_PASSWORD_VARIABLE)
    if given is None and can_ask():
        about = "Password of the wallet (empty: it has none)"
        given = click.prompt(about, hide_input=True, default="", show_default=False, err=True)
    return given or None


def _password(user: str, *, stdin: bool) -> str:
    if stdin:
        password = sys.stdin.readline().rstrip("\r\n")
        if not password:
            raise click.UsageError("--password-stdin: standard input is empty, expected the password on its first line")
        return password
    given = os.environ.get(PASSWORD_VARIABLE)
    if given is None and not can_ask():
        raise click.UsageError(
            f"there is no terminal to ask for the password: give it in {PASSWORD_VARIABLE}, or with --password-stdin"
        )
    prompt = f"Password of {user}"
    return given or str(click.prompt(prompt, hide_input=True, confirmation_prompt=True, err=True))
