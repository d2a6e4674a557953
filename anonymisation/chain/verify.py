"""Checks of files on the shares: masked pictures, masks, records and archive copies.

Each function returns None if the file is fine, otherwise a problem that completes the sentence "the file …".
`expected_of` asks all of them for one picture: the check reports every problem, the release step stops at the first.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from anonymisation.core.errors import ImageError
from anonymisation.core.settings import JPEG_SIDE, Settings
from anonymisation.files.digests import is_short_digest, short_digest
from anonymisation.files.plain import open_plain, read_plain, sha256_of_plain
from anonymisation.imaging.exif.read import read_provenance
from anonymisation.imaging.jpeg.codec import jpeg_size, sound_size
from anonymisation.imaging.mask_file import decode_mask
from anonymisation.metadata.forms.known import differing_keys
from anonymisation.metadata.record import record_from_json
from anonymisation.workspace.folder_state import FileStamp, FolderState, PictureState
from anonymisation.workspace.paths import ImagePaths, Sidecar, is_preview_name

_REMEDY: Final = "make it with create-previews"
_DIFFERS: Final = "differs from the original that was masked"


@dataclass(frozen=True, slots=True)
class Expected:
    """A file or a row that the settings want of a masked picture.

    `place` names it in the check's report, `subject` in a sentence with its `problem` (None: there is none).
    """

    place: str
    subject: str
    problem: str | None


def expected_of(
    paths: ImagePaths, known: PictureState, settings: Settings, state: FolderState, *, in_input: bool, has_row: bool
) -> Iterator[Expected]:
    """Every file and row that the settings want of a masked picture; those next to the original only if `in_input`.

    The state remembers a masked picture that is found sound, so that it need not be decoded again.
    """
    wants_record = settings.local_json or settings.remote_json or settings.archive_json
    own = _identifier(state, known.name) if wants_record else None
    if settings.draw_mask:
        problem = _remembered_problem(paths.masked, known, state)
        yield Expected("output", f"the masked picture {paths.masked}", problem)
    if paths.archived is not None and (in_input or not known.retired):  # an original that came back is archived again
        yield Expected("archive", f"the archive copy {paths.archived}", copy_problem(paths.archived, known.sha256))
    size = known.width, known.height
    copies = [target for _, target in paths.archive_copies(settings, size)]
    local = paths.local_files(settings, size) if in_input else []
    for path in (*local, *paths.published_files(settings, size), *copies):
        yield Expected(str(path), str(path), derived_problem(path, known, own))
    if settings.write_exif_to_db:
        yield Expected("database", "it", None if has_row else f"has no row in {settings.db_table}")


def _identifier(state: FolderState, name: str) -> str | None:
    record = state.record(name)
    return None if record is None else record.get("bildeid")


def _remembered_problem(path: Path, known: PictureState, state: FolderState) -> str | None:
    """As `masked_picture_problem`, which is asked only of a file that was not found sound before."""
    try:
        data = read_plain(path)
    except OSError as error:
        return _unreadable(error)
    digest = short_digest(data)
    if digest == known.sound_digest:
        return None  # decoding takes five times as long
    problem = masked_picture_problem(data, known)
    if problem is None:
        state.put(replace(state.pictures[known.name], sound_digest=digest))
    return problem


def masked_picture_problem(data: bytes, known: PictureState) -> str | None:
    """A masked picture must decode, have the original's size, and hold the original's checksum in its EXIF."""
    try:
        width, height = jpeg_size(data, max_pixels=JPEG_SIDE**2)
        if (width, height) == (known.width, known.height):
            sound_size(data, max_pixels=width * height)  # not the setting, which may be lower now
    except ImageError as error:
        return f"does not decode: {error}"
    if (width, height) != (known.width, known.height):
        return f"is {width}x{height}, the original {known.width}x{known.height}"
    provenance = read_provenance(data)
    if provenance is None:
        return "does not say which original it was made from"
    if provenance.source_sha256 != known.sha256:
        return "was made from a different original"
    return None


def mask_problem(path: Path, known: PictureState) -> str | None:
    """A mask must be the file that was written, or at least decode and have the picture's size."""
    try:
        data = read_plain(path)
        if is_short_digest(known.mask_digest, data):
            return None  # decoding it takes longer than masking the picture
        height, width = decode_mask(data, max_pixels=known.width * known.height).shape
    except OSError as error:
        return _unreadable(error)
    except (ImageError, ValueError) as error:
        return f"does not decode: {error}"
    if (width, height) != (known.width, known.height):
        return f"is {width}x{height}, the picture {known.width}x{known.height}"
    return None


def record_problem(path: Path, own: str | None = None) -> str | None:
    """A record must be JSON with exactly the keys of a form, in any order, and have the ID `own` if that is known."""
    try:
        record = record_from_json(read_plain(path))
    except OSError as error:
        return _unreadable(error)
    except (ImageError, ValueError) as error:
        return f"is not a record: {error}"
    if different := differing_keys(record):
        return f"does not have the keys of a record: {', '.join(sorted(different))}"
    if own is not None and record["bildeid"] != own:
        return f"is the record of another picture: its ID is {record['bildeid']}, expected {own}"
    return None


def derived_problem(path: Path, known: PictureState, own: str | None = None) -> str | None:
    """The problem of a record (.json), which must have the ID `own`, of a preview, or of a mask."""
    if is_preview_name(path.name):
        return preview_problem(path, known)
    return record_problem(path, own) if path.suffix == Sidecar.RECORD else mask_problem(path, known)


def preview_problem(path: Path, known: PictureState) -> str | None:
    """A preview must be the file that was made last: another may show what is hidden on the masked picture.

    Where that is not known, it must decode and be no larger than the picture, whatever its orientation.
    """
    try:
        data = read_plain(path)
        if is_short_digest(known.preview_digest, data):
            return None
        size = jpeg_size(data, max_pixels=known.width * known.height)
        sound_size(data, max_pixels=known.width * known.height)
    except OSError as error:
        return f"{_unreadable(error)}; {_REMEDY}"
    except ImageError as error:
        return f"does not decode: {error}; {_REMEDY}"
    if max(size) > max(known.width, known.height):
        return f"is {size[0]}x{size[1]}, larger than its picture; {_REMEDY}"
    return f"is not the preview of the masked picture; {_REMEDY}" if known.preview_digest else None


def missing_problem(path: Path) -> str:
    """The problem of a derived file that is not there, with what makes it."""
    return f"is missing; {_REMEDY}" if is_preview_name(path.name) else "is missing"


def original_problem(path: Path, known: PictureState) -> str | None:
    """An original must have the size and time of the file that was masked, or at least its checksum."""
    try:
        if FileStamp.of(path) == known.source:
            return None
    except OSError as error:
        return _unreadable(error)
    return copy_problem(path, known.sha256)


def copy_problem(path: Path, sha256: str) -> str | None:
    """A copy must have the original's checksum."""
    try:
        found = sha256_of_plain(path)
    except OSError as error:
        return _unreadable(error)
    return None if found == sha256 else _DIFFERS


def quiet_copy_problem(path: Path, sha256: str) -> str | None:
    """As `copy_problem`, of a file that is removed next: nobody may write to it while it is read."""
    try:
        with open_plain(path) as stream:
            before = os.fstat(stream.fileno())
            found = hashlib.file_digest(stream, "sha256").hexdigest()
            after = os.fstat(stream.fileno())
    except OSError as error:
        return _unreadable(error)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        return "is being written"
    return None if found == sha256 else _DIFFERS


def _unreadable(error: OSError) -> str:
    return "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
