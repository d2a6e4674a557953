"""Previews of pictures that are masked already: made from the masked pictures as they are, never from originals."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from anonymisation.chain.archive import refresh_copy
from anonymisation.core.errors import ConfigProblem, ConfigurationError, ImageError
from anonymisation.core.record_settings import PREVIEW_SWITCHES
from anonymisation.files.access import with_access
from anonymisation.files.plain import read_plain
from anonymisation.files.writer import write_one_by_one
from anonymisation.imaging.exif.provenance import read_provenance
from anonymisation.workspace.folder_state import MASKED, FolderState, PictureState, open_state
from anonymisation.workspace.paths import ImagePaths, preview_path
from anonymisation.workspace.previews import preview_digest, preview_files
from anonymisation.workspace.workspace import Workspace


@dataclass(slots=True)
class PreviewReport:
    """How many pictures of a folder got previews, had them already, or could not get them, and why."""

    folder: str
    made: int = 0
    already: int = 0
    failures: list[str] = field(default_factory=list)


def require_previews(workspace: Workspace) -> None:
    """Refuse settings that want no preview.

    Raises:
        ConfigurationError: none of the switches is on.
    """
    if not workspace.settings.has_previews:
        message = f"no preview is wanted; switch on one of {', '.join(PREVIEW_SWITCHES)}"
        raise ConfigurationError([ConfigProblem("configuration", PREVIEW_SWITCHES[0], message)])


def create_previews(workspace: Workspace, folder: str) -> PreviewReport:
    """Make the previews of the folder's masked pictures that lack one, or have another one.

    The folder is locked. Nothing is written next to an original that is not there any more.

    Raises:
        FolderLockedError: another run works on the folder.
        ShareUnavailableError: a share is away.
    """
    report = PreviewReport(folder)
    with open_state(workspace.shares.state, folder) as state:
        for name, known in sorted(state.pictures.items()):
            if known.status != MASKED:
                continue
            paths = workspace.picture(folder, name)
            try:
                if _create(workspace, paths, known, state):
                    report.made += 1
                else:
                    report.already += 1
            except (ImageError, FileNotFoundError) as error:
                report.failures.append(f"{paths.relative}: {_in_words(error)}")
    return report


def _create(workspace: Workspace, paths: ImagePaths, known: PictureState, state: FolderState) -> bool:
    """Write what is missing or different; returns whether there was anything.

    Raises:
        ImageError: the masked picture is not that of this original, or a file cannot be written.
        FileNotFoundError: there is no masked picture.
    """
    masked = with_access(workspace.settings, f"reading {paths.masked}", lambda: read_plain(paths.masked))
    provenance = read_provenance(masked)
    if provenance is None or provenance.source_sha256 != known.sha256:
        raise ImageError("the file in the output folder is not the masked picture of this original; mask it again")
    files = preview_files(workspace, paths, masked)
    wanted = [
        (place, data)
        for place, data in files
        if (place.parent != paths.original.parent or paths.original.exists()) and not _is_there(place, data)
    ]
    write_one_by_one(workspace.settings, wanted, workspace.make_folder)
    if (digest := preview_digest(files)) != known.preview_digest:
        state.put(replace(known, preview_digest=digest))
    if workspace.settings.archive_preview and paths.archived is not None and known.archived:
        refresh_copy(workspace, preview_path(paths.masked), preview_path(paths.archived))
    return bool(wanted)


def _is_there(place: Path, data: bytes) -> bool:
    try:
        return read_plain(place) == data
    except FileNotFoundError:
        return False


def _in_words(error: ImageError | FileNotFoundError) -> str:
    return "there is no masked picture" if isinstance(error, FileNotFoundError) else str(error)
