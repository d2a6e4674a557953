"""`anonymise db create-table` and `insert-geom-metadata`."""

from __future__ import annotations

import sys
from typing import Final

import click

from anonymisation.cli.db.options import DatabaseOptions, DatabaseSession, database_options, named_layout, open_database
from anonymisation.core.errors import ConfigProblem, ConfigurationError
from anonymisation.database.administration import count_rows, require_owner, spatial_metadata_sql
from anonymisation.database.schema import create_table, ddl, insert_spatial_metadata, replace_table
from anonymisation.database.target import load_dialect

_NOTHING_NEEDED: Final = "-- nothing is needed: {kind} describes the geometry when the table is created"
_KINDS: Final = ("oracle", "postgresql", "sqlite")

print_option = click.option("--print", "print_only", is_flag=True, help="Print the statements without running them.")
dialect_option = click.option(
    "--dialect", type=click.Choice(_KINDS), help="With --print: kind of database; no connection is needed."
)


@click.command("create-table", short_help="Create the table of a layout.")
@database_options
@click.option("--drop", is_flag=True, help="First remove the existing table with all its rows.")
@click.option("--yes", is_flag=True, help="Do not ask before removing anything.")
@print_option
@dialect_option
def create_table_command(
    options: DatabaseOptions, drop: bool, yes: bool, print_only: bool, dialect: str | None
) -> None:
    """Create the table of the layout, and describe its geometry for GIS tools.

    \b
    Examples:
      anonymise db create-table --connection roads
      anonymise db create-table -t VEGBILDER --print --dialect oracle
    """
    if print_only:
        layout, kind, schema = named_layout(options)
        kind = _kind(dialect, kind)
        _show(ddl(kind, layout, schema))
        return
    _only_with_print(dialect)
    session = open_database(options)
    target = session.target
    rows = count_rows(target)
    if rows is not None and not drop:
        message = f"is there already, with {_rows(rows)}; --drop removes it first"
        raise ConfigurationError([ConfigProblem(target.place, target.layout.name, message)])
    if rows is not None and not yes:
        _ask(session, rows)
    if rows is None:
        create_table(target)
    else:
        replace_table(target)
    removed = f", in place of one with {_rows(rows)}" if rows is not None else ""
    session.out.print(f"table {target.layout.name} created in {target.place}{removed}")
    if target.dialect.spatial_metadata(target.layout, target.table):
        session.out.print("Its geometry is not described yet: `anonymise db insert-geom-metadata` with the same flags")


@click.command("insert-geom-metadata", short_help="Describe the geometry columns to the database.")
@database_options
@print_option
@dialect_option
def insert_geom_metadata_command(options: DatabaseOptions, print_only: bool, dialect: str | None) -> None:
    """Describe the geometry columns to the database, and index them: rows of USER_SDO_GEOM_METADATA and spatial indexes
    in Oracle. Running it twice is harmless.

    \b
    Example:
      anonymise db insert-geom-metadata --connection roads
    """
    if print_only:
        layout, kind, _ = named_layout(options)
        kind = _kind(dialect, kind)
        statements = spatial_metadata_sql(layout, load_dialect(kind), kind)
        _show("".join(f"{statement};\n" for statement in statements) or _NOTHING_NEEDED.format(kind=kind))
        return
    _only_with_print(dialect)
    session = open_database(options)
    target = session.target
    require_owner(target)
    columns = insert_spatial_metadata(target)
    if columns:
        session.out.print(
            f"{columns} geometry columns of table {target.layout.name} described and indexed in {target.place}"
        )
    else:
        session.out.print(f"{target.place}: nothing is needed, the geometry was described when the table was created")


def _ask(session: DatabaseSession, rows: int) -> None:
    target = session.target
    question = f"Remove table {target.layout.name} of {target.place} with {_rows(rows)}, and create it again?"
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        raise click.UsageError(
            "--drop asks before it removes anything, and there is no terminal to answer: add --yes"
        ) from None
    if not agreed:
        session.out.print("nothing was changed")
        click.get_current_context().exit(1)


def _kind(asked: str | None, connected: str | None) -> str:
    kind = asked or connected
    if kind is None:
        raise click.UsageError(f"--print: name the kind of database with --dialect {'|'.join(_KINDS)}")
    return kind


def _only_with_print(dialect: str | None) -> None:
    if dialect is not None:
        raise click.UsageError("--dialect goes with --print; otherwise the connection decides")


def _show(statements: str) -> None:
    click.echo("\n".join(line.rstrip() for line in statements.splitlines()))


def _rows(number: int) -> str:
    return "1 row" if number == 1 else f"{number} rows"
