"""The load step: write the records of a folder's masked pictures to the configured table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from msgspec.structs import replace

from anonymisation.chain.kept_records import keep_records_of_released
from anonymisation.chain.shared_ids import identifier, open_table, registered_pictures
from anonymisation.core.errors import DatabaseUnavailableError
from anonymisation.database.loading.limits import LoadLimits, LoadReport, LoadStoppedError, SourceRecord
from anonymisation.database.loading.loader import load_records, send_spooled
from anonymisation.database.target import DatabaseTarget, existing_ids
from anonymisation.metadata.foreign import with_points
from anonymisation.reporting.partial import keeping
from anonymisation.reporting.step_reports import MAX_LISTED, Failure, LoadSummary
from anonymisation.workspace.folder_state import MASKED, FolderState, open_state
from anonymisation.workspace.shards import WHOLE, Shard
from anonymisation.workspace.workspace import Workspace

_ASKED_AT_ONCE: Final = 5000  # identifiers looked up together
_NO_RECORD: Final = "its record is lost; mask the folder again, which restores it from the output share"


def load_folder(workspace: Workspace, folder: str, shard: Shard = WHOLE) -> LoadSummary:
    """Upsert the missing rows of the masked pictures of `folder` (or of its `shard`).

    Does nothing without `write_exif_to_db`. Rows that the database refuses are failures in the report, and so are files
    of the spool that cannot be read.

    Raises:
        DatabaseUnavailableError: the database cannot be reached; the rows wait in the spool.
        LoadFailedError: too many rows were refused or are waiting.
        FolderLockedError: another run works on the folder.
        ConfigurationError: the layout or the database address cannot be used.
    """
    if not workspace.settings.write_exif_to_db:
        return LoadSummary(folder)
    workspace.require_shares()
    with open_table(workspace) as target, open_state(workspace.shares.state, folder, shard) as state:
        return _load(workspace, folder, target, state)


def _load(workspace: Workspace, folder: str, target: DatabaseTarget, state: FolderState) -> LoadSummary:
    key = target.key(workspace.shares.state)
    masked = [name for name, known in sorted(state.pictures.items()) if known.status == MASKED]
    there = _present(target, state, (name for name in masked if state.pictures[name].loaded == key))
    there -= _lost_to_lesser(workspace, folder, target, state, there)
    missing = [name for name in masked if name not in there]
    unknown = dict.fromkeys(name for name in missing if not state.has_record(name))
    done = LoadSummary(folder, already_loaded=len(there))
    keep_records_of_released(workspace, folder, target, state, missing)
    with keeping(lambda: done):
        try:
            report = load_records(
                _sources(workspace, folder, state, missing),
                target,
                workspace.shares.state,
                LoadLimits.from_settings(workspace.settings),
            )
        except LoadStoppedError as error:
            done = _summary(folder, error.report, [], already=len(there))
            raise
        done = _summary(folder, report, [], already=len(there))
        if report.waiting:
            raise DatabaseUnavailableError(
                f"{target.place}: the database is away; {report.waiting} rows wait in {workspace.shares.state} and are "
                "sent by the next load"
            )
    refused = {failure.picture for failure in report.failed}
    for name in missing:
        if name not in unknown and workspace.picture(folder, name).relative not in refused:
            state.put(replace(state.pictures[name], loaded=key))
    lost = [Failure(workspace.picture(folder, name).relative, _NO_RECORD) for name in unknown]
    lost += [Failure(problem.path, problem.message) for problem in report.problems]
    return _summary(folder, report, lost, already=len(there))


def send_waiting_rows(workspace: Workspace) -> LoadReport | None:
    """Send the rows that earlier runs left in the spool; None without `write_exif_to_db`.

    Raises: as `load_folder`; if the database still cannot be reached, the rows stay in the spool without an error.
    """
    if not workspace.settings.write_exif_to_db:
        return None
    with open_table(workspace) as target:
        return send_spooled(target, workspace.shares.state, LoadLimits.from_settings(workspace.settings))


def table_key(workspace: Workspace) -> str | None:
    """The key of the configured table in `PictureState.loaded`; None without `write_exif_to_db`.

    Raises:
        ConfigurationError: the layout or the database address cannot be used.
    """
    if not workspace.settings.write_exif_to_db:
        return None
    with open_table(workspace) as target:
        return target.key(workspace.shares.state)


def rows_present(workspace: Workspace, state: FolderState, names: Iterable[str]) -> frozenset[str]:
    """The names among `names` whose picture has a row in the configured table.

    Raises:
        DatabaseUnavailableError: the database cannot be reached.
    """
    with open_table(workspace) as target:
        return _present(target, state, names)


def _present(target: DatabaseTarget, state: FolderState, names: Iterable[str]) -> frozenset[str]:
    present: set[str] = set()
    left = iter(names)
    while some := list(islice(left, _ASKED_AT_ONCE)):
        identifiers = {name: own for name in some if (own := identifier(target, state, name)) is not None}
        found = existing_ids(target, identifiers.values()) if identifiers else set()
        present.update(name for name, identifier in identifiers.items() if identifier in found)
    return frozenset(present)


def _lost_to_lesser(
    workspace: Workspace, folder: str, target: DatabaseTarget, state: FolderState, names: Iterable[str]
) -> frozenset[str]:
    """The names whose row is that of a lesser path, loaded after someone had deleted theirs: theirs has to stand."""
    identifiers = {name: known for name in names if (known := identifier(target, state, name)) is not None}
    if not identifiers:
        return frozenset()
    rows = registered_pictures(workspace, target, identifiers.values())
    own = {name: workspace.picture(folder, name).relative for name in identifiers}
    return frozenset(name for name, known in identifiers.items() if rows.get(known, own[name]) < own[name])


def _sources(workspace: Workspace, folder: str, state: FolderState, names: Iterable[str]) -> Iterator[SourceRecord]:
    known = list(names)
    for name, record in zip(known, state.records(known), strict=True):
        if record is not None:
            yield SourceRecord(workspace.picture(folder, name).relative, with_points(record))


def _summary(folder: str, report: LoadReport, lost: Sequence[Failure], already: int) -> LoadSummary:
    failures = [*lost, *(Failure(f.picture, f"row refused: {f.reason}") for f in report.failed)]
    return LoadSummary(
        folder=folder,
        inserted=report.inserted,
        updated=report.updated,
        already_loaded=already,
        failed=len(failures),
        waiting=report.waiting,
        failures=tuple(failures[:MAX_LISTED]),
        collided=len(report.collisions),
        collisions=report.collisions[:MAX_LISTED],
    )
