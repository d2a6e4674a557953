"""The archive step: copy originals, and the files that the settings add, to the archive and verify checksums."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from anonymisation.chain.verify import missing_problem
from anonymisation.core.concurrency import executor, in_flight
from anonymisation.core.errors import ArchiveConflictError, ImageError
from anonymisation.files.access import with_access
from anonymisation.files.atomic import copy_atomically
from anonymisation.files.folders import flush_folder
from anonymisation.files.names import rename_new
from anonymisation.files.plain import is_there, sha256_of_plain
from anonymisation.reporting.partial import keeping
from anonymisation.reporting.step_reports import MAX_LISTED, ArchiveReport, Failure
from anonymisation.workspace.folder_state import PictureState, open_state
from anonymisation.workspace.listing import list_pictures, masked_pictures, require_delivered
from anonymisation.workspace.paths import ImagePaths
from anonymisation.workspace.shards import WHOLE, Shard
from anonymisation.workspace.workspace import Workspace

T = TypeVar("T")


def archive_folder(workspace: Workspace, folder: str, shard: Shard = WHOLE) -> ArchiveReport:
    """Archive the original of every masked picture of `folder` (or of its `shard`) that is still in the input.

    A picture that cannot be copied, or whose name belongs to a different file, is a failure in the report.

    Raises:
        FolderLockedError: another run works on the folder.
        ShareUnavailableError: a share cannot be reached.
    """
    if workspace.shares.archive is None:
        return ArchiveReport(folder)
    archived = already = size = 0
    failures: list[Failure] = []

    def so_far() -> ArchiveReport:
        return ArchiveReport(folder, archived, already, len(failures), size, tuple(failures[:MAX_LISTED]))

    threads = workspace.settings.threads
    with keeping(so_far):
        workspace.require_shares()
        workspace.require_apart(folder)
        with open_state(workspace.shares.state, folder, shard) as state, executor(threads) as pool:
            require_delivered(workspace.settings, workspace.shares, folder)
            files = list_pictures(workspace.shares.input / folder, shard)
            begun = (
                (file, known, pool.submit(_archive_picture, workspace, workspace.picture(folder, file.name), known))
                for file, known in masked_pictures(files, state.pictures)
            )
            for file, known, future in in_flight(begun, 2 * threads):
                try:
                    copied = future.result()
                except (ImageError, ArchiveConflictError) as error:
                    failures.append(Failure(workspace.picture(folder, file.name).relative, str(error)))
                    continue
                archived += copied
                already += not copied
                size += file.stamp.size if copied else 0
                if not known.archived or known.retired:
                    state.put(replace(known, archived=True, retired=""))
    return so_far()


def _archive_picture(workspace: Workspace, paths: ImagePaths, known: PictureState) -> bool:
    """Archive one picture: True if the original was copied, False if an equal copy was there already."""
    target = paths.archived
    if target is None:
        return False
    copied = _ensure_copy(workspace, paths.original, target, known.sha256)
    for source, companion in paths.archive_copies(workspace.settings, (known.width, known.height)):
        refresh_copy(workspace, source, companion)
    return copied


def _ensure_copy(workspace: Workspace, source: Path, target: Path, sha256: str) -> bool:
    """Copy `source` unless `target` already has this checksum. A copy is read back before it is renamed to `target`.

    Raises:
        ArchiveConflictError: `target` is a different file.
        ImageError: `source` has changed since it was masked, or it cannot be copied.
    """

    def put(part: Path, place: Path, copied: str) -> None:
        if copied != sha256:
            raise ImageError(f"{source} has changed since it was masked; the next run masks it again")
        _read_back(part, place, sha256)
        rename_new(part, place)

    def copy() -> bool:
        if is_there(target):
            if sha256_of_plain(target) == sha256:
                flush_folder(target.parent)  # an earlier attempt may have ended right after the rename
                return False
            raise _conflict(target)
        try:
            copy_atomically(source, target, put=put, make=workspace.make_folder)
        except FileExistsError:  # another process put its copy there meanwhile
            if sha256_of_plain(target) == sha256:
                return False
            raise _conflict(target) from None
        return True

    return _with_archive(workspace, source, target, copy)


def _conflict(target: Path) -> ArchiveConflictError:
    return ArchiveConflictError(
        f"the archive holds a different picture as {target}; it is not overwritten: move one of the two away"
    )


def refresh_copy(workspace: Workspace, source: Path, target: Path) -> None:
    """Copy a derived file (record, mask, preview) to the archive; a different one there is replaced.

    Raises:
        ImageError: it is missing, or cannot be copied.
        ShareUnavailableError: the archive share is away.
    """

    def put(part: Path, place: Path, copied: str) -> None:
        _read_back(part, place, copied)
        part.replace(place)

    def copy() -> None:
        if not is_there(source):
            raise ImageError(f"{source}: {missing_problem(source)}")
        if not is_there(target) or sha256_of_plain(target) != sha256_of_plain(source):
            copy_atomically(source, target, put=put, make=workspace.make_folder)

    _with_archive(workspace, source, target, copy)


def _read_back(part: Path, target: Path, sha256: str) -> None:
    if sha256_of_plain(part) != sha256:
        raise ImageError(f"the copy for {target} does not read back as written; check the archive share")


def _with_archive(workspace: Workspace, source: Path, target: Path, action: Callable[[], T]) -> T:
    """Run `action`. Wait if the share cannot be reached; any other OSError is a failure of this picture."""
    try:
        return with_access(workspace.settings, f"archiving {source}", action)
    except OSError as error:
        raise ImageError(f"{source} cannot be archived as {target}: {error.strerror}") from error
