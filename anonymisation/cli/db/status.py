"""`anonymise db status`: whether database and table can be used, and which rows wait for them."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from anonymisation.cli.db.options import DatabaseOptions, DatabaseSession, database_options, open_database
from anonymisation.cli.tables import print_table
from anonymisation.core.errors import ConfigurationError, DatabaseUnavailableError
from anonymisation.core.text import one_line
from anonymisation.database.administration import count_rows, last_load, waiting_rows


@click.command("status", short_help="Show the state of database and table, and waiting rows.")
@database_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def status_command(options: DatabaseOptions, as_json: bool) -> None:
    """Show whether the database answers, whether the table exists, its rows, and rows that wait for it.

    Ends with exit code 1 if there is no such table, 2 if the login is refused, and 3 if the database is away.

    \b
    Example:
      anonymise db status --state masked_state
    """
    session = open_database(options)
    folder = options.state_folder(session.settings)
    facts, code = _database(session)
    facts |= {} if folder is None else _state(session, folder.expanduser().absolute())
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False, indent=4))
    else:
        table = Table(show_header=False)
        table.add_column(style="bold")
        table.add_column()
        for name, value in facts.items():
            table.add_row(name.replace("_", " "), _cell(value))
        print_table(session.out, table)
    click.get_current_context().exit(code)


def _database(session: DatabaseSession) -> tuple[dict[str, Any], int]:
    target = session.target
    url = target.engine.url
    facts: dict[str, Any] = {
        "database": target.place,
        "user": url.username,
        "table": target.layout.name if target.table.schema is None else f"{target.table.schema}.{target.layout.name}",
    }
    try:
        rows = count_rows(target)
    except DatabaseUnavailableError as error:
        return facts | {"reachable": False, "problem": " ".join(str(error).split())}, error.exit_code
    except ConfigurationError as error:
        return facts | {"reachable": True, "problem": "; ".join(str(item) for item in error.problems)}, error.exit_code
    if rows is None:
        problem = "the table is not there; create it with `anonymise db create-table`"
        return facts | {"reachable": True, "table_there": False, "problem": problem}, 1
    return facts | {"reachable": True, "table_there": True, "rows": rows}, 0


def _state(session: DatabaseSession, folder: Path) -> dict[str, Any]:
    target = session.target
    key = target.key(folder)
    moment = last_load(target, folder)
    spools = waiting_rows(folder)
    own = [spool for spool in spools if spool.folder.name == key]
    others = [spool for spool in spools if spool.folder.name != key]
    loaded = (
        None if moment is None else datetime.fromtimestamp(moment).astimezone().isoformat(sep=" ", timespec="seconds")
    )
    facts: dict[str, Any] = {"state_folder": str(folder), "last_load": loaded, "waiting": sum(s.rows for s in own)}
    damaged = [str(spool.folder) for spool in spools if spool.damaged]
    elsewhere = {spool.folder.name: spool.rows for spool in others if spool.rows}
    if elsewhere:
        facts["waiting_for_other_tables"] = elsewhere
    if damaged:
        facts["damaged_files_in"] = damaged
    return facts


def _cell(value: Any) -> Text:
    match value:
        case None:
            return Text("–")
        case bool():
            return Text("yes", style="green") if value else Text("no", style="red")
        case dict():
            return Text("\n".join(f"{name}: {rows} rows" for name, rows in value.items()))
        case list():
            return Text("\n".join(one_line(str(item)) for item in value))
        case _:
            return Text(one_line(str(value)))
