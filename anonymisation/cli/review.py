"""`anonymise review`: what people found in the review, as files for other programs."""

from __future__ import annotations

import json
from pathlib import Path

import click

from anonymisation.cli.folders import require_results, selected_folders
from anonymisation.cli.options import ChainOptions, chain_options
from anonymisation.cli.session import open_session
from anonymisation.core.text import counted
from anonymisation.files.atomic import write_atomically
from anonymisation.files.reported import reported
from anonymisation.review.certificate.store import now
from anonymisation.review.export import coco_annotations


@click.group("review")
def review_group() -> None:
    """What people found in the review, as files for other programs.

    \b
    Example:
      anonymise review export corrections.json -i in/ -o out/
    """


@review_group.command("export", short_help="Write the judged pictures to a file, in COCO form.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@chain_options
def export_command(options: ChainOptions, file: Path) -> None:
    """Write the judged pictures of the selected folders to FILE, as annotations in COCO form.

    Detections that a person confirmed keep their class; regions that a person drew have the category `marked`.
    Pictures are given by reference: their path below the input folder, and the checksum of the original.

    \b
    Example:
      anonymise review export corrections.json -i in/ -o out/
    """
    session = open_session(options)
    require_results(session.workspace)
    names = selected_folders(session)
    values = coco_annotations(session.workspace.shares.state, names, at=now())
    path = file.expanduser().absolute()
    with reported(path, "written"):
        write_atomically(path, json.dumps(values, indent=1).encode("ascii"))
    pictures, regions = counted(len(values["images"]), "judged picture"), counted(len(values["annotations"]), "region")
    session.out.print(f"{pictures} with {regions}: {path}")
    if left_out := values["info"]["left_out"]:
        session.err.print(f"left out, since something in them is hidden by mistake: {len(left_out)}", style="yellow")
