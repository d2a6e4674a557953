"""Paths: the five base folders of a run, and every file derived from one picture."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import Final

from anonymisation.core.errors import ConfigProblem
from anonymisation.core.settings import Settings
from anonymisation.files.digests import name_digest
from anonymisation.imaging.mask_file import needs_png
from anonymisation.metadata.path_fallback import below_top_dir

PICTURE_SUFFIXES: Final = (".jpg", ".jpeg")
# Holds originals while they are released, next to where they were; see `set_aside`.
RELEASING_FOLDER: Final = ".releasing"
MAX_NAME_BYTES: Final = 255  # NAME_MAX of Linux, and of every share that Linux mounts
PixelSize = tuple[int, int]
"""(width, height) of a picture, in pixels."""
USUAL_SIZE: Final[PixelSize] = (1, 1)
"""Stands for the size of every picture whose mask is a WebP file."""
_NOTE: Final = "_error.txt"
_FAILED_RECORD: Final = "_exif_error.json"
_NO_ARCHIVE: Final = "needs an archive folder (-a, or ANONYMISATION_ARCHIVE)"


class Sidecar(StrEnum):
    """A file made from a picture, named as the picture with this suffix in place of its own."""

    RECORD = ".json"
    MASK = ".webp"
    LARGE_MASK = ".mask.png"
    """The mask of a picture that is too large for WebP. Not `.png`: a camera may have put such a picture there."""

    def of(self, picture: Path) -> Path:
        """The sidecar of the picture at that path, or of one that differs in its suffix alone."""
        return picture.with_suffix(self)

    @classmethod
    def mask_for(cls, size: PixelSize) -> Sidecar:
        """The kind of mask file of a picture of that size."""
        return cls.LARGE_MASK if needs_png(*size) else cls.MASK


PREVIEW_MARK: Final = "preview"
"""In the name of every preview. The original's 2022 version takes no file for a picture that has it in its name."""
_PREVIEW: Final = "_preview.jpg"


def is_picture_name(name: str) -> bool:
    """Whether a file with this name counts as a picture (.jpg or .jpeg in any case, neither hidden nor a preview)."""
    return name.lower().endswith(PICTURE_SUFFIXES) and not name.startswith(".") and PREVIEW_MARK not in name


def is_preview_name(name: str) -> bool:
    """Whether a file with this name counts as a preview: a picture but for its mark."""
    return PREVIEW_MARK in name and name.lower().endswith(PICTURE_SUFFIXES) and not name.startswith(".")


def preview_path(picture: Path) -> Path:
    """The preview next to the picture at that path."""
    return picture.with_name(f"{stem_of(picture.name)}{_PREVIEW}")


@dataclass(frozen=True, slots=True)
class Shares:
    """The base folders of a run, all absolute; `archive` is None if originals are not archived.

    `previews` is the folder of previews apart from the others, None if there is none.

    The error folder and its subfolders are created with the permissions `error_mode`. With `picture`, only the picture
    with this name is taken from the input folder; other folders may then lie in the input folder.
    """

    input: Path
    output: Path
    archive: Path | None
    errors: Path
    state: Path
    error_mode: int = 0o700
    previews: Path | None = None
    picture: str = ""

    @classmethod
    def resolve(
        cls,
        input_dir: Path,
        output_dir: Path,
        archive_dir: Path | None,
        values: Mapping[str, object],
        picture: str = "",
    ) -> Shares:
        """Absolute folders from arguments and setting values; call `problems` on the result before using it."""
        output = _absolute(output_dir)
        return cls(
            input=_absolute(input_dir),
            output=output,
            archive=None if archive_dir is None else _absolute(archive_dir),
            errors=_configured(values["error_output_dir"], output, "_error"),
            state=_configured(values["state_dir"], output, "_state"),
            previews=_absolute(Path(str(previews))) if (previews := values.get("separate_preview_directory")) else None,
            picture=picture,
        )

    def roles(self) -> Iterator[tuple[str, Path]]:
        """Each folder with its name in messages."""
        yield "input", self.input
        yield "output", self.output
        if self.archive is not None:
            yield "archive", self.archive
        yield "error", self.errors
        yield "state", self.state
        if self.previews is not None:
            yield "preview", self.previews

    def problems(self, values: Mapping[str, object], sources: Mapping[str, str]) -> list[ConfigProblem]:
        """Equal or nested folders (also through links), and settings that need a missing archive folder.

        `sources` holds the source of each key's value.
        """
        problems = []
        real = [(role, path, Path(path).resolve()) for role, path in self.roles()]
        for (role, path, first), (other_role, other_path, second) in combinations(real, 2):
            within_input = role == "input" and bool(self.picture) and first in second.parents
            if not within_input and (first == second or first in second.parents or second in first.parents):
                message = f"{path} and the {other_role} folder {other_path} must not be equal or nested"
                problems.append(ConfigProblem("folders", f"{role} folder", message))
        if self.archive is None:
            needy = ("delete_input", "archive_json", "archive_mask", "archive_preview")
            asked = [key for key in needy if values.get(key) is True]
            problems += [ConfigProblem(sources[key], key, _NO_ARCHIVE) for key in asked]
        return problems


@dataclass(frozen=True, slots=True)
class ImagePaths:
    """Every file of one picture: `folder` is the path below the input folder, `name` the picture's file name."""

    shares: Shares
    folder: PurePosixPath
    name: str

    @property
    def relative(self) -> str:
        """The picture's path below the input folder, with `/`."""
        return str(self.folder / self.name)

    @property
    def original(self) -> Path:
        return self.shares.input / self.folder / self.name

    @property
    def set_aside(self) -> Path:
        """Where the original is while it is released."""
        return self.original.parent / RELEASING_FOLDER / self.name

    @property
    def masked(self) -> Path:
        return self.shares.output / self.folder / self.name

    @property
    def archived(self) -> Path | None:
        return None if self.shares.archive is None else self.shares.archive / self.folder / self.name

    @property
    def failed_copy(self) -> Path:
        return self.shares.errors / self.folder / self.name

    @property
    def failure_note(self) -> Path:
        """The file with the reason next to the copy of a picture that failed; shorter for a very long name."""
        return self._next_to_failure(_NOTE)

    @property
    def failed_record(self) -> Path:
        """The file with the record that lacks what the table needs, next to the copy of its picture."""
        return self._next_to_failure(_FAILED_RECORD)

    def _next_to_failure(self, ending: str) -> Path:
        name = f"{PurePosixPath(self.name).stem}{ending}"
        if name_bytes(name) > MAX_NAME_BYTES:
            digest = name_digest(self.name)
            kept = os.fsencode(name)[: MAX_NAME_BYTES - len(digest) - len(ending) - 1].decode("utf-8", "ignore")
            name = f"{kept}-{digest}{ending}"
        return self.failed_copy.with_name(name)

    def masks(self, settings: Settings, size: PixelSize = USUAL_SIZE) -> list[Path]:
        """The paths where the settings want the mask of a picture of that size, without the archive copy."""
        return self._sidecars(Sidecar.mask_for(size), local=settings.local_mask, remote=settings.remote_mask)

    def records(self, settings: Settings) -> list[Path]:
        """The paths where the settings want the record (.json), without the archive copy."""
        return self._sidecars(Sidecar.RECORD, local=settings.local_json, remote=settings.remote_json)

    def previews(self, settings: Settings) -> list[Path]:
        """The paths where the settings want the preview of the masked picture, without the archive copy."""
        places = [(self.original, settings.local_preview), (self.masked, settings.remote_preview)]
        if self.shares.previews is not None:
            places.append((self.shares.previews / self._below(settings.exif_top_dir) / self.name, True))
        return [preview_path(path) for path, wanted in places if wanted]

    def archive_copies(self, settings: Settings, size: PixelSize = USUAL_SIZE) -> list[tuple[Path, Path]]:
        """The derived files that go to the archive, as (source in the output folder, target)."""
        if self.archived is None:
            return []
        wanted = [(Sidecar.RECORD, settings.archive_json), (Sidecar.mask_for(size), settings.archive_mask)]
        copies = [(sidecar.of(self.masked), sidecar.of(self.archived)) for sidecar, on in wanted if on]
        if settings.archive_preview:
            copies.append((preview_path(self.masked), preview_path(self.archived)))
        return copies

    def local_files(self, settings: Settings, size: PixelSize = USUAL_SIZE) -> list[Path]:
        """The derived files that the settings want next to the original."""
        wanted = [(Sidecar.RECORD, settings.local_json), (Sidecar.mask_for(size), settings.local_mask)]
        files = [sidecar.of(self.original) for sidecar, on in wanted if on]
        return [*files, preview_path(self.original)] if settings.local_preview else files

    def published_files(self, settings: Settings, size: PixelSize = USUAL_SIZE) -> list[Path]:
        """The derived files that the settings want in the output folder, and previews apart from the others."""
        wanted = [(Sidecar.RECORD, settings.remote_json), (Sidecar.mask_for(size), settings.remote_mask)]
        files = [sidecar.of(self.masked) for sidecar, on in wanted if on]
        local = preview_path(self.original)
        return [*files, *(path for path in self.previews(settings) if path != local)]

    def _below(self, top: str) -> PurePosixPath:
        """The part of the folder's whole path below the first folder `top`, as in `mappenavn`; without such a folder,
        the path below the input folder.
        """
        below = below_top_dir(self.original, top)
        return self.folder if below is None else PurePosixPath(*below)

    def _sidecars(self, sidecar: Sidecar, *, local: bool, remote: bool) -> list[Path]:
        places = [(self.original, local), (self.masked, remote)]
        return [sidecar.of(path) for path, wanted in places if wanted]


def _absolute(path: Path) -> Path:
    # Not resolve(): messages show the path that the user typed.
    return Path(path).expanduser().absolute()


def _configured(setting: object, output: Path, suffix: str) -> Path:
    return _absolute(Path(str(setting))) if setting else output.with_name(output.name + suffix)


def name_bytes(name: str) -> int:
    """The length of a file name as file systems count it."""
    return len(os.fsencode(name))


def stem_of(name: str) -> str:
    """The name without its suffix, as `PurePath.stem`, in a tenth of the time."""
    dot = name.rfind(".")
    return name[:dot] if 0 < dot < len(name) - 1 else name
