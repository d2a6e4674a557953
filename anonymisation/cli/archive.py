"""`anonymise archive`: only the archive step."""

from __future__ import annotations

import click

from anonymisation.chain.archive import archive_folder
from anonymisation.cli.options import ChainOptions, chain_options
from anonymisation.cli.session import open_session
from anonymisation.cli.steps import finish, run_step


@click.command("archive")
@chain_options
def archive_command(options: ChainOptions) -> None:
    """Copy the originals of masked pictures to the archive folder, verified by checksum.

    \b
    Example:
      anonymise archive -i pictures -o masked -a archive
    """
    if options.archive_folder is None:
        raise click.UsageError("Missing option '-a' / '--archive-folder': the folder of the archive.")
    session = open_session(options)
    report = run_step(session, "archive", lambda folder: archive_folder(session.workspace, folder.folder))
    columns = (
        ("archived", "archived"),
        ("there before", "already_archived"),
        ("failed", "failed"),
        ("bytes copied", "size"),
    )
    finish(session, report, "archive", columns)
