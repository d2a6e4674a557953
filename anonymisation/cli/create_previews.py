"""`anonymise create-previews`: previews of pictures that are masked already."""

from __future__ import annotations

import click
from rich.table import Table
from rich.text import Text

from anonymisation.chain.previews import PreviewReport, create_previews, require_previews
from anonymisation.cli.folders import all_folders
from anonymisation.cli.options import ChainOptions, chain_options
from anonymisation.cli.session import Session, open_session
from anonymisation.cli.tables import print_table
from anonymisation.core.errors import AnonymisationError
from anonymisation.core.text import one_line


@click.command("create-previews")
@chain_options
def create_previews_command(options: ChainOptions) -> None:
    """Make the previews of masked pictures that lack them, where remote_preview and its like want them.

    Previews are cut out of the masked pictures, never out of originals. The mask step makes them for new pictures.

    \b
    Example:
      anonymise create-previews -i in/ -o out/ -k config.yml
    """
    session = open_session(options)
    require_previews(session.workspace)
    session.workspace.require_shares(first_look=True)
    folders = all_folders(session.workspace, session.selection, released_too=True)
    reports = [_report(session, found.folder) for found in folders.found]
    table = Table("folder", "made", "already there", "failed")
    for report in reports:
        cells = [str(report.made), str(report.already), str(len(report.failures))]
        table.add_row(Text(one_line(report.folder)), *cells, style="red" if report.failures else None)
    print_table(session.out, table)
    failures = [failure for report in reports for failure in report.failures]
    problems = [str(problem) for problem in folders.problems if problem.hides_pictures]
    for line in (*failures, *problems):
        session.out.print(one_line(line), style="red")
    click.get_current_context().exit(1 if failures or problems else 0)


def _report(session: Session, folder: str) -> PreviewReport:
    """The report of one folder; an error in it does not stop the others."""
    try:
        return create_previews(session.workspace, folder)
    except AnonymisationError as error:
        return PreviewReport(folder, failures=[f"{folder}: {error}"])
