"""The settings and folders of a run, checked together so that every problem is reported at once."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field, replace
from itertools import combinations, product
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from sqlalchemy.engine import URL

from anonymisation.core.errors import ConfigProblem, ConfigurationError, ShareUnavailableError
from anonymisation.core.record_settings import is_said
from anonymisation.core.settings import LoadedSettings, MergedValues, Settings, check_values, merge_values
from anonymisation.database.connections import ConnectionStore, is_url
from anonymisation.database.layouts.tables import require_layout
from anonymisation.database.layouts.user_formatters import layout_of, own_folder
from anonymisation.database.oracle_options import with_client
from anonymisation.database.target import embedded_url, require_usable
from anonymisation.files.access import require_folder
from anonymisation.files.atomic import remove_leftovers
from anonymisation.files.plain import LINK, link_within
from anonymisation.masking.models.factory import model_identity
from anonymisation.masking.models.weights import unknown_model
from anonymisation.workspace.camera_regions import CameraRegions
from anonymisation.workspace.paths import ImagePaths, Shares
from anonymisation.workspace.required_layout import USED_KEYS, layout_in
from anonymisation.workspace.roots import make_folder, require_roots
from anonymisation.workspace.shards import Shard

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Workspace:
    """What every step works with. `version_tag` goes into every record; `database_url` may hold a password.

    `database_schema` is that of the table, where it is not the login's own.
    """

    settings: Settings
    shares: Shares
    version_tag: str
    database_url: str | URL = field(repr=False)
    database_schema: str | None = None

    def picture(self, folder: str, name: str) -> ImagePaths:
        """The files of the picture `name` in the capture folder `folder` (a path below the input folder, with `/`)."""
        return ImagePaths(self.shares, PurePosixPath(folder), name)

    @property
    def part(self) -> Shard:
        """The part of a folder that the steps of a run take: all of it, or the one picture of the shares."""
        return Shard(only=self.shares.picture)

    def model_identity(self) -> str:
        """The name and digest of the model that the settings ask for, found without loading it.

        Raises:
            ModelUnavailableError: the model is not installed.
        """
        return model_identity(self.settings)

    def picture_digest(self, folder: str) -> str:
        """A digest of everything but the model that changes the masked pictures of a folder: settings, fixed regions.

        Raises:
            ShareUnavailableError: the file of regions that people drew is there and cannot be read.
        """
        return CameraRegions.of(self.settings, self.shares.state).picture_digest(self.settings, folder)

    def make_folder(self, path: Path) -> None:
        """Create a folder of a share, as `roots.make_folder`."""
        make_folder(self.shares, path)

    def require_input(self, *, first_look: bool = False) -> None:
        """Wait for the input folder; with `first_look`, do not wait for a name that is most likely mistyped.

        Raises:
            ShareUnavailableError: it cannot be reached.
        """
        require_folder(self.settings, self.shares.input, "input", first_look=first_look)

    def require_shares(self, *, first_look: bool = False) -> None:
        """Wait for the folders of all shares; on first use, create all but the input folder. See `require_input`.

        Raises:
            ShareUnavailableError: a folder cannot be reached or created, or a share is not mounted.
            ConfigurationError: two of them are one and the same.
        """
        self.require_input(first_look=first_look)
        require_roots(self.settings, self.shares)
        self.require_apart(".")

    def require_apart(self, folder: str) -> None:
        """Refuse `folder` if it is the same directory below two base folders, or leads out of the input.

        Different names do not prevent this: a share may be mounted twice, or a folder may be a link into another base
        folder. A masked picture would overwrite its original there, and an archive copy would be the original itself.
        Other links are allowed (an archive on several disks), except in the input, where they may come from a delivery.

        Raises:
            ConfigurationError: names both folders, or the link.
            ShareUnavailableError: a folder cannot be looked at.
        """
        try:
            self._refuse_shared(folder)
        except OSError as error:
            raise ShareUnavailableError(
                f"{error.filename} cannot be looked at: {error.strerror}; check the share and its permissions"
            ) from error

    def _refuse_shared(self, folder: str) -> None:
        places = [(role, base / folder) for role, base in self.shares.roles()]
        for (role, path), (other_role, other) in combinations(places, 2):
            if path.exists() and other.exists() and path.samefile(other):
                message = f"{path} and the {other_role} folder {other} are the same directory; give each its own"
                raise _refused(role, message)
        bases = [(role, base, os.path.realpath(base)) for role, base in self.shares.roles()]
        for (role, path), (other_role, base, real) in product(places, bases):
            if other_role == "input" and self.shares.picture:
                continue
            if role != other_role and Path(os.path.realpath(path)).is_relative_to(real):
                raise _refused(role, f"{path} leads into the {other_role} folder {base}; give each its own")
        if (link := link_within(self.shares.input, folder)) is not None:
            raise _refused("input", f"{link} {LINK}")

    def remove_leftovers(self, folder: str) -> None:
        """Remove leftovers of interrupted writes of a capture folder; call it only if no one else can write there."""
        for _, base in self.shares.roles():
            removed = remove_leftovers(base / folder)
            if removed:
                log = logging.getLogger(__name__)
                log.info("%s: removed %d leftovers of an interrupted run", base / folder, removed)


def open_workspace(
    *,
    input_dir: Path,
    output_dir: Path,
    archive_dir: Path | None = None,
    picture: str = "",
    config: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    database_url: str | URL | None = None,
    database_schema: str | None = None,
) -> Workspace:
    """Read the configuration and check it against the folders; touches nothing.

    `picture` names the only picture that is taken from the input folder; empty: all are. `database_url`, and `database`
    in the configuration, may also be the name of a stored connection; its table is used unless db_table is configured.

    Raises:
        ConfigurationError: with every problem of the configuration and of the folders.
    """
    layers = merge_values(config, overrides)
    shares = Shares.resolve(input_dir, output_dir, archive_dir, layers.values, picture)
    problems: list[ConfigProblem] = []
    loaded = _attempt(problems, lambda: check_values(layers))
    refused = {problem.key for problem in problems}
    problems += shares.problems(layers.values, layers.sources)
    database = _Database(database_url or layers.values["database"] or embedded_url(shares.state), database_schema)
    if layers.values["write_exif_to_db"] is True:
        problems += _model_problems(layers, refused)
        database = _checked(database, layers, refused, problems)
    else:
        problems += _unknown_names(layers, refused)
    _check_required(layers, refused, problems)
    if loaded is None or problems:
        raise ConfigurationError(problems)
    settings = loaded.settings
    if database.table is not None and database.table != settings.db_table:
        settings = settings.model_copy(update={"db_table": database.table})
    shares = replace(shares, error_mode=settings.error_mode)
    return Workspace(settings, shares, loaded.version_tag, database.url, database.schema)


def load_configuration(config: Path | None = None) -> LoadedSettings:
    """Read the configuration and check it, with the names in it: model, table layout, stored connection.

    Raises:
        ConfigurationError: with every problem.
    """
    layers = merge_values(config)
    problems: list[ConfigProblem] = []
    loaded = _attempt(problems, lambda: check_values(layers))
    refused = {problem.key for problem in problems}
    problems += _unknown_names(layers, refused)
    _check_required(layers, refused, problems)
    if loaded is None or problems:
        raise ConfigurationError(problems)
    return loaded


def _unknown_names(layers: MergedValues, refused: Set[str]) -> list[ConfigProblem]:
    """Names of models, table layouts and stored connections that do not exist; checks no key in `refused`."""
    problems = _model_problems(layers, refused)
    if not refused & {"db_table", "db_tables_dir"}:
        own = layers.values["db_tables_dir"]
        _attempt(problems, lambda: require_layout(layers.values["db_table"], own=own_folder(own)))
    database = layers.values["database"]
    if "database" not in refused and database and not is_url(database):
        _attempt(problems, lambda: ConnectionStore().read(database))
    return problems


def _check_required(layers: MergedValues, refused: Set[str], problems: list[ConfigProblem]) -> None:
    """Add what is wrong with the layout that records must fill, unless it is known from the table of the rows."""
    if not refused & USED_KEYS:
        found: list[ConfigProblem] = []
        _attempt(found, lambda: layout_in(layers.values))
        problems += [problem for problem in found if problem not in problems]


def _model_problems(layers: MergedValues, refused: Set[str]) -> list[ConfigProblem]:
    message = None if "model_type" in refused else unknown_model(layers.values["model_type"])
    return [] if message is None else [ConfigProblem(layers.sources["model_type"], "model_type", message)]


@dataclass(frozen=True, slots=True)
class _Database:
    """The target of rows: a URL or the name of a stored connection; `table` is None if the configuration names it."""

    url: str | URL = field(repr=False)
    schema: str | None
    table: str | None = None


def _checked(asked: _Database, layers: MergedValues, refused: Set[str], problems: list[ConfigProblem]) -> _Database:
    """Look up a stored connection by its name, and add the problems of the table and the database to `problems`.

    Uses raw values, so that it also runs if a setting is invalid; keys in `refused` are not reported again.
    """
    values = layers.values
    usable = isinstance(asked.url, str | URL) and "database" not in refused
    found = _attempt(problems, lambda: _looked_up(asked)) if usable else None
    table = values["db_table"]
    if found is not None and found.table is not None and not is_said(layers.sources, "db_table"):
        table = found.table
    layout = None
    if not refused & {"db_table", "db_tables_dir", "db_formatters_module"}:
        layout = _attempt(problems, lambda: layout_of(table, values["db_tables_dir"], values["db_formatters_module"]))
    if found is None:
        return asked
    client = "" if "oracle_client_lib_dir" in refused else values["oracle_client_lib_dir"]
    url = _attempt(problems, lambda: with_client(found.url, client))
    if url is None:
        return asked
    _attempt(problems, lambda: require_usable(url, found.schema, layout))
    return asked if layout is None else replace(found, url=url, table=table)


def _looked_up(asked: _Database) -> _Database:
    if isinstance(asked.url, URL) or is_url(asked.url):
        return asked
    store = ConnectionStore()
    stored = store.read(asked.url)
    return _Database(store.unlock(asked.url), stored.schema, stored.table)


def _refused(role: str, message: str) -> ConfigurationError:
    return ConfigurationError([ConfigProblem("folders", f"{role} folder", message)])


def _attempt(problems: list[ConfigProblem], action: Callable[[], T]) -> T | None:
    """What `action` gives; where it refuses the configuration, its problems are added to the others instead."""
    try:
        return action()
    except ConfigurationError as error:
        problems += error.problems
        return None
