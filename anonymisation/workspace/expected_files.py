"""Compare the files that the configuration expects of every picture with those that exist, by their names only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Final

from anonymisation.core.settings import Settings
from anonymisation.workspace.listing import join
from anonymisation.workspace.paths import Sidecar, is_picture_name

PICTURE: Final = "picture"
PREVIEW: Final = "preview"
SUFFIXES: Final[Mapping[str, tuple[str, ...]]] = {
    "json": (Sidecar.RECORD,),
    "webp": (Sidecar.MASK, Sidecar.LARGE_MASK),  # one of them: the size of the picture is not known here
    PREVIEW: ("_preview.jpg",),
}
KINDS: Final = (PICTURE, *SUFFIXES)


class FileStatus(StrEnum):
    """The status of one file: expected or not, present or not."""

    OK = "OK"
    MISSING = "Missing"
    LEFT = "Left"  # present, and the configuration says that it must be gone
    NONE = "None"  # not expected, and not present
    EXTRA = "Extra"  # not expected, but present, perhaps from another configuration


PROBLEMS: Final = frozenset((FileStatus.MISSING, FileStatus.LEFT))


@dataclass(frozen=True, slots=True)
class Place:
    """One kind of file in one share, such as the record in the output folder."""

    share: str
    kind: str

    def __str__(self) -> str:
        return f"{self.share} {self.kind}"


@dataclass(frozen=True, slots=True)
class Bases:
    """The base folders to compare; without `archive`, no archived files are expected. `previews`: compare them, too."""

    input: Path
    output: Path
    archive: Path | None = None
    previews: bool = False

    def roles(self) -> dict[str, Path]:
        """Each folder by its name in the table."""
        roles = {"input": self.input, "output": self.output}
        return roles if self.archive is None else {**roles, "archive": self.archive}

    def places(self) -> list[Place]:
        """Every place where a picture may have a file."""
        kinds = KINDS if self.previews else tuple(kind for kind in KINDS if kind != PREVIEW)
        return [Place(share, kind) for share in self.roles() for kind in kinds]


@dataclass(frozen=True, slots=True)
class PictureFiles:
    """The files of one picture; `picture` is its path below the base folders, with `/`."""

    picture: str
    statuses: Mapping[Place, FileStatus]

    @property
    def complete(self) -> bool:
        """Whether no file is missing and none is left that must be gone."""
        return not PROBLEMS.intersection(self.statuses.values())


def expected_places(settings: Settings, bases: Bases) -> dict[Place, bool]:
    """{place: True if the file must exist, False if it must not}; other places may hold a file or not.

    Nothing is expected next to a released original: its sidecars are removed with the last picture of the folder.
    """
    expected = {
        Place("input", PICTURE): not settings.delete_input,
        Place("output", PICTURE): settings.draw_mask,
        Place("archive", PICTURE): True,
        Place("output", "json"): settings.remote_json,
        Place("output", "webp"): settings.remote_mask,
        Place("archive", "json"): settings.archive_json,
        Place("archive", "webp"): settings.archive_mask,
        Place("output", PREVIEW): settings.remote_preview,
        Place("archive", PREVIEW): settings.archive_preview,
        Place("input", PREVIEW): settings.local_preview and not settings.delete_input,
        Place("input", "json"): settings.local_json and not settings.delete_input,
        Place("input", "webp"): settings.local_mask and not settings.delete_input,
    }
    # Only pictures must not exist: an unreleased original, or a picture in the output without draw_mask.
    pictures = {Place("input", PICTURE), Place("output", PICTURE)}
    shares = bases.roles()
    return {place: must for place, must in expected.items() if place.share in shares and (must or place in pictures)}


def compare_folder(
    bases: Bases, folder: str, names: Mapping[str, frozenset[str]], expected: Mapping[Place, bool] | None
) -> Iterator[PictureFiles]:
    """The files of every picture of one folder, sorted by name; without `expected`, only which files exist.

    Args:
        folder: the path below the base folders; "." for the base folders themselves.
        names: the names of all files in that folder, for each share by its role.
    """
    pictures = sorted({name for files in names.values() for name in files if is_picture_name(name)})
    for picture in pictures:
        stem = PurePosixPath(picture).stem
        wanted = {PICTURE: [picture]} | {kind: [stem + suffix for suffix in ends] for kind, ends in SUFFIXES.items()}
        statuses = {}
        for place in bases.places():
            there = not names.get(place.share, frozenset()).isdisjoint(wanted[place.kind])
            statuses[place] = _status(there, None if expected is None else expected.get(place), listed=expected is None)
        yield PictureFiles(join(folder, picture), statuses)


def _status(there: bool, must: bool | None, *, listed: bool) -> FileStatus:
    if must is True:
        return FileStatus.OK if there else FileStatus.MISSING
    if not there:
        return FileStatus.NONE
    if must is False:
        return FileStatus.LEFT
    return FileStatus.OK if listed else FileStatus.EXTRA
