"""Checks of files on the shares: masked pictures, masks, records and archive copies.

Each function returns None if the file is fine, otherwise a problem that completes the sentence "the file …".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from anonymisation.core.errors import ImageError
from anonymisation.core.settings import Settings
from anonymisation.files.plain import read_plain, sha256_of_plain
from anonymisation.imaging.exif.read import read_provenance
from anonymisation.imaging.jpeg.codec import sound_size
from anonymisation.imaging.mask_file import decode_mask, mask_digest
from anonymisation.metadata.record import RECORD_KEYS, record_from_json
from anonymisation.workspace.folder_state import PictureState
from anonymisation.workspace.paths import ImagePaths, Sidecar


def masked_picture_problem(path: Path, known: PictureState) -> str | None:
    """A masked picture must decode, have the original's size, and hold the original's checksum in its EXIF."""
    try:
        data = read_plain(path)
        width, height = sound_size(data)
    except OSError as error:
        return _unreadable(error)
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
        if known.mask_digest and mask_digest(data) == known.mask_digest:
            return None  # decoding it takes longer than masking the picture
        height, width = decode_mask(data).shape
    except OSError as error:
        return _unreadable(error)
    except (ImageError, ValueError) as error:
        return f"does not decode: {error}"
    if (width, height) != (known.width, known.height):
        return f"is {width}x{height}, the picture {known.width}x{known.height}"
    return None


def record_problem(path: Path) -> str | None:
    """A record must be JSON with exactly the keys of a record, in any order."""
    try:
        record = record_from_json(read_plain(path))
    except OSError as error:
        return _unreadable(error)
    except (ImageError, ValueError) as error:
        return f"is not a record: {error}"
    if different := set(record) ^ set(RECORD_KEYS):
        return f"does not have the keys of a record: {', '.join(sorted(different))}"
    return None


def derived_problem(path: Path, known: PictureState) -> str | None:
    """The problem of a record (.json) or a mask (.webp)."""
    return record_problem(path) if path.suffix == Sidecar.RECORD else mask_problem(path, known)


def derived_problems(paths: ImagePaths, known: PictureState, settings: Settings) -> Iterator[tuple[Path, str | None]]:
    """Each record and mask that the settings want on the output and archive shares, with its problem."""
    for path in (*paths.published_files(settings), *(target for _, target in paths.archive_copies(settings))):
        yield path, derived_problem(path, known)


def copy_problem(path: Path, sha256: str) -> str | None:
    """A copy must have the original's checksum."""
    try:
        found = sha256_of_plain(path)
    except OSError as error:
        return _unreadable(error)
    return None if found == sha256 else "differs from the original that was masked"


def _unreadable(error: OSError) -> str:
    return "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
