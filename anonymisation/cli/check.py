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
from anonymisation.review.standing import standing_in, without_region
from anonymisation.workspace.camera_regions import CameraRegions
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
    standing: list[str] = []

    def check(folder: FoundFolder) -> CheckReport:
        report, state = check_folder(session.workspace, folder.folder), session.workspace.shares.state
        rows = [*read_rows(state_folder(state, folder.folder))]
        regions = CameraRegions.of(session.workspace.settings, state).for_folder(folder.folder)
        found = without_region(standing_in(rows), regions)
        standing.extend(f"  {folder.folder}: {one}, such as {rows[one.example].name}" for one in found)
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


def _print_standing(session: Session, standing: list[str]) -> None:
    """Print what stands still. It is no problem by itself, so it changes neither verdict nor exit code."""
    if not standing:
        return
    heading = (
        "At the same place in most pictures. If it is the camera car, dirt or a reflection, set camera_regions; look at"
        " several pictures first, since a vehicle ahead at a constant distance looks the same:"
    )
    text = "\n".join([heading, *map(one_line, standing)])
    session.out.print(text)
    session.log(text)
