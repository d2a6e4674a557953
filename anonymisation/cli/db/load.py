"""`anonymise db load`: load record files of any origin into the table."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from anonymisation.cli.db.moved_records import LoadedFile, move_records, stamp_of
from anonymisation.cli.db.options import DatabaseOptions, DatabaseSession, database_options, open_database
from anonymisation.cli.tables import print_table
from anonymisation.core.errors import (
    ConfigProblem,
    ConfigurationError,
    DatabaseUnavailableError,
    ImageMetadataError,
    LoadFailedError,
)
from anonymisation.core.logs import FILE_ONLY
from anonymisation.core.settings import Settings
from anonymisation.core.text import one_line
from anonymisation.database.layouts.formatters import identifier_of
from anonymisation.database.loading.limits import LoadLimits, LoadReport, LoadStoppedError, SourceRecord
from anonymisation.database.loading.loader import load_records, send_spooled
from anonymisation.files.access import require_folder, with_access
from anonymisation.files.plain import read_plain
from anonymisation.metadata.foreign import flipped, read_foreign_record, with_points
from anonymisation.metadata.record import Record
from anonymisation.workspace.listing import Problem, join, listings
from anonymisation.workspace.paths import PREVIEW_MARK, Sidecar, is_picture_name

_LISTED: Final = 100  # failures of a kind that are printed; the log file has all
_NO_RECORD: Final = "it is not the record of a picture; remove it or make it again"


@click.command("load", short_help="Load record files (.json) into the table.")
@click.option(
    "-i",
    "--input-folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder of the records; it mirrors the pictures' base folder.",
)
@click.option(
    "-a",
    "--archive-folder",
    "--jsonarkiv-folder",
    "archive_folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Move each file whose row is in the database here, under its path.",
)
@database_options
def load_command(input_folder: Path, archive_folder: Path | None, options: DatabaseOptions) -> None:
    """Load every record file (.json) below a folder: new rows are inserted, others updated.

    A picture is identified by its path below this folder, so give the base folder and no folder inside it. If the
    database is away, rows wait in the state folder (without --state: that of a chain with this output folder), and
    the next load sends them.

    \b
    Example:
      anonymise db load -i records --connection roads
    """
    base = input_folder.expanduser().absolute()
    session = open_database(options)
    settings = session.settings
    folder = options.state_folder(settings) or base.with_name(base.name + "_state")
    require_folder(settings, base, "input", first_look=True)
    archive = None if archive_folder is None else archive_folder.expanduser().absolute()
    _require_apart(base, archive)
    _Load(session, base, folder.expanduser().absolute(), archive).run()


def _require_apart(base: Path, archive: Path | None) -> None:
    """Refuse an archive folder that is not there, or is within the folder of the records or the other way round."""
    if archive is None:
        return
    first, second = base.resolve(), archive.resolve()
    problem = None
    if first == second or first in second.parents or second in first.parents:
        problem = f"must not be equal to, within or around the input folder {base}"
    elif not second.is_dir():
        problem = "there is no such folder: create it first (its share may not be mounted)"
    if problem is not None:
        raise ConfigurationError([ConfigProblem("archive folder", str(archive), problem)])


@dataclass(slots=True)
class _Totals:
    inserted: int = 0
    updated: int = 0
    waiting: int = 0
    resent: int = 0
    refused: list[str] = field(default_factory=list)
    collisions: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    without_row: set[str] = field(default_factory=set)

    def add(self, report: LoadReport, *, earlier: bool = False) -> None:
        self.inserted += 0 if earlier else report.inserted
        self.updated += 0 if earlier else report.updated
        self.resent += report.inserted + report.updated if earlier else report.resent
        self.waiting += report.waiting
        self.refused += [f"{failure.picture}: {failure.reason}" for failure in report.failed]
        self.without_row |= {failure.picture for failure in report.failed}
        self.without_row |= {item.yields for item in report.collisions}
        self.problems += [str(problem) for problem in report.problems]
        self.collisions += [
            f"{item.identifier}: the row is of {item.stands}, not of {item.yields}" for item in report.collisions
        ]


class _Load:
    """One load, and its report."""

    def __init__(self, session: DatabaseSession, base: Path, state: Path, archive: Path | None) -> None:
        self._archive = archive
        self._read_files: list[LoadedFile] = []
        self._moved = 0
        self._session = session
        self._base = base
        self._state = state
        self._limits = LoadLimits.from_settings(session.settings)
        self._totals = _Totals()
        self._bad: list[str] = []
        self._skipped: list[str] = []

    def run(self) -> None:
        """Load, print the report, and end with its exit code.

        Raises:
            LoadFailedError: too many rows were refused, or wait.
            DatabaseUnavailableError: the database is away; rows wait.
        """
        stopped: LoadStoppedError | None = None
        target = self._session.target
        try:
            self._totals.add(send_spooled(target, self._state, self._limits), earlier=True)
            with self._bar() as records:
                self._totals.add(load_records(records, target, self._state, self._limits))
        except LoadStoppedError as error:
            self._totals.add(error.report)
            stopped = error
        if stopped is None and not self._totals.waiting:  # then every row is committed or refused
            self._move()
        self._report()
        if stopped is not None:
            raise LoadFailedError(str(stopped)) from stopped
        if self._totals.waiting:
            raise DatabaseUnavailableError(
                f"{target.place}: the database is away; {self._totals.waiting} rows wait in {self._state} and are sent "
                "by the next load"
            )
        click.get_current_context().exit(1 if self._bad or self._totals.refused or self._totals.problems else 0)

    @contextlib.contextmanager
    def _bar(self) -> Iterator[Iterator[SourceRecord]]:
        """The records. On a terminal a bar shows how many of them are read."""
        err = self._session.err
        columns = (SpinnerColumn(), TextColumn("records"), BarColumn(bar_width=None), MofNCompleteColumn())
        with Progress(
            *columns, TimeRemainingColumn(elapsed_when_finished=True), console=err, transient=True,
            redirect_stdout=False, disable=not err.is_terminal,
        ) as bar:  # fmt: skip
            total = sum(1 for _ in _record_files(self._base, [], [])) if err.is_terminal else None
            task = bar.add_task("records", total=total)

            def records() -> Iterator[SourceRecord]:
                for found in _record_files(self._base, self._bad, self._skipped):
                    bar.advance(task)
                    stamp = self._stamp(found.path)
                    record = self._read(found.path)
                    if record is not None:
                        picture = found.picture(record)
                        if stamp is not None:
                            self._read_files.append(LoadedFile(found.path, picture, stamp))
                        yield SourceRecord(picture, record)

            yield records()

    def _stamp(self, path: str) -> tuple[int, int] | None:
        """What tells later whether the file has changed; None where it is not to be moved, or cannot be."""
        if self._archive is None:
            return None
        try:
            return stamp_of(self._base / path)
        except OSError:  # reading it says what is wrong
            return None

    def _move(self) -> None:
        """Move the files whose pictures have a row of their own."""
        if self._archive is None:
            return
        loaded = [file for file in self._read_files if file.picture not in self._totals.without_row]
        self._moved, problems = move_records(self._base, self._archive, loaded)
        self._bad += problems

    def _read(self, path: str) -> Record | None:
        try:
            return _read_record(self._session.settings, self._base / path)
        except (ImageMetadataError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self._bad.append(f"{path}: {reason}")
            return None

    def _report(self) -> None:
        totals, target, out = self._totals, self._session.target, self._session.out
        table = Table("inserted", "updated", "refused", "waiting", "bad files")
        counts = (totals.inserted, totals.updated, len(totals.refused), totals.waiting, len(self._bad))
        table.add_row(*(str(count) for count in counts))
        out.print(f"{target.place}, table {target.layout.name}")
        print_table(out, table)
        if self._archive is not None:
            out.print(f"{self._moved} record files moved to {self._archive}")
        if totals.resent:
            out.print(f"{totals.resent} rows that waited from earlier loads were loaded as well")
        if not any(counts):
            out.print(f"no record files (.json) below {self._base}")
        for heading, items, style in (
            ("Bad files", self._bad, "red"),
            ("Rows refused", totals.refused, "red"),
            ("Files of the state folder", totals.problems, "red"),
            ("Two pictures with one ID", totals.collisions, "yellow"),
            ("Skipped, since their names are those of previews", self._skipped, "yellow"),
        ):
            self._list(heading, items, style)
        text = ", ".join(f"{heading} {count}" for heading, count in zip(_HEADINGS, counts, strict=True))
        logging.getLogger(__name__).info("%s: %s", target.place, text, extra=FILE_ONLY)

    def _list(self, heading: str, items: list[str], style: str) -> None:
        if not items:
            return
        shown = [f"  {one_line(item)}" for item in items[:_LISTED]]
        more = [f"  and {len(items) - _LISTED} more"] if len(items) > _LISTED else []
        self._session.out.print("\n".join([f"{heading}:", *shown, *more]), style=style)
        logging.getLogger(__name__).info("\n".join([f"{heading}:", *items]), extra=FILE_ONLY)


_HEADINGS: Final = ("inserted", "updated", "refused", "waiting", "bad files")


@dataclass(frozen=True, slots=True)
class _RecordFile:
    """A record's file, and the picture of that name in the same folder, if it exists; paths below the base folder."""

    path: str
    picture_file: str | None

    def picture(self, record: Record) -> str:
        """The picture's path below the input folder, as in the chain: the record's path with another extension."""
        if self.picture_file is not None:
            return self.picture_file
        name = record.get("exif_filnavn")
        suffix = PurePosixPath(name).suffix if isinstance(name, str) and is_picture_name(name) else ".jpg"
        return str(PurePosixPath(self.path).with_suffix(suffix))


def _record_files(base: Path, problems: list[str], skipped: list[str]) -> Iterator[_RecordFile]:
    """Every .json below `base` that is not hidden, folder by folder.

    Places that cannot be read go to `problems`, files named like previews to `skipped`.
    """
    for folder, listing in listings(base):
        if isinstance(listing, Problem):
            problems.append(str(listing))
            continue
        problems += [str(problem) for problem in listing.problems if problem.hides_pictures]
        pictures = {PurePosixPath(item.name).stem: item.name for item in reversed(listing.pictures)}
        for name in sorted(listing.other_names):
            path = PurePosixPath(name)
            if path.suffix.lower() != Sidecar.RECORD or name.startswith("."):
                continue
            if PREVIEW_MARK in name:
                skipped.append(join(folder, name))
            else:
                picture = pictures.get(path.stem)
                yield _RecordFile(join(folder, name), None if picture is None else join(folder, picture))


def _read_record(settings: Settings, path: Path) -> Record:
    """Read a record of any age.

    Raises:
        ImageMetadataError: it is not JSON, or not the record of a picture: it has no ID, and none can be made.
        OSError: it cannot be read.
    """
    record = read_foreign_record(with_access(settings, f"reading {path}", lambda: read_plain(path)))
    record = with_points(flipped(record) if settings.flip_wkt else record)
    given = record.get("bildeid", "")
    if given is None or (isinstance(given, str) and not given.strip()):
        record.pop("bildeid", None)  # as good as absent
    elif not isinstance(given, str):
        raise ImageMetadataError(f"its bildeid is {given!r}, expected text; {_NO_RECORD}")
    try:
        identifier_of(record)
    except ValueError as error:
        raise ImageMetadataError(f"{error}; {_NO_RECORD}") from error
    return record
