"""`anonymise release`: only the release step."""

from __future__ import annotations

import click

from anonymisation.chain.release import release_folder
from anonymisation.cli.options import ChainOptions, chain_options
from anonymisation.cli.session import open_session
from anonymisation.cli.steps import finish, run_step


@click.command("release")
@chain_options
def release_command(options: ChainOptions) -> None:
    """Verify archive copy, masked picture and record of each original, then remove the original.

    Needs delete_input: True in the configuration, and an archive folder.

    \b
    Example:
      anonymise release -i pictures -o masked -a archive -k config.yml
    """
    session = open_session(options)
    if not session.workspace.settings.delete_input:
        session.out.print("delete_input is False: no original is removed.")
    report = run_step(session, "release", lambda folder: release_folder(session.workspace, folder.folder))
    finish(session, report, "release", (("released", "released"), ("kept", "kept"), ("not verified", "failed")))
