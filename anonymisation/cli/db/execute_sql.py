"""`anonymise db execute-sql`: a user's own statements."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anonymisation.cli.db.options import DatabaseOptions, database_options, open_database
from anonymisation.cli.tables import print_table
from anonymisation.core.text import one_line
from anonymisation.database.sql_script import read_script
from anonymisation.database.statements import StatementResult, execute_sql


@click.command("execute-sql", short_help="Run SQL in one transaction and print its results.")
@database_options
@click.option("--sql", help="Statements, separated by semicolons.")
@click.option("--file", "file", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="A file of SQL.")
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="Rows shown per result.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def execute_sql_command(
    options: DatabaseOptions, sql: str | None, file: Path | None, limit: int, as_json: bool
) -> None:
    """Run SQL in one transaction: either all statements take effect or none. Results are printed.

    In Oracle, CREATE, ALTER and DROP commit by themselves. Semicolons separate the statements; a block of PL/SQL ends
    with its last END, or with a line of only /, which ends every statement. Commands of SQL*Plus and psql that concern
    the output alone (SET DEFINE OFF, PROMPT, SHOW ERRORS …) are skipped, EXIT ends the script, others are refused.

    \b
    Example:
      anonymise db execute-sql --connection roads --sql 'SELECT COUNT(*) FROM VEGBILDER'
    """
    if (sql is None) == (file is None):
        raise click.UsageError("give either --sql or --file")
    source = "--sql" if file is None else str(file)
    try:
        script = read_script(_read(file) if sql is None and file is not None else sql or "")
    except ValueError as error:
        raise click.UsageError(f"{source}: {error}") from error
    statements = script.statements
    if not statements:
        raise click.UsageError("--sql or --file contains no statement")
    if script.skipped:
        click.echo(f"{source}: skipped commands of SQL*Plus or psql: {', '.join(script.skipped)}", err=True)
    session = open_database(options)
    results = execute_sql(session.target, statements, limit=limit)
    if as_json:
        click.echo(json.dumps([_as_json(result) for result in results], ensure_ascii=False, indent=4))
        return
    for result in results:
        _show(session.out, result, several=len(results) > 1)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path}: cannot be read ({error})") from error


def _show(out: Console, result: StatementResult, *, several: bool) -> None:
    if several:
        out.print(one_line(" ".join(result.statement.split())), style="bold")
    if not result.columns:
        out.print("done" if result.affected is None else f"{_rows(result.affected)} affected")
        return
    table = Table()
    for name in result.columns:
        table.add_column(Text(name))
    for row in result.rows:
        table.add_row(*(_cell(value) for value in row))
    print_table(out, table)
    out.print(f"the first {_rows(len(result.rows))}; more with --limit" if result.cut_off else _rows(len(result.rows)))


def _cell(value: Any) -> Text:
    if value is None:
        return Text("NULL", style="dim")
    return Text(one_line(str(_plain(value))))


def _as_json(result: StatementResult) -> dict[str, Any]:
    if not result.columns:
        return {"statement": result.statement, "affected": result.affected}
    return {
        "statement": result.statement,
        "columns": list(result.columns),
        "rows": [[_plain(value) for value in row] for row in result.rows],
        "cut_off": result.cut_off,
    }


def _plain(value: Any) -> Any:
    """The value for JSON: times in ISO 8601, bytes in hexadecimal digits, other types of drivers as text."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    return str(value)


def _rows(number: int) -> str:
    return "1 row" if number == 1 else f"{number} rows"
