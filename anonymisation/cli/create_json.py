"""`anonymise create-json`: write the records of all pictures, without masking."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from anonymisation.chain.required_columns import RequiredColumns
from anonymisation.cli.options import config_option, input_option, log_option, output_option
from anonymisation.cli.session import output_console, start_logging
from anonymisation.cli.tables import print_unread
from anonymisation.core.errors import ImageError, ShareUnavailableError
from anonymisation.core.settings import LoadedSettings, Settings, load_settings
from anonymisation.core.text import one_line
from anonymisation.files.access import require_folder, with_access
from anonymisation.files.atomic import write_atomically
from anonymisation.files.digests import sha256_of
from anonymisation.files.folders import make_folders
from anonymisation.files.plain import read_plain
from anonymisation.imaging.exif.read import read_exif
from anonymisation.imaging.jpeg.codec import jpeg_size
from anonymisation.metadata.record import RecordContext, build_record, record_from_json, record_to_json
from anonymisation.workspace.listing import Problem, join, listings
from anonymisation.workspace.paths import Sidecar
from anonymisation.workspace.unread import NotRead, UnreadFiles


@dataclass(slots=True)
class _Tally:
    written: int = 0
    kept: int = 0
    failures: list[str] = field(default_factory=list)
    unread: list[UnreadFiles] = field(default_factory=list)


@click.command("create-json")
@input_option
@output_option(required=False, text="Folder of the records; without it they are written next to the pictures.")
@click.option("--overwrite", is_flag=True, help="Also replace records that contain detections.")
@config_option
@log_option
def create_json_command(
    input_folder: Path, output_folder: Path | None, overwrite: bool, config_file: Path | None, log_folder: Path | None
) -> None:
    """Write the record of every picture below the input folder, without detections.

    A record that the mask step wrote is kept, because it contains the detections.

    \b
    Example:
      anonymise create-json -i pictures -o records
    """
    loaded = load_settings(config_file)
    start_logging(loaded.settings, Console(stderr=True), log_folder)
    base = input_folder.expanduser().absolute()
    require_folder(loaded.settings, base, "input", first_look=True)
    tally = _Tally()
    target = (output_folder or base).expanduser().absolute()
    writer = _Writer(base, target, loaded, overwrite)
    _make_target(target)
    for found in _pictures(base, loaded.settings):
        if isinstance(found, UnreadFiles):
            tally.unread.append(found)
            continue
        if isinstance(found, Problem):
            if found.hides_pictures:
                tally.failures.append(str(found))
            continue
        try:
            wrote = writer.write(found)
        except ImageError as error:
            tally.failures.append(f"{found}: {error}")
            continue
        tally.written += wrote
        tally.kept += not wrote
    _conclude(tally)


def _make_target(target: Path) -> None:
    try:
        make_folders(target, below=target.parent)
    except OSError as error:
        message = f"output folder {target} cannot be created: {error.strerror} (mistyped, or its share is not mounted)"
        raise ShareUnavailableError(message) from error


def _pictures(base: Path, settings: Settings) -> Iterator[str | Problem | UnreadFiles]:
    """Each picture's path below `base`, the problem of each place that is not entered, and files that are not read."""
    for folder, listing in listings(base):
        if isinstance(listing, Problem):
            yield listing
            continue
        yield from listing.problems
        names = [picture.name for picture in listing.pictures]
        unread = UnreadFiles.of(folder, listing.other_names, names, local_previews=settings.local_preview)
        if unread is not None:
            yield unread
        yield from (join(folder, name) for name in names)


class _Writer:
    def __init__(self, base: Path, target: Path, loaded: LoadedSettings, overwrite: bool) -> None:
        self._base = base
        self._target = target
        self._settings: Settings = loaded.settings
        self._overwrite = overwrite
        self._context = RecordContext.from_settings(loaded.settings, input_root=base, version=loaded.version_tag)
        self._required = RequiredColumns(loaded.settings)
        self._owners: dict[Path, str] = {}
        self._make = partial(make_folders, below=target)  # a share that is gone is not made again

    def write(self, picture: str) -> bool:
        """Write one record; returns False if a record with detections exists.

        Raises:
            ImageError: the picture cannot be read, or its record cannot be written or lacks what `table_name` needs.
        """
        path = self._base / picture
        target = Sidecar.RECORD.of(self._target / picture)
        owner = self._owners.setdefault(target, picture)
        if owner != picture:
            raise ImageError(f"{target} is the record of {owner} already; rename one of the two")
        try:
            if not self._overwrite and _has_detections(target):
                return False
            data = with_access(self._settings, f"reading {path}", lambda: read_plain(path))
            # A file that does not begin as a JPEG gets no record.
            size = jpeg_size(data, max_pixels=self._settings.max_picture_pixels)
            exif = read_exif(data, source=picture)
            record = build_record(path, exif, self._context, objects=None, sha256=sha256_of(data), size=size)
            self._required.check(record)
            content = record_to_json(record)
            with_access(self._settings, f"writing {target}", lambda: write_atomically(target, content, make=self._make))
        except OSError as error:
            raise ImageError(f"{error.filename or path}: {error.strerror}") from error
        return True


def _has_detections(path: Path) -> bool:
    try:
        return record_from_json(read_plain(path)).get("detekterte_objekter") is not None
    except (FileNotFoundError, ImageError):  # a record that cannot be read is replaced
        return False


def _conclude(tally: _Tally) -> None:
    out = output_console()
    kept = f", {tally.kept} kept with detections" if tally.kept else ""
    summary = f"{tally.written} records written{kept}, {len(tally.failures)} failed"
    out.print(summary)
    for failure in tally.failures:
        out.print(f"  {one_line(failure)}", style="red")
    print_unread(out, NotRead.of(tally.unread))
    logging.getLogger(__name__).info("\n".join([summary, *tally.failures]), extra={"file_only": True})
    click.get_current_context().exit(1 if tally.failures else 0)
