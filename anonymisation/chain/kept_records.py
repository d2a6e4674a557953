"""Records of released pictures whose row a load is about to replace.

Two pictures with one ID share a row, and the one of the greater path stands. If the other was released on its row, that
row was the only place that had its record. So its record is written next to its archive copy before the row goes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import PurePosixPath

from anonymisation.chain.shared_ids import identifier, registered_pictures
from anonymisation.core.errors import ShareUnavailableError
from anonymisation.database.target import DatabaseTarget
from anonymisation.files.access import with_access
from anonymisation.files.atomic import write_atomically
from anonymisation.files.plain import is_there
from anonymisation.files.reported import reason_of
from anonymisation.metadata.record import record_to_json
from anonymisation.workspace.folder_state import FolderState, read_pictures, read_record
from anonymisation.workspace.paths import Sidecar
from anonymisation.workspace.workspace import Workspace


def keep_records_of_released(
    workspace: Workspace, folder: str, target: DatabaseTarget, state: FolderState, names: Iterable[str]
) -> None:
    """Write the record of each released picture whose row is about to be that of a picture among `names`.

    Raises:
        DatabaseUnavailableError: other loaders hold the lock of the spool for too long.
        ShareUnavailableError: the archive or the state folder cannot be used.
    """
    settings = workspace.settings
    if settings.remote_json or not settings.delete_input or workspace.shares.archive is None:
        return
    identifiers = {name: known for name in names if (known := identifier(target, state, name)) is not None}
    registered = registered_pictures(workspace, target, identifiers.values()) if identifiers else {}
    for name, known in identifiers.items():
        own = workspace.picture(folder, name).relative
        if (other := registered.get(known, own)) < own:
            _keep(workspace, PurePosixPath(other))


def _keep(workspace: Workspace, picture: PurePosixPath) -> None:
    folder = str(picture.parent)
    known = read_pictures(workspace.shares.state, folder).get(picture.name)
    archived = workspace.picture(folder, picture.name).archived
    if known is None or not known.released or archived is None:
        return
    place = Sidecar.RECORD.of(archived)
    record = read_record(workspace.shares.state, folder, picture.name)
    if record is None:
        message = "%s: another picture takes its row, and its record is known nowhere else; make it with create-json"
        logging.getLogger(__name__).warning(message, archived)
        return

    def write() -> None:
        if not is_there(place):
            write_atomically(place, record_to_json(record), make=workspace.make_folder)

    try:
        with_access(workspace.settings, f"keeping the record {place}", write)
    except OSError as error:
        raise ShareUnavailableError(f"the record {place} cannot be written: {reason_of(error)}") from error
