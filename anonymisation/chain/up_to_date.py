"""Whether a picture is up to date: discovery checks a whole folder at once, the mask step one picture at a time."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from anonymisation.workspace.folder_state import FAILED, MASKED, FileStamp, PictureState
from anonymisation.workspace.listing import PictureFile
from anonymisation.workspace.paths import Sidecar, is_preview_name, preview_path, stem_of
from anonymisation.workspace.workspace import Workspace


def is_done(workspace: Workspace, folder: str, picture: PictureFile, known: PictureState | None) -> bool:
    """Whether the masked picture exists and was made from this input file, judged by their sizes and times."""
    if known is None or not _was_masked(picture, known):
        return False
    if not workspace.settings.draw_mask:
        return True
    try:
        return known.output == FileStamp.of(workspace.picture(folder, picture.name).masked)
    except OSError:
        return False


def is_known_failed(picture: PictureFile, known: PictureState | None, model: str, digest: str) -> bool:
    """Whether the picture failed before with the same file, model and configuration."""
    if known is None or known.status != FAILED or known.source != picture.stamp:
        return False
    return known.model == model and known.digest == digest


class UpToDatePictures:
    """Whether pictures of one folder are up to date; lists its output folder once, in the constructor.

    A network share lists a folder with sizes and times in about the time that it takes for a single file.
    `table` is the key of the table that gets the rows (None: no table).
    """

    def __init__(
        self,
        workspace: Workspace,
        folder: str,
        pictures: Iterable[PictureFile],
        states: Mapping[str, PictureState],
        table: str | None,
    ) -> None:
        self._settings = workspace.settings
        self._wants_archive = workspace.shares.archive is not None
        self._table = table
        self._output = workspace.shares.output / folder
        self._standing: set[str] = set()
        self._records: set[str] = set()
        self._previews: set[str] = set()
        if self._settings.draw_mask or self._settings.remote_json:
            masked = {file.name: output for file in pictures if (output := _output_of(file, states)) is not None}
            self._look_at_outputs(masked)

    def is_done(self, picture: PictureFile, known: PictureState) -> bool:
        """As the function `is_done`."""
        return _was_masked(picture, known) and (not self._settings.draw_mask or picture.name in self._standing)

    def is_up_to_date(self, picture: PictureFile, known: PictureState) -> bool:
        """Whether every step of the chain is done with the picture, not only the mask step."""
        if not self.is_done(picture, known):
            return False
        if self._settings.delete_input or (self._wants_archive and not known.archived):
            return False  # with delete_input, a picture in the input still waits for its release
        if self._table is not None and known.loaded != self._table:
            return False
        # The mask step writes a record or a preview that is missing on the output share again.
        if self._settings.remote_json and not self._has_record(stem_of(picture.name)):
            return False
        return not self._settings.remote_preview or self._has_preview(picture.name)

    def _has_record(self, stem: str) -> bool:
        return stem in self._records or _stamp(self._output / f"{stem}{Sidecar.RECORD}") is not None

    def _has_preview(self, name: str) -> bool:
        preview = preview_path(self._output / name)
        return preview.name in self._previews or _stamp(preview) is not None

    def _look_at_outputs(self, masked: dict[str, FileStamp]) -> None:
        """Find the `masked` pictures whose files are unchanged since they were written, stems of records, and previews.

        If the folder cannot be read, nothing counts as present: the mask step then meets the problem and reports it.
        """
        try:
            with os.scandir(self._output) as entries:
                for entry in entries:
                    name = entry.name
                    if name.endswith(Sidecar.RECORD):
                        if not entry.is_symlink():
                            self._records.add(name.removesuffix(Sidecar.RECORD))
                    elif is_preview_name(name):
                        if not entry.is_symlink():
                            self._previews.add(name)
                    elif (written := masked.pop(name, None)) is not None and _stamp(entry) == written:
                        self._standing.add(name)
        except OSError:
            self._standing.clear()
            self._records.clear()
            self._previews.clear()
            return
        # Some shares list a name in another Unicode normal form than it was written in (NFD, not NFC).
        self._standing.update(name for name, written in masked.items() if _stamp(self._output / name) == written)


def _output_of(file: PictureFile, states: Mapping[str, PictureState]) -> FileStamp | None:
    """The stamp of the masked picture when it was written; None if none was made from this input file."""
    known = states.get(file.name)
    return known.output if known is not None and _was_masked(file, known) else None


def _was_masked(picture: PictureFile, known: PictureState) -> bool:
    """Whether it was masked from this input file."""
    return known.status == MASKED and known.source == picture.stamp


def _stamp(entry: os.DirEntry[str] | Path) -> FileStamp | None:
    """The stamp of a file; None if it is missing or a link."""
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    return None if stat.S_ISLNK(found.st_mode) else FileStamp.from_stat(found)
