"""`anonymise mask`: only the mask step."""

from __future__ import annotations

import click

from anonymisation.chain.discover import FoundFolder
from anonymisation.chain.mask import mask_folder
from anonymisation.cli.model import ModelOnDemand
from anonymisation.cli.options import ChainOptions, chain_options
from anonymisation.cli.progress import RunProgress
from anonymisation.cli.session import open_session
from anonymisation.cli.steps import finish, run_step
from anonymisation.reporting.step_reports import MaskReport


@click.command("mask")
@chain_options
def mask_command(options: ChainOptions) -> None:
    """Hide people and vehicles in every picture that is not masked yet.

    \b
    Example:
      anonymise mask -i pictures -o masked
    """
    session = open_session(options)
    detector = ModelOnDemand(session.workspace.settings)

    def mask(folder: FoundFolder) -> MaskReport:
        progress.folder(folder)
        clean_up = not options.skip_clear_cache
        return mask_folder(session.workspace, folder.folder, detector, progress.picture, clean_up=clean_up)

    with RunProgress(session.err) as progress:
        report = run_step(session, "mask", mask, on_found=lambda folder: progress.expect(folder.pictures))
    columns = (
        ("found", "found"),
        ("masked", "masked"),
        ("done before", "already_done"),
        ("failed", "failed"),
        ("known to fail", "known_failed"),
    )
    finish(session, report, "mask", columns)
