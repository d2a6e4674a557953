"""The pages of a folder's gallery, of one picture and of the audit log, and the image files that they show."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Annotated, Final

from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.models.log import Log
from airflow.utils.session import create_session
from fastapi import APIRouter, BackgroundTasks, Depends, HTTPException, Query, Request
from fastapi import Path as PathNumber
from fastapi.responses import HTMLResponse, Response

from anonymisation.core.errors import ShareUnavailableError
from anonymisation.core.text import one_line
from anonymisation.review import images as review_pictures
from anonymisation.review import panorama_views
from anonymisation.review.audit import newest_looks, note_look
from anonymisation.review.images import NotShownError, Size
from anonymisation.review.index import Wanted
from anonymisation.review.model import NOTHING, AddedBox, Review
from anonymisation.review.standing import without_region
from anonymisation.review.store import MAX_REASON
from anonymisation.workspace.camera_regions import CameraRegions
from anonymisation_airflow.deployment import DAG_ID
from anonymisation_airflow.operations.pages.nights import PageNumber
from anonymisation_airflow.operations.pages.paging import Paging
from anonymisation_airflow.operations.web.access import seeing_originals
from anonymisation_airflow.operations.web.headers import KEPT
from anonymisation_airflow.operations.web.rendering import page
from anonymisation_airflow.operations.web.site import FolderDep, OpenPicture, PictureDep, SiteDep

router: Final = APIRouter()
PICTURES_A_PAGE: Final = 60
LOOKS_SHOWN: Final = 200
PICTURE: Final = "/folders/{folder_key}/pictures/{picture_key}"


def wanted_pictures(show: str = "all", label: str = "", below: Annotated[float, Query(ge=0, le=1)] = 0.0) -> Wanted:
    """Return which pictures the request selects.

    Raises:
        HTTPException: 422 for an unknown kind or class.
    """
    try:
        return Wanted(show, label, below)
    except ValueError:
        raise HTTPException(422, "There is no such kind of pictures") from None


ViewNumber = Annotated[str, Query(pattern="^[0-9]{0,2}$")]
"""The number of a view, or nothing: the form sends nothing for the whole picture."""
WantedDep = Annotated[Wanted, Depends(wanted_pictures)]


@router.get("/folders/{folder_key}")
def gallery(
    request: Request, folder: FolderDep, user: GetUserDep, wanted: WantedDep, number: PageNumber = 1
) -> HTMLResponse:
    """Show a page of thumbnails of the folder's pictures."""
    stamp, reviews = folder.site.cache.reviews(folder.path)
    places = folder.index.select(wanted, reviews, stamp)
    paging = Paging(number, PICTURES_A_PAGE, len(places))
    rows = [folder.index.rows[place] for place in places[paging.first : paging.last]]
    listed = [(row, reviews.get(row.name, NOTHING)) for row in rows]
    regions = CameraRegions.of(folder.site.workspace.settings, folder.site.state_root).for_folder(folder.path)
    still = without_region(folder.index.standing(), regions)
    standing = [(found, folder.index.rows[found.example]) for found in still]
    return page(
        request, folder.site, user, "gallery.html",
        folder=folder, wanted=wanted, paging=paging, pictures=listed, standing=standing,
    )  # fmt: skip


@router.get(PICTURE)
def picture(
    request: Request,
    picture: PictureDep,
    user: GetUserDep,
    wanted: WantedDep,
    queue: str = "",
    said: str = "",
    view: ViewNumber = "",
) -> HTMLResponse:
    """Show one masked picture with its detections, and the form to review it; with `view`, a view of a panorama."""
    stamp, reviews = picture.folder.site.cache.reviews(picture.folder.path)
    places = picture.folder.index.select(wanted, reviews, stamp)
    before, after = picture.folder.index.neighbours(picture.row.key, places)
    shape, problem = review_pictures.Shape(1, None), ""
    try:
        shape = review_pictures.shape_of(picture.workspace, picture.folder.path, picture.row)
    except NotShownError as error:
        problem = picture.row.reason or str(error)
    review = reviews.get(picture.row.name, NOTHING)
    orientation, views = shape.orientation, panorama_views.names(shape.sphere)
    if view and int(view) >= len(views):
        raise HTTPException(404, "The picture has no such view")
    return page(
        request, picture.folder.site, user, "picture.html", picture=picture, row=picture.row, review=review,
        wanted=wanted, queue=queue,
        before=before, after=after, problem=problem, said=said, views=views, view=int(view) if view else None,
        size=(picture.row.height, picture.row.width) if orientation >= 5 else (picture.row.width, picture.row.height),
        found=[(seen, review_pictures.upright(seen.boxes, orientation)) for seen in picture.row.objects],
        regions=regions_of(review, orientation), max_reason=MAX_REASON,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Region:
    """A box that a reviewer added: its `edges` (top, left, bottom, right, 0..1) on the upright picture, and its state.

    `state` is hidden, waiting, withdrawn, or remaining (withdrawn, but still hidden in the published picture).
    """

    added: AddedBox
    edges: tuple[float, ...]
    state: str


def regions_of(review: Review, orientation: int) -> list[Region]:
    """Return every box that reviewers have added, in the order in which they were drawn."""
    edges = review_pictures.upright([added.box.as_tuple() for added in review.boxes], orientation)
    states = {
        **{added.number: "withdrawn" for added in review.boxes},
        **dict.fromkeys(review.remaining, "remaining"),
        **{added.number: "hidden" for added in review.active},
        **{added.number: "waiting" for added in review.waiting},
    }
    return [Region(added, sides, states[added.number]) for added, sides in zip(review.boxes, edges, strict=True)]


@router.get(f"{PICTURE}/small")
def small(picture: PictureDep, later: BackgroundTasks) -> Response:
    """Send the thumbnail."""
    return _webp(picture, Size.SMALL, later)


@router.get(f"{PICTURE}/large")
def large(picture: PictureDep, later: BackgroundTasks) -> Response:
    """Send the masked picture at the size of a screen."""
    return _webp(picture, Size.LARGE, later)


@router.get(f"{PICTURE}/views/{{number}}")
def panorama_view(picture: PictureDep, number: Annotated[int, PathNumber(ge=0, le=99)]) -> Response:
    """Send a view of a masked panorama."""
    try:
        data = panorama_views.view(picture.workspace, picture.folder.path, picture.row, number)
    except (NotShownError, OSError):
        raise HTTPException(404, "There is no such view") from None
    return Response(data, media_type="image/webp", headers={"Cache-Control": KEPT})


@router.get(f"{PICTURE}/masked")
def masked(picture: PictureDep) -> Response:
    """Send the masked picture as it is published."""
    try:
        data = review_pictures.masked_picture(picture.workspace, picture.folder.path, picture.row)
    except (NotShownError, OSError):
        raise HTTPException(404, "There is no such picture") from None
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": KEPT})


@router.get(f"{PICTURE}/mask")
def mask(picture: PictureDep) -> Response:
    """Send the mask as a layer to lay over the picture."""
    try:
        data = review_pictures.overlay(picture.workspace, picture.folder.path, picture.row, Size.LARGE)
    except (NotShownError, OSError):
        raise HTTPException(404, "This picture has no mask file") from None
    return Response(data, media_type="image/webp", headers={"Cache-Control": KEPT})


@router.get(f"{PICTURE}/compare", dependencies=[seeing_originals])
def compare(request: Request, picture: PictureDep, user: GetUserDep) -> HTMLResponse:
    """Show original and masked picture side by side. The request for the original itself is recorded."""
    review = picture.folder.site.cache.reviews(picture.folder.path)[1].get(picture.row.name, NOTHING)
    return page(request, picture.folder.site, user, "compare.html", picture=picture, row=picture.row, review=review)


@router.get(f"{PICTURE}/original", dependencies=[seeing_originals])
def original(picture: PictureDep, user: GetUserDep) -> Response:
    """Send the original, upright and reduced. The access is recorded before the picture is sent."""
    record_access(picture, user.get_name(), "looked at the original")
    try:
        data = review_pictures.original(picture.workspace, picture.folder.path, picture.row)
    except NotShownError:
        raise HTTPException(404, "The original is in neither the input folder nor the archive") from None
    return Response(data, media_type="image/webp")


@router.get("/audit", dependencies=[seeing_originals])
def audit(request: Request, site: SiteDep, user: GetUserDep) -> HTMLResponse:
    """List who looked at an original, and who marked or withdrew a region, the newest first."""
    looks = newest_looks(site.state_root, LOOKS_SHOWN)
    return page(request, site, user, "audit.html", looks=looks)


def record_access(picture: OpenPicture, by: str, did: str, reason: str = "") -> None:
    """Record who did what with a picture, in the audit file, in Airflow's audit log and in the server's log.

    Only the audit file gets the reason: a reason may describe the picture, and only people who may see originals read
    the audit file.

    Raises:
        HTTPException: 503 if the audit file cannot be written; the caller must then not show or change anything.
    """
    try:
        note_look(picture.folder.site.state_root, by, did, picture.path, reason)
    except ShareUnavailableError as error:
        logging.getLogger(__name__).error("the audit log cannot be written: %s", error)
        raise HTTPException(503, "The audit log cannot be written, so nothing is shown or changed") from None
    name = one_line(picture.path)  # a name must not forge a log line, nor contain characters that the database refuses
    logging.getLogger(__name__).info("%s %s %s", one_line(by), did, name)
    with create_session() as session:
        session.add(Log(event=f"anonymisation: {did}", owner=by, extra=name, dag_id=DAG_ID))


def _webp(picture: OpenPicture, size: Size, later: BackgroundTasks) -> Response:
    try:
        data = review_pictures.thumbnail(picture.workspace, picture.folder.path, picture.row, size)
    except (NotShownError, OSError):
        raise HTTPException(404, "There is no such picture") from None
    if picture.folder.site.sweeper.is_due():
        later.add_task(picture.folder.site.sweeper.sweep)
    return Response(data, media_type="image/webp", headers={"Cache-Control": KEPT})
