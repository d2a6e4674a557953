"""`anonymise check-folders`: the files of every picture in every folder, by name only, without state or database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Final

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anonymisation.cli.options import archive_option, config_option, input_option, log_option, output_option
from anonymisation.cli.session import output_console, start_logging
from anonymisation.cli.tables import print_table, print_unread
from anonymisation.core.settings import Settings
from anonymisation.core.text import one_line
from anonymisation.files.access import require_folder
from anonymisation.workspace.expected_files import (
    PROBLEMS,
    Bases,
    FileStatus,
    PictureFiles,
    Place,
    compare_folder,
    expected_places,
)
from anonymisation.workspace.listing import Problem, listings
from anonymisation.workspace.paths import is_picture_name
from anonymisation.workspace.unread import NotRead, UnreadFiles
from anonymisation.workspace.workspace import open_workspace

_STYLES: Final = {FileStatus.OK: "green", FileStatus.MISSING: "bold red", FileStatus.LEFT: "red"}
_LEGEND: Final = (
    "OK: exists as configured. Missing: should exist. Left: should be gone. "
    "None: neither configured nor there. Extra: exists, but is not configured."
)
Names = dict[str, dict[str, frozenset[str]]]  # folder → share → names of files


@click.command("check-folders")
@input_option
@output_option(required=True, text="Folder of the masked pictures.")
@archive_option
@click.option("--ignore-config", is_flag=True, help="Only list the existing files; ignore the configuration.")
@config_option
@log_option
def check_folders_command(
    input_folder: Path,
    output_folder: Path,
    archive_folder: Path | None,
    ignore_config: bool,
    config_file: Path | None,
    log_folder: Path | None,
) -> None:
    """List, for every picture, which of its files are in the input, output and archive folder.

    Pictures and videos in the input folder that are not read (only .jpg and .jpeg are) are counted and named.

    Ends with exit code 1 if a file is missing that the configuration asks for, or if an original is left that should be
    gone.

    \b
    Example:
      anonymise check-folders -i pictures -o masked -a archive
    """
    workspace = open_workspace(
        input_dir=input_folder, output_dir=output_folder, archive_dir=archive_folder, config=config_file
    )
    settings, shares = workspace.settings, workspace.shares
    bases = Bases(shares.input, shares.output, shares.archive, settings.has_previews)
    start_logging(settings, Console(stderr=True), log_folder)
    names, problems = _read(bases, settings)
    expected = None if ignore_config else expected_places(settings, bases)
    totals: dict[Place, Counter[FileStatus]] = {place: Counter() for place in bases.places()}
    out = output_console()
    incomplete = 0
    for folder in sorted(names, key=lambda name: PurePosixPath(name).parts):
        files = list(compare_folder(bases, folder, names[folder], expected))
        incomplete += sum(not picture.complete for picture in files)
        for picture in files:
            for place, status in picture.statuses.items():
                totals[place][status] += 1
        if files:
            print_table(out, _folder_table(folder, files, bases))
    print_table(out, _totals_table(totals))
    unread = (
        UnreadFiles.of(
            folder,
            found.get("input", ()),
            filter(is_picture_name, chain.from_iterable(found.values())),
            local_previews=settings.local_preview,
        )
        for folder, found in sorted(names.items())
    )
    print_unread(out, NotRead.of(item for item in unread if item is not None))
    _conclude(out, incomplete, problems)


def _read(bases: Bases, settings: Settings) -> tuple[Names, list[str]]:
    """All file names in all folders of all shares, and the problems of folders that cannot be read."""
    names: Names = {}
    problems = []
    for share, base in bases.roles().items():
        require_folder(settings, base, share, first_look=True)
        for folder, listing in listings(base):
            if isinstance(listing, Problem):
                problems.append(f"{share}: {listing}")
                continue
            problems += [f"{share}: {problem}" for problem in listing.problems if problem.hides_pictures]
            found = frozenset((*(picture.name for picture in listing.pictures), *listing.other_names))
            names.setdefault(folder, {})[share] = found
    return names, problems


def _folder_table(folder: str, files: list[PictureFiles], bases: Bases) -> Table:
    table = Table(title=Text(one_line(folder)), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("picture", overflow="fold")
    for place in bases.places():
        table.add_column(f"{place.share}\n{place.kind}", no_wrap=True)
    for picture in files:
        cells = (Text(status, style=_STYLES.get(status, "dim")) for status in picture.statuses.values())
        table.add_row(Text(one_line(PurePosixPath(picture.picture).name)), *cells)
    return table


def _totals_table(totals: dict[Place, Counter[FileStatus]]) -> Table:
    table = Table("file", *FileStatus, title="all folders", box=SIMPLE_HEAD, title_justify="left")
    for place, counts in totals.items():
        bad = any(counts[status] for status in PROBLEMS)
        table.add_row(str(place), *_cells(counts), style="red" if bad else None)
    return table


def _cells(counts: Counter[FileStatus]) -> Iterator[str]:
    return (str(counts[status]) for status in FileStatus)


def _conclude(out: Console, incomplete: int, problems: list[str]) -> None:
    out.print(_LEGEND)
    for problem in problems:
        out.print(one_line(problem), style="red")
    if incomplete:
        pictures = "1 picture is" if incomplete == 1 else f"{incomplete} pictures are"
        out.print(f"{pictures} not as the configuration asks for.", style="red")
    click.get_current_context().exit(1 if incomplete or problems else 0)
