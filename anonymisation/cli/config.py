"""`anonymise config`: the configuration in force."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anonymisation.cli.options import config_option, log_option
from anonymisation.cli.session import output_console, start_logging
from anonymisation.cli.tables import print_table
from anonymisation.core.text import hide_credentials
from anonymisation.workspace.workspace import load_configuration


@click.group("config")
def config_group() -> None:
    """Show the configuration in force.

    \b
    Example:
      anonymise config show
    """


@config_group.command("show")
@config_option
@log_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def show_command(config_file: Path | None, log_folder: Path | None, as_json: bool) -> None:
    """Print every setting with its value and its source. Passwords in addresses are hidden.

    \b
    Example:
      anonymise config show -k config.yml
    """
    loaded = load_configuration(config_file)
    start_logging(loaded.settings, Console(stderr=True), log_folder)
    values = {key: _hidden(value) for key, value in loaded.settings.model_dump(mode="json").items()}
    if as_json:
        content = {key: {"value": value, "source": loaded.sources[key]} for key, value in values.items()}
        click.echo(json.dumps({"version": loaded.version_tag, "settings": content}, ensure_ascii=False, indent=4))
        return
    table = Table("key", "value", "from")
    for key, value in values.items():
        source = loaded.sources[key]
        table.add_row(key, Text(_shown(value)), Text(source), style=None if source == "default" else "bold")
    console = output_console()
    print_table(console, table)
    console.print(f"version tag of records: {loaded.version_tag}")


def _hidden(value: Any) -> Any:
    return hide_credentials(value) if isinstance(value, str) else value


def _shown(value: Any) -> str:
    """The value as in the YAML file: text without quotes unless it is empty."""
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
