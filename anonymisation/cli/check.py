"""`anonymise check`: only the check step."""

from __future__ import annotations

import click

from anonymisation.chain.check import check_folder
from anonymisation.cli.options import ChainOptions, chain_options
from anonymisation.cli.session import open_session
from anonymisation.cli.steps import finish, run_step


@click.command("check")
@chain_options
def check_command(options: ChainOptions) -> None:
    """Compare input, output, archive and database, and list every gap. Repairs nothing.

    \b
    Example:
      anonymise check -i pictures -o masked -a archive -k config.yml
    """
    session = open_session(options)
    report = run_step(
        session, "check", lambda folder: check_folder(session.workspace, folder.folder), released_too=True
    )
    columns = (
        ("expected", "expected"),
        ("missing", "missing"),
        ("failed before", "known_failed"),
        ("shared IDs", "collided"),
    )
    finish(session, report, "check", columns)
