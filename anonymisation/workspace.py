"""One run's settings and folders, checked together so that a person reads every problem at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy.engine import URL

from anonymisation.database.connections import ConnectionStore, is_url
from anonymisation.database.target import embedded_url, open_target
from anonymisation.database.user_formatters import layout_in_force
from anonymisation.errors import ConfigProblem, ConfigurationError
from anonymisation.files import make_folder, require_folder
from anonymisation.masking.factory import model_identity
from anonymisation.paths import ImagePaths, Shares
from anonymisation.settings import Settings, load_settings, merge_values


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

    def model_identity(self) -> str:
        """The name and digest of the model that the settings ask for, found without loading it.

        Raises:
            ModelUnavailableError: the model is not installed.
        """
        return model_identity(self.settings)

    def require_shares(self) -> None:
        """Wait for the input folder; create the others where they are missing.

        Raises:
            ShareUnavailableError: the input folder cannot be reached, or another one cannot be created.
            ConfigurationError: two of them are one and the same.
        """
        require_folder(self.settings, self.shares.input, "input")
        for role, path in self.shares.roles():
            if role != "input":
                make_folder(self.settings, path, role)
        self.require_apart(".")

    def require_apart(self, folder: str) -> None:
        """Refuse to work where `folder` is the same directory below two base folders.

        Names cannot tell: one share may be mounted twice, or a folder of one base be a link into another. A masked
        picture would overwrite its original there, and an archive copy be the original itself.

        Raises:
            ConfigurationError: naming both.
        """
        places = [(role, base / folder) for role, base in self.shares.roles()]
        for (role, path), (other_role, other) in combinations(places, 2):
            if path.exists() and other.exists() and path.samefile(other):
                message = f"{path} and the {other_role} folder {other} are the same directory; give each its own"
                raise ConfigurationError([ConfigProblem("folders", f"{role} folder", message)])


def open_workspace(
    *,
    input_dir: Path,
    output_dir: Path,
    archive_dir: Path | None = None,
    config: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    database_url: str | URL | None = None,
    database_schema: str | None = None,
) -> Workspace:
    """Read the configuration and check it against the folders; touches nothing.

    `database_url`, and `database` in the configuration, may also be the name of a stored connection; its table is used
    unless db_table is configured.

    Raises:
        ConfigurationError: with every problem of the configuration and of the folders.
    """
    layers = merge_values(config, overrides)
    shares = Shares.resolve(input_dir, output_dir, archive_dir, layers.values)
    problems = shares.problems(layers.values)
    address = database_url or layers.values["database"] or embedded_url(shares.state)
    try:
        loaded = load_settings(config, overrides)
        workspace = Workspace(loaded.settings, shares, loaded.version_tag, address, database_schema)
        if loaded.settings.write_exif_to_db:
            workspace = _with_database(workspace, table_is_configured=loaded.sources["db_table"] != "default")
    except ConfigurationError as error:
        raise ConfigurationError([*error.problems, *problems]) from None
    if problems:
        raise ConfigurationError(problems)
    return workspace


def _with_database(workspace: Workspace, *, table_is_configured: bool) -> Workspace:
    """Look up a stored connection by its name, and refuse what could not be loaded into."""
    address = workspace.database_url
    if isinstance(address, str) and not is_url(address):
        store = ConnectionStore()
        stored = store.read(address)
        settings = workspace.settings
        if not table_is_configured:
            settings = settings.model_copy(update={"db_table": stored.table})
        workspace = replace(
            workspace, settings=settings, database_url=store.unlock(address), database_schema=stored.schema
        )
    open_target(workspace.database_url, layout_in_force(workspace.settings), schema=workspace.database_schema)
    return workspace
