"""The release step: remove originals from the input folder, each after all files made from it are verified."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from anonymisation.chain.load import rows_present
from anonymisation.chain.verify import copy_problem, derived_problems, masked_picture_problem
from anonymisation.reporting.step_reports import MAX_LISTED, Failure, ReleaseReport
from anonymisation.workspace.folder_state import FolderState, PictureState, open_state, read_pictures
from anonymisation.workspace.listing import PictureFile, list_named, list_pictures, masked_pictures
from anonymisation.workspace.paths import ImagePaths
from anonymisation.workspace.shards import WHOLE, Shard
from anonymisation.workspace.workspace import Workspace


def release_folder(workspace: Workspace, folder: str, shard: Shard = WHOLE) -> ReleaseReport:
    """With `delete_input`, verify and remove the originals of `folder` (or of its `shard`).

    An original is removed if its archive copy, masked picture and record are verified. Pictures that failed stay. After
    the last picture of the folder, in whichever shard, its sidecars, the marker file and empty folders are removed too,
    but never the base input folder.

    Raises:
        FolderLockedError: another run works on the folder.
        ShareUnavailableError: a share cannot be reached.
        DatabaseUnavailableError: `write_exif_to_db` is on, and the database cannot be reached.
    """
    files = list_pictures(workspace.shares.input / folder, shard)
    if not workspace.settings.delete_input:
        return ReleaseReport(folder, kept=len(files))
    workspace.require_shares()
    workspace.require_apart(folder)
    failures: list[Failure] = []
    released = 0
    with open_state(workspace.shares.state, folder, shard, tidy=lambda: workspace.remove_leftovers(folder)) as state:
        candidates = masked_pictures(files, state.pictures)
        in_database = _with_row(workspace, state, candidates)
        for file, known in candidates:
            paths = workspace.picture(folder, file.name)
            problem = _obstacle(workspace, paths, known, has_row=file.name in in_database)
            if problem is None:
                # Recorded first: after a kill in between, its sidecars must still be known as ours.
                state.put(replace(known, released=True))
                problem = _remove(paths.original)
            if problem is not None:
                failures.append(Failure(paths.relative, f"not released: {problem}"))
                continue
            released += 1
        removed = _remove_emptied(workspace, folder)
    kept = len(files) - released
    return ReleaseReport(folder, released, kept, len(failures), removed, tuple(failures[:MAX_LISTED]))


def sidecars(workspace: Workspace, folder: str, pictures: Mapping[str, PictureState]) -> Iterator[Path]:
    """The marker file, and the derived files that this program wrote next to released originals."""
    settings = workspace.settings
    if settings.capture_marker_file:
        yield workspace.shares.input / folder / settings.capture_marker_file
    for name, known in pictures.items():
        if known.released:
            yield from workspace.picture(folder, name).local_files(settings)


def _remove(original: Path) -> str | None:
    """Remove a verified original; returns None, or the reason why it stays."""
    try:
        original.unlink(missing_ok=True)
    except OSError as error:
        return f"it cannot be removed: {error.strerror}"
    return None


def _with_row(
    workspace: Workspace, state: FolderState, candidates: list[tuple[PictureFile, PictureState]]
) -> frozenset[str]:
    """The names of the candidates that have a row in the database; empty without `write_exif_to_db`."""
    if not workspace.settings.write_exif_to_db:
        return frozenset()
    return rows_present(workspace, state, [file.name for file, _ in candidates])


def _obstacle(workspace: Workspace, paths: ImagePaths, known: PictureState, *, has_row: bool) -> str | None:
    """Why the original must stay, or None. Reads the archive copy, the masked picture and the record again."""
    settings = workspace.settings
    if paths.archived is None:
        return "there is no archive folder"
    if problem := copy_problem(paths.original, known.sha256):
        return f"the original {problem}"
    if problem := copy_problem(paths.archived, known.sha256):
        return f"the archive copy {paths.archived} {problem}"
    if problem := masked_picture_problem(paths.masked, known):
        return f"the masked picture {paths.masked} {problem}"
    for path, problem in derived_problems(paths, known, settings):
        if problem is not None:
            return f"{path} {problem}"
    if settings.write_exif_to_db and not has_row:
        return "its row is not in the database"
    if has_row:
        return None
    if not settings.remote_json:
        return "its record is neither on a share nor in a database (see remote_json and write_exif_to_db)"
    return None


def _remove_emptied(workspace: Workspace, folder: str) -> bool:
    """Remove the sidecars of a folder without pictures (or entries named like one), then the folders that are empty.

    Several shards may do this at the same time, so files that are already gone are no error. Returns whether the folder
    is gone.
    """
    base = workspace.shares.input
    place = base / folder
    if any(list_named(place)) or not place.is_dir():
        return False
    settings = workspace.settings
    # The states of all shards; only needed if derived files were written next to originals.
    known = read_pictures(workspace.shares.state, folder) if settings.local_json or settings.local_mask else {}
    for path in sidecars(workspace, folder, known):
        with suppress(OSError):  # a file that cannot be removed only keeps the folder
            path.unlink(missing_ok=True)
    for path in (place, *place.parents):
        if base in path.parents:
            with suppress(OSError):  # not empty: foreign files are not ours to remove
                path.rmdir()
    return not place.exists()
