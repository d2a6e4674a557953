"""The page of fixed regions: what is always hidden, or never searched, in the pictures of a camera."""

from __future__ import annotations

from typing import Annotated, Final

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from anonymisation.files.digests import name_digest
from anonymisation.masking.fixed_regions import FixedRegions
from anonymisation.review.audit import note_look
from anonymisation.review.index import edition
from anonymisation.review.model import NOTHING
from anonymisation.workspace.camera_regions import MAX_NOTE, CameraRegions, draw_region, read_drawn, remove_region
from anonymisation_airflow.operations.web.access import reviewing
from anonymisation_airflow.operations.web.rendering import page
from anonymisation_airflow.operations.web.site import OpenFolder, OpenPicture, Site, SiteDep, open_folder

router: Final = APIRouter()


@router.get("/regions")
def list_regions(
    request: Request, site: SiteDep, user: GetUserDep, folder: str = "", picture: str = "", said: str = ""
) -> HTMLResponse:
    """List the regions in force and the removed ones; with a picture, show the form that draws one on it."""
    shown = _picture(site, folder, picture)
    version, standing = "", FixedRegions()
    if shown is not None:
        standing = CameraRegions.of(site.workspace.settings, site.state_root).for_folder(shown.folder.path)
        reviews = site.cache.reviews(shown.folder.path)[1]
        version = edition(shown.row, reviews.get(shown.row.name, NOTHING))
    return page(
        request, site, user, "regions.html",
        drawn=read_drawn(site.state_root), configured=site.workspace.settings.camera_regions,
        picture=shown, version=version, standing=standing, said=said, max_note=MAX_NOTE,
    )  # fmt: skip


@router.post("/regions", dependencies=[*reviewing])
def add(
    request: Request,
    site: SiteDep,
    user: GetUserDep,
    corners: Annotated[str, Form(max_length=5000)],
    hide: Annotated[bool, Form()],
    folders: Annotated[str, Form(min_length=1, max_length=500)],
    camera: Annotated[str, Form(max_length=200)] = "",
    note: Annotated[str, Form(max_length=MAX_NOTE)] = "",
) -> RedirectResponse:
    """Store a region. It holds for pictures that are masked from now on."""
    kind = "always hidden" if hide else "never searched"
    note_look(site.state_root, user.get_name(), f"drew a region that is {kind}", folders, note)
    try:
        polygon = [[value / 100 for value in corner] for corner in _corners(corners)]
        draw_region(site.state_root, polygon, folders=folders, camera=camera, hide=hide, by=user.get_name(), note=note)
    except ValueError as error:
        raise HTTPException(422, f"This is no region: {error}") from None
    return _to(request, "drawn")


@router.post("/regions/{identity}/remove", dependencies=[*reviewing])
def remove(request: Request, site: SiteDep, user: GetUserDep, identity: str) -> RedirectResponse:
    """Record that a region no longer holds. Pictures that are masked already stay as they are."""
    if not any(region.id == identity for region in read_drawn(site.state_root)):
        raise HTTPException(404, "There is no such region")
    note_look(site.state_root, user.get_name(), "removed a fixed region", name_digest(identity))
    try:
        remove_region(site.state_root, identity, user.get_name())
    except LookupError:
        raise HTTPException(409, "The region was removed before") from None
    return _to(request, "removed")


def _corners(text: str) -> list[list[float]]:
    """The corners, a line of x and y in percent for each.

    Raises:
        ValueError: a line has other than two numbers.
    """
    corners = []
    for line in filter(None, map(str.strip, text.splitlines())):
        parts = line.replace(",", " ").split()
        if len(parts) != 2:
            raise ValueError(f"expected x and y in percent on every line, got {line!r}")
        corners.append([float(part) for part in parts])
    return corners


def _picture(site: Site, folder: str, picture: str) -> OpenPicture | None:
    if not folder:
        return None
    opened: OpenFolder = open_folder(site, folder)
    row = opened.index.row(picture)
    if row is None:
        raise HTTPException(404, "There is no such picture")
    return OpenPicture(opened, row)


def _to(request: Request, said: str) -> RedirectResponse:
    return RedirectResponse(f"{request.scope.get('root_path', '').rstrip('/')}/regions?said={said}", 303)
