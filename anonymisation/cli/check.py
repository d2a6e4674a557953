"""`anonymise check`: only the check step."""

from __future__ import annotations

import click

from anonymisation.chain.check import check_folder
from anonymisation.chain.discover import FoundFolder
from anonymisation.cli.options import ChainOptions, chain_options
from anonymisation.cli.session import Session, open_session
from anonymisation.cli.steps import finish, run_step
from anonymisation.core.text import one_line
from anonymisation.reporting.step_reports import CheckReport
from anonymisation.review.rows import read_rows
from anonymisation.review.standing import Standing, standing_in
from anonymisation.workspace.folder_state import state_folder


@click.command("check")
@chain_options
def check_command(options: ChainOptions) -> None:
    """Compare input, output, archive and database, and list every gap. Repairs nothing.

    Also names what stands at the same place of most pictures of a folder, such as the camera car's bonnet.

    \b
    Example:
      anonymise check -i pictures -o masked -a archive -k config.yml
    """
    session = open_session(options)
    standing: list[tuple[str, Standing]] = []

    def check(folder: FoundFolder) -> CheckReport:
        report = check_folder(session.workspace, folder.folder)
        rows = [*read_rows(state_folder(session.workspace.shares.state, folder.folder))]
        standing.extend((folder.folder, found) for found in standing_in(rows))
        return report

    report = run_step(session, "check", check, released_too=True)
    columns = (
        ("expected", "expected"),
        ("missing", "missing"),
        ("failed before", "known_failed"),
        ("shared IDs", "collided"),
    )
    _print_standing(session, standing)
    finish(session, report, "check", columns)


def _print_standing(session: Session, standing: list[tuple[str, Standing]]) -> None:
    """Print what stands still. It is no problem by itself, so it changes neither verdict nor exit code."""
    if not standing:
        return
    lines = [one_line(f"  {folder}: {found}") for folder, found in standing]
    heading = (
        "At the same place through a whole drive. If it belongs to the camera car, or is dirt or a reflection, set"
        " camera_regions; a vehicle that drives ahead for long looks the same:"
    )
    text = "\n".join([heading, *lines])
    session.out.print(text)
    session.log(text)
