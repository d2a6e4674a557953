"""Pictures that share an ID: whose row is in the table, and which pictures yield to another.

The row of the greater relative path stands. The registry of identifiers knows the picture of each row that was loaded
with this state folder. Where it does not (it was lost), a row counts as a picture's own only if it names its file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import sqlalchemy as sa

from anonymisation.database.layouts.columns import Row, key_from_record, row_from_record
from anonymisation.database.layouts.user_formatters import effective_layout
from anonymisation.database.loading.limits import Collision
from anonymisation.database.loading.picture_registry import IdentifierRegistry
from anonymisation.database.loading.spool import Spool
from anonymisation.database.target import DatabaseTarget, open_target, transaction
from anonymisation.workspace.folder_state import FolderState
from anonymisation.workspace.workspace import Workspace

UNKNOWN: Final = "a picture that is not known any more"

_NAMING_FORMATTERS: Final = ("Mappenavn", "Filnavn")  # of the columns that name a picture's file
_ASKED_AT_ONCE: Final = 500  # identifiers looked up together


def open_table(workspace: Workspace) -> DatabaseTarget:
    """The configured table; the caller closes it.

    Raises:
        ConfigurationError: the layout or the database address cannot be used.
    """
    return open_target(workspace.database_url, effective_layout(workspace.settings), schema=workspace.database_schema)


def identifier(target: DatabaseTarget, state: FolderState, name: str) -> str | None:
    """The ID of the picture's row; None if its record is lost."""
    record = state.record(name)
    return None if record is None else str(key_from_record(target.layout, record))


def registered_pictures(workspace: Workspace, target: DatabaseTarget, identifiers: Iterable[str]) -> dict[str, str]:
    """The picture of each identifier that the registry knows.

    Raises:
        DatabaseUnavailableError: other loaders hold the lock of the spool for too long.
        ShareUnavailableError: the state folder cannot be used.
    """
    root = workspace.shares.state
    key = target.key(root)
    with Spool(root, key).locked():
        return IdentifierRegistry(root, key).pictures(identifiers)


def names_on_other_rows(
    workspace: Workspace, folder: str, state: FolderState, names: Iterable[str]
) -> dict[str, Collision]:
    """The pictures among `names` that yield their ID, by name, each with the picture whose row is in the table.

    Raises:
        DatabaseUnavailableError: the database cannot be reached, or other loaders hold the lock of the spool too long.
        ShareUnavailableError: the state folder cannot be used.
    """
    with open_table(workspace) as target:
        known = ((name, identifier(target, state, name)) for name in names)
        identifiers = {name: found for name, found in known if found is not None}
        registered = registered_pictures(workspace, target, identifiers.values())
        own = {name: workspace.picture(folder, name).relative for name in identifiers}
        unknown = [name for name, found in identifiers.items() if found not in registered]
        others = {
            name: registered[found]
            for name, found in identifiers.items()
            if registered.get(found, own[name]) != own[name]
        }
        others |= dict.fromkeys(_rows_of_others(target, state, unknown), UNKNOWN)
    return {name: Collision(identifiers[name], stands, own[name]) for name, stands in others.items()}


def _rows_of_others(target: DatabaseTarget, state: FolderState, names: list[str]) -> list[str]:
    """The names among `names` whose ID has a row that does not name their file."""
    found: list[str] = []
    for start in range(0, len(names), _ASKED_AT_ONCE):
        rows = {name: row for name in names[start : start + _ASKED_AT_ONCE] if (row := _row(target, state, name))}
        stored = _stored_files(target, rows)
        key = target.layout.pk_column
        for name, row in rows.items():
            there = stored.get(str(row[key]))
            if there is not None and there != _file_in(target, row):
                found.append(name)
    return found


def _stored_files(target: DatabaseTarget, rows: Mapping[str, Row]) -> dict[str, tuple[str, ...]]:
    """What names the file in each row of the table with an identifier of `rows`, by identifier."""
    [key] = target.table.primary_key.columns
    columns = [target.table.c[target.dialect.identifier(name)] for name in _naming_columns(target)]
    wanted = [str(row[target.layout.pk_column]) for row in rows.values()]
    with transaction(target) as connection:
        found = connection.execute(sa.select(key, *columns).where(key.in_(wanted))).all() if wanted else []
    return {str(row[0]).rstrip(" "): tuple(_comparable(value) for value in row[1:]) for row in found}


def _file_in(target: DatabaseTarget, row: Row) -> tuple[str, ...]:
    return tuple(_comparable(row[name]) for name in _naming_columns(target)) or ("a layout without names of files",)


def _naming_columns(target: DatabaseTarget) -> list[str]:
    return [column.name for column in target.layout.columns if column.formatter in _NAMING_FORMATTERS]


def _comparable(value: object) -> str:
    return "" if value is None else str(value).rstrip(" ")


def _row(target: DatabaseTarget, state: FolderState, name: str) -> Row | None:
    record = state.record(name)
    return None if record is None else row_from_record(target.layout, record)
