"""`anonymise load`: only the load step."""

from __future__ import annotations

import click

from anonymisation.chain.load import load_folder
from anonymisation.cli.options import ChainOptions, chain_options
from anonymisation.cli.session import open_session
from anonymisation.cli.steps import finish, run_step


@click.command("load")
@chain_options
def load_command(options: ChainOptions) -> None:
    """Load the records of masked pictures into the database, including those whose originals are released.

    Works also with write_exif_to_db: False. Rows that wait from earlier runs are loaded first.

    \b
    Examples:
      anonymise load -i pictures -o masked
      anonymise load -i pictures -o masked --database roads
    """
    session = open_session(options, {"write_exif_to_db": True})
    session.workspace.require_shares(first_look=True)
    trouble = session.send_waiting_rows()
    report = run_step(
        session, "load", lambda found: load_folder(session.workspace, found.folder), released_too=True, broken=trouble
    )
    columns = (
        ("inserted", "inserted"),
        ("updated", "updated"),
        ("there before", "already_loaded"),
        ("failed", "failed"),
        ("waiting", "waiting"),
    )
    finish(session, report, "load", columns)
