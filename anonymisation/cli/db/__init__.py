"""`anonymise db`: connections, the table, and its rows."""

from __future__ import annotations

import click

from anonymisation.cli.db.configure import configure_command, make_key_command
from anonymisation.cli.db.create_table import create_table_command, insert_geom_metadata_command
from anonymisation.cli.db.execute_sql import execute_sql_command
from anonymisation.cli.db.export import export_command
from anonymisation.cli.db.load import load_command
from anonymisation.cli.db.status import status_command


class _InOrder(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The verbs in their usual order."""
        return list(self.commands)


@click.group("db", cls=_InOrder)
def db_group() -> None:
    """Store a connection, create the table, load and export records, and show the state of the table.

    \b
    Example:
      anonymise db status --state masked_state
    """


for _command in (
    configure_command,
    make_key_command,
    create_table_command,
    insert_geom_metadata_command,
    load_command,
    export_command,
    execute_sql_command,
    status_command,
):
    db_group.add_command(_command)
