"""The release step: remove originals from the input folder, each after all files made from it are verified.

What is removed is the very file that was verified, and not its name: see `workspace.set_aside`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from contextlib import suppress
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from anonymisation.chain.load import rows_present
from anonymisation.chain.shared_ids import names_on_other_rows
from anonymisation.chain.verify import derived_problem, expected_of, original_problem, quiet_copy_problem
from anonymisation.core.errors import ShareUnavailableError
from anonymisation.database.loading.limits import Collision
from anonymisation.files.folders import flush_folder
from anonymisation.files.plain import is_there, sha256_of_plain
from anonymisation.reporting.partial import keeping
from anonymisation.reporting.step_reports import MAX_LISTED, Failure, ReleaseReport
from anonymisation.workspace.folder_state import MASKED, FolderState, PictureState, open_state, read_pictures
from anonymisation.workspace.listing import list_named, list_pictures, masked_pictures, require_delivered
from anonymisation.workspace.paths import ImagePaths, is_picture_name
from anonymisation.workspace.roots import require_marked
from anonymisation.workspace.set_aside import put_back, put_back_all, remove_if_empty, set_aside
from anonymisation.workspace.shards import WHOLE, Shard
from anonymisation.workspace.workspace import Workspace


def release_folder(workspace: Workspace, folder: str, shard: Shard = WHOLE) -> ReleaseReport:
    """With `delete_input`, verify and remove the originals of `folder` (or of its `shard`).

    An original is removed if everything that the check expects of its picture is verified, and its own record is on a
    share or in the database. Pictures that failed stay. After the last picture of the folder, in whichever shard, its
    sidecars, the marker file and empty folders are removed too, but never the base input folder.

    Raises:
        FolderLockedError: another run works on the folder.
        ShareUnavailableError: a share cannot be reached.
        DatabaseUnavailableError: `write_exif_to_db` is on, and the database cannot be reached.
    """
    workspace.require_shares()
    place = workspace.shares.input / folder
    if not workspace.settings.delete_input:
        return ReleaseReport(folder, kept=len(list_pictures(place, shard)))
    workspace.require_apart(folder)
    failures: list[Failure] = []
    kept = released = 0
    removed = False

    def so_far() -> ReleaseReport:
        return ReleaseReport(folder, released, kept, len(failures), removed, tuple(failures[:MAX_LISTED]))

    tidy = partial(workspace.remove_leftovers, folder)
    with keeping(so_far), open_state(workspace.shares.state, folder, shard, tidy=tidy) as state:
        left_aside = _put_back_all(place, shard)
        require_delivered(workspace.settings, workspace.shares, folder)
        files = list_pictures(place, shard)
        aside = [path.name for path in left_aside if is_picture_name(path.name)]
        names = [file.name for file, _ in masked_pictures(files, state.pictures)]
        kept = len(files) + len(aside)
        release = _Release(workspace, folder, state, {*names, *aside})
        attempts = [*((name, release.original) for name in names), *((name, release.aside) for name in aside)]
        for name, attempt in attempts:
            paths = workspace.picture(folder, name)
            if (problem := attempt(paths)) is None:
                released, kept = released + 1, kept - 1
            else:
                failures.append(Failure(paths.relative, f"not released: {problem}"))
        _drop_equal_sidecars(left_aside)
        removed = _remove_emptied(workspace, folder)
    return so_far()


class _Release:
    """The release of the masked pictures of one folder."""

    def __init__(self, workspace: Workspace, folder: str, state: FolderState, names: Set[str]) -> None:
        settings = workspace.settings
        self._workspace = workspace
        self._settings = settings
        self._state = state
        self._archive = None if workspace.shares.archive is None else workspace.shares.archive / folder
        in_database = settings.write_exif_to_db
        self._rows = rows_present(workspace, state, names) if in_database else frozenset[str]()
        own_rows_needed = in_database and not settings.remote_json
        self._on_other_rows = (
            names_on_other_rows(workspace, folder, state, names) if own_rows_needed else dict[str, Collision]()
        )

    def original(self, paths: ImagePaths) -> str | None:
        """Verify and remove an original; returns None, or the reason why it stays."""
        known = self._state.pictures[paths.name]
        if problem := original_problem(paths.original, known):  # an early look: such a file is not even moved
            return f"the original {problem}"
        if problem := self._obstacle(paths, known):
            return problem
        try:
            aside = set_aside(paths.original)
        except OSError as error:
            return f"it cannot be set aside: {error.strerror}"
        try:
            problem = self._remove(aside, known)
        except BaseException:
            _stays(aside, "")
            raise
        return None if problem is None else _stays(aside, problem)

    def aside(self, paths: ImagePaths) -> str | None:
        """As `original`, of one that an interrupted release left aside and whose name another file has now."""
        known = self._state.pictures.get(paths.name)
        if known is None or known.status != MASKED:
            return _name_taken(paths.set_aside)
        problem = self._obstacle(paths, known) or self._remove(paths.set_aside, known)
        return None if problem is None else f"{problem}; {_name_taken(paths.set_aside)}"

    def _obstacle(self, paths: ImagePaths, known: PictureState) -> str | None:
        """Why the original must stay, or None: whatever the check finds, and a record that is nowhere to be found."""
        settings = self._settings
        if paths.archived is None:
            return "there is no archive folder"
        has_row = paths.name in self._rows
        for item in expected_of(paths, known, settings, self._state, in_input=True, has_row=has_row):
            if item.problem is not None:
                return f"{item.subject} {item.problem}"
        if settings.remote_json:
            return None
        if not settings.write_exif_to_db:
            return "its record is neither on a share nor in a database (see remote_json and write_exif_to_db)"
        if collision := self._on_other_rows.get(paths.name):
            return (
                f"the row with its ID is that of another picture ({collision.stands}), and its record is on no share "
                "(see remote_json)"
            )
        return None

    def _remove(self, aside: Path, known: PictureState) -> str | None:
        """Remove an original that is set aside if its bytes are those that were verified."""
        if problem := quiet_copy_problem(aside, known.sha256):
            return f"the original {problem}"
        if problem := self._flush_copies():
            return problem
        # A copy below the mount point of an unmounted share is no copy.
        require_marked(self._workspace.shares)
        # Recorded first: after a kill in between, its sidecars must still be known as ours.
        self._state.put(replace(known, released=True))
        try:
            aside.unlink()
        except OSError as error:
            return f"it cannot be removed: {error.strerror}"
        return None

    def _flush_copies(self) -> str | None:
        """Flush the names of the archive copies, once: an archive step that was killed may not have done so."""
        if self._archive is not None:
            try:
                flush_folder(self._archive)
            except OSError as error:
                return f"the archive folder {self._archive} cannot be flushed: {error.strerror}"
            self._archive = None
        return None


def sidecars(
    workspace: Workspace, folder: str, pictures: Mapping[str, PictureState]
) -> Iterator[tuple[Path, PictureState | None]]:
    """The marker file (None), and the derived files that this program wrote next to released originals."""
    settings = workspace.settings
    if settings.capture_marker_file:
        yield workspace.shares.input / folder / settings.capture_marker_file, None
    for name, known in pictures.items():
        if known.released:
            for path in workspace.picture(folder, name).local_files(settings, (known.width, known.height)):
                yield path, known


def _put_back_all(place: Path, shard: Shard) -> list[Path]:
    try:
        return put_back_all(place, shard)
    except OSError as error:
        message = f"{place}: what an interrupted release set aside cannot be put back: {error}; check the share"
        raise ShareUnavailableError(message) from error


def _stays(aside: Path, problem: str) -> str:
    """Put an original back that is not removed, and complete the reason."""
    try:
        return problem if put_back(aside) else f"{problem}; {_name_taken(aside)}"
    except OSError as error:
        return f"{problem}; it cannot be put back ({error.strerror}) and stays as {aside}"


def _name_taken(aside: Path) -> str:
    return f"another file has taken its name, so it stays as {aside}; rename one of the two"


def _drop_equal_sidecars(left_aside: list[Path]) -> None:
    """Remove sidecars that are aside while an equal file has their name."""
    for aside in left_aside:
        if not is_picture_name(aside.name):
            with suppress(OSError):  # the check reports it
                if sha256_of_plain(aside) == sha256_of_plain(aside.parent.parent / aside.name):
                    aside.unlink()


def _remove_emptied(workspace: Workspace, folder: str) -> bool:
    """Remove the sidecars of a folder without pictures (or entries named like one), then the folders that are empty.

    Several shards may do this at the same time, so files that are already gone are no error. Returns whether the folder
    is gone.
    """
    base = workspace.shares.input
    place = base / folder
    remove_if_empty(place)
    if any(list_named(place)) or not place.is_dir():
        return False
    settings = workspace.settings
    # The states of all shards; only needed if derived files were written next to originals.
    local_ones = settings.local_json or settings.local_mask or settings.local_preview
    known = read_pictures(workspace.shares.state, folder) if local_ones else {}
    for path, picture in sidecars(workspace, folder, known):
        with suppress(OSError):  # a file that cannot be removed only keeps the folder
            _remove_sidecar(path, picture)
    remove_if_empty(place)
    for path in (place, *place.parents):
        if base in path.parents:
            with suppress(OSError):  # not empty: foreign files are not ours to remove
                path.rmdir()
    return not place.exists()


def _remove_sidecar(path: Path, picture: PictureState | None) -> None:
    """Remove a sidecar of a released picture, or the marker file (no `picture`), unless a new delivery brought it."""
    if not is_there(path):
        return
    aside = set_aside(path)
    foreign = picture is not None and derived_problem(aside, picture) is not None
    if foreign or any(list_named(path.parent)):
        put_back(aside)
    else:
        aside.unlink(missing_ok=True)
