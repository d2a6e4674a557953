"""The deployment that the page shows: its settings, its folders and their indexes, shared by all requests."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import Depends, HTTPException
from fastapi import Path as PathParameter

from anonymisation.core.errors import ConfigurationError
from anonymisation.review.certificate.overview import Overview
from anonymisation.review.copies import Sweeper
from anonymisation.review.index import FolderIndex, IndexCache
from anonymisation.review.rows import Row
from anonymisation.review.store import folder_with_key
from anonymisation.workspace.folder_state import FileStamp, state_folder
from anonymisation.workspace.workspace import Workspace, open_workspace
from anonymisation_airflow.deployment import Deployment

KEY_PATTERN: Final = r"^[0-9a-f]{16}$"
FolderKey = Annotated[str, PathParameter(pattern=KEY_PATTERN)]
PictureKey = Annotated[str, PathParameter(pattern=KEY_PATTERN)]


@dataclass(frozen=True, slots=True)
class Site:
    """One deployment: workspace, indexes of folders, sweeper of thumbnails, certificates, and time zone."""

    workspace: Workspace
    cache: IndexCache
    sweeper: Sweeper
    certificates: Overview
    zone: ZoneInfo

    @property
    def state_root(self) -> Path:
        """The state folder."""
        return self.workspace.shares.state


_lock = threading.Lock()


def current_site() -> Site:
    """Return the site of the environment. A changed configuration file makes a new site.

    Raises:
        HTTPException: 503; the message lists every problem of the configuration.
    """
    deployment = Deployment.from_environment()
    try:
        stamp = None if deployment.config is None else FileStamp.of(deployment.config)
        with _lock:
            return _site(deployment, stamp)
    except (ConfigurationError, OSError, ValueError) as error:
        raise HTTPException(503, f"The page cannot read the deployment's configuration: {error}") from None


@lru_cache(maxsize=4)
def _site(deployment: Deployment, stamp: FileStamp | None) -> Site:  # noqa: ARG001 - part of the cache's key
    if deployment.input is None or deployment.output is None:
        raise ValueError("ANONYMISATION_INPUT and ANONYMISATION_OUTPUT must also be set for the API server")
    workspace = open_workspace(
        input_dir=deployment.input,
        output_dir=deployment.output,
        archive_dir=deployment.archive,
        config=deployment.config,
        overrides={} if deployment.state is None else {"state_dir": str(deployment.state)},
    )
    cache, sweeper = IndexCache(workspace.shares.state), Sweeper(workspace.shares)
    certificates = Overview(workspace.shares.state)
    return Site(workspace, cache, sweeper, certificates, ZoneInfo(deployment.timezone))


SiteDep = Annotated[Site, Depends(current_site)]


def folder_key(site: Site, folder: str) -> str:
    """Return the key of a folder in addresses: the hash in the name of its state folder."""
    return state_folder(site.state_root, folder).name.rpartition("-")[2]


@dataclass(frozen=True, slots=True)
class OpenFolder:
    """The folder of a request; `path` is its path below the input folder."""

    site: Site
    path: str
    key: str
    index: FolderIndex


def open_folder(site: SiteDep, folder_key: FolderKey) -> OpenFolder:
    """Return the folder with this key.

    Raises:
        HTTPException: 404 if no folder has this key.
    """
    path = folder_with_key(site.state_root, folder_key)
    if path is None:
        raise HTTPException(404, "There is no such folder")
    return OpenFolder(site, path, folder_key, site.cache.index(path))


FolderDep = Annotated[OpenFolder, Depends(open_folder)]


@dataclass(frozen=True, slots=True)
class OpenPicture:
    """The picture of a request, and its folder."""

    folder: OpenFolder
    row: Row

    @property
    def workspace(self) -> Workspace:
        """The settings and folders."""
        return self.folder.site.workspace

    @property
    def path(self) -> str:
        """The picture's path below the input folder."""
        return self.workspace.picture(self.folder.path, self.row.name).relative


def open_picture(folder: FolderDep, picture_key: PictureKey) -> OpenPicture:
    """Return the picture with this key.

    Raises:
        HTTPException: 404 if the folder has no picture with this key.
    """
    row = folder.index.row(picture_key)
    if row is None:
        raise HTTPException(404, "There is no such picture")
    return OpenPicture(folder, row)


PictureDep = Annotated[OpenPicture, Depends(open_picture)]
