"""Files that are not read: pictures and videos of cameras in other formats than JPEG. They are counted and named.

Nothing masks them, so nothing copies, loads or removes them either. Files that belong to a delivery without being
pictures (records, tracks, logs, masks) are not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from anonymisation.core.text import encodable
from anonymisation.workspace.paths import PICTURE_SUFFIXES, Sidecar, is_preview_name, preview_path


def _suffixes(text: str) -> frozenset[str]:
    return frozenset(f".{name}" for name in text.split())


_PICTURES: Final = _suffixes(
    "webp jpe jif jfif jfi mpo jps pns insp jp2 j2k jpx jxl jxr wdp png apng tif tiff bmp gif heic heif hif avif thm"
)
_RAW: Final = _suffixes(
    "dng raw cr2 cr3 crw nef nrw arw srf sr2 srw orf ori rw2 rwl raf pef ptx x3f 3fr fff iiq mos mef mrw kdc dcr erf "
    "gpr pgr"
)
_VIDEOS: Final = _suffixes(
    "mp4 m4v mov qt avi mkv webm mts m2ts m2t ts mod tod mpg mpeg mpe m2v vob wmv asf flv 3gp 3g2 ogv mxf dv h264 h265 "
    "hevc 264 265 mjpg mjpeg insv lrv 360 osv braw r3d crm"
)
UNREAD_SUFFIXES: Final = _PICTURES | _RAW | _VIDEOS
"""What cameras of cars, action cameras, phones and drones write."""
READ: Final = " and ".join(PICTURE_SUFFIXES)
"""The suffixes that are read, for messages."""
MAX_NAMED: Final = 10  # files of a folder that are named; their number is exact
MAX_FOLDERS: Final = 100  # folders that are listed; their number is exact


def is_unread_name(name: str) -> bool:
    """Whether a file with this name counts as a picture, preview or video that is not read (in any case, not hidden).

    A mask of this program has such a name as well: whether it is one depends on the pictures of its folder.
    """
    dot = name.rfind(".")
    return dot > 0 and not name.startswith(".") and (name[dot:].lower() in UNREAD_SUFFIXES or is_preview_name(name))


@dataclass(frozen=True, slots=True)
class UnreadFiles:
    """The files of one folder that are not read: how many, and the names of the first ones, sorted."""

    folder: str
    number: int
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.names) <= self.number:
            raise ValueError(f"{self.folder}: expected at most {self.number} names, got {len(self.names)}")

    def __str__(self) -> str:
        more = self.number - len(self.names)
        rest = f" and {more} more" if more else ""
        return f"{self.folder}: {files(self.number)}: {', '.join(self.names)}{rest}"

    @classmethod
    def of(
        cls, folder: str, names: Iterable[str], pictures: Iterable[str], *, local_previews: bool = False
    ) -> UnreadFiles | None:
        """Those of a folder's files that are not read, and are no masks of its `pictures`; None if there are none.

        With `local_previews`, their previews are no such files either: the mask step writes them there.
        """
        suspects = [name for name in names if is_unread_name(name)]
        known = [Path(picture) for picture in pictures] if suspects else []
        own = {kind.of(picture).name for picture in known for kind in Sidecar}
        own.update(preview_path(picture).name for picture in known if local_previews)
        found = sorted(set(suspects) - own)
        return cls(folder, len(found), tuple(encodable(name) for name in found[:MAX_NAMED])) if found else None


@dataclass(frozen=True, slots=True)
class NotRead:
    """All files that were not read: the first folders with such files, and the numbers of all files and folders."""

    listed: tuple[UnreadFiles, ...] = ()
    files: int = 0
    folders: int = 0

    def __bool__(self) -> bool:
        return self.files > 0

    @classmethod
    def of(cls, found: Iterable[UnreadFiles]) -> Self:
        """Add up the folders."""
        every = tuple(found)
        return cls(every[:MAX_FOLDERS], sum(item.number for item in every), len(every))

    def lines(self) -> list[str]:
        """One line for each listed folder."""
        return [str(item) for item in self.listed]

    @property
    def more(self) -> int:
        """Folders that are not listed."""
        return self.folders - len(self.listed)

    @property
    def phrase(self) -> str:
        """The number as part of a sentence: "3 files that are not read"."""
        return f"{files(self.files)} that {'is' if self.files == 1 else 'are'} not read"

    @property
    def title(self) -> str:
        """The heading of the list."""
        previews = any(is_preview_name(name) for item in self.listed for name in item.names)
        return f"{self.phrase} (only {READ} are{', and no previews' if previews else ''})"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        listed = [{"folder": item.folder, "number": item.number, "names": list(item.names)} for item in self.listed]
        return {"listed": listed, "files": self.files, "folders": self.folders}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `to_dict` was called on; nothing for the values of an older version, which lack it."""
        listed = tuple(
            UnreadFiles(item["folder"], item["number"], tuple(item["names"])) for item in values.get("listed", ())
        )
        return cls(listed, values.get("files", 0), values.get("folders", 0))


NOTHING_UNREAD: Final = NotRead()


def files(number: int) -> str:
    """The number with its noun."""
    return "1 file" if number == 1 else f"{number} files"
