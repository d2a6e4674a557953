"""The review queue: the pictures that a person should look at, and the forms for the person's answer."""

from __future__ import annotations

import heapq
import logging
import re
from collections.abc import Iterable
from typing import Annotated, Final

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Form, HTTPException, Request
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse, RedirectResponse

from anonymisation.core.errors import AnonymisationError, FolderLockedError
from anonymisation.core.text import one_line
from anonymisation.review import images as review_pictures
from anonymisation.review.index import edition, is_reviewed
from anonymisation.review.model import NOTHING, Box, Review
from anonymisation.review.rows import Row
from anonymisation.review.store import MAX_REASON, add_box, folder_with_key, latest_folders, mark_ok, withdraw_box
from anonymisation_airflow.operations.pages.nights import PageNumber
from anonymisation_airflow.operations.pages.paging import Paging
from anonymisation_airflow.operations.pages.pictures import PICTURE, record_access
from anonymisation_airflow.operations.runs.stored_run import read_run
from anonymisation_airflow.operations.web.access import reviewing
from anonymisation_airflow.operations.web.rendering import page
from anonymisation_airflow.operations.web.site import KEY_PATTERN, OpenPicture, PictureDep, Site, SiteDep, folder_key

router: Final = APIRouter()
QUEUE_A_PAGE: Final = 30
QUEUE_LENGTH: Final = 500
LATEST_FOLDERS: Final = 50
Percent = Annotated[float, Form(ge=0, le=100, allow_inf_nan=False)]
QueueForm = Annotated[str, Form(alias="queue")]
ShownForm = Annotated[str, Form(alias="shown")]  # the edition of the picture that the page showed
Answer = RedirectResponse


@router.get("/review")
def queue(
    request: Request, site: SiteDep, user: GetUserDep, run: str = "", folder: str = "", number: PageNumber = 1
) -> HTMLResponse:
    """Show the least certain pictures of a folder, of a run, or of the folders masked last."""
    waiting = least_certain(site, folders_in_question(site, run, folder))
    paging = Paging(number, QUEUE_A_PAGE, len(waiting))
    listed = waiting[paging.first : paging.last]
    return page(
        request, site, user, "review.html", pictures=listed, paging=paging, run=run, folder=folder,
        latest=LATEST_FOLDERS,
    )  # fmt: skip


@router.post(f"{PICTURE}/ok", dependencies=[*reviewing])
def call_ok(
    request: Request, picture: PictureDep, user: GetUserDep, shown: ShownForm = "", queue: QueueForm = ""
) -> Answer:
    """Record that no region is missing on the picture, and show the next picture of the queue.

    If the picture changed after the person opened the page, nothing is recorded and the page is shown again.
    """
    if shown != edition(picture.row, _review(picture)):
        return _redirect(request, picture, queue, "changed", stay=True)
    mark_ok(picture.folder.site.state_root, picture.folder.path, picture.row.name, picture.row.version, user.get_name())
    return _redirect(request, picture, queue, "ok")


@router.post(f"{PICTURE}/boxes", dependencies=[*reviewing])
def mark_more(
    request: Request,
    picture: PictureDep,
    user: GetUserDep,
    top: Percent,
    left: Percent,
    bottom: Percent,
    right: Percent,
    shown: ShownForm = "",
    queue: QueueForm = "",
) -> Answer:
    """Store a box, given in percent of the upright picture, and hide its region at once unless the folder is locked."""
    from anonymisation.review.apply import remask_folder  # imports OpenCV, which only this route needs

    box = _box(picture, top, left, bottom, right)
    record_access(picture, user.get_name(), "marked a region to hide")
    # A box drawn on an older edition is hidden too, but does not count as a review of the current edition.
    seen = picture.row.version if shown == edition(picture.row, _review(picture)) else ""
    try:
        add_box(picture.folder.site.state_root, picture.folder.path, picture.row.name, box, user.get_name(), seen)
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    try:
        done = picture.row.name in remask_folder(picture.workspace, picture.folder.path)
    except FolderLockedError:
        done = False
    except (AnonymisationError, OSError) as error:
        details = one_line(picture.path), one_line(str(error))
        logging.getLogger(__name__).error("%s: the region is stored, but not hidden yet: %s", *details)
        done = False
    return _redirect(request, picture, queue, "hidden" if done else "waiting", stay=True)


@router.post(f"{PICTURE}/boxes/{{number}}/withdraw", dependencies=[*reviewing])
def withdraw(
    request: Request,
    picture: PictureDep,
    user: GetUserDep,
    number: Annotated[int, PathParameter(ge=0)],
    reason: Annotated[str, Form(min_length=1, max_length=MAX_REASON)],
    queue: QueueForm = "",
) -> Answer:
    """Record that later maskings do not hide a box. Nothing is uncovered: a region that is hidden now stays hidden."""
    if not reason.strip():
        raise HTTPException(422, "Give a reason for withdrawing the region")
    if number not in {added.number for added in _review(picture).active}:
        raise HTTPException(409, "There is no such region, or the region is already withdrawn")
    record_access(picture, user.get_name(), "withdrew a marked region", " ".join(reason.split()))
    try:
        withdraw_box(
            picture.folder.site.state_root, picture.folder.path, picture.row.name, number, user.get_name(), reason
        )
    except ValueError as error:  # another reviewer was faster
        raise HTTPException(409, str(error)) from None
    return _redirect(request, picture, queue, "withdrawn", stay=True)


def folders_in_question(site: Site, run: str, key: str) -> list[str]:
    """Return the folders whose queue the request selects.

    Raises:
        HTTPException: 404 for a folder or run that does not exist.
    """
    if key:
        found = folder_with_key(site.state_root, key) if re.fullmatch(KEY_PATTERN, key) else None
        if found is None:
            raise HTTPException(404, "There is no such folder")
        return [found]
    if run:
        stored = read_run(run)
        if stored is None:
            raise HTTPException(404, "There is no such run")
        return [report.folder for report in stored.report().folders]
    return latest_folders(site.state_root, LATEST_FOLDERS)


def least_certain(site: Site, folders: Iterable[str]) -> list[tuple[str, str, Row, Review]]:
    """Return the pictures that nobody has reviewed, the least certain first, as (folder, its key, row, review)."""

    def rows() -> Iterable[tuple[str, Row, Review]]:
        for folder in folders:
            reviews = site.cache.reviews(folder)[1]
            for row in site.cache.doubtful(folder):
                review = reviews.get(row.name, NOTHING)
                if not is_reviewed(row, review):
                    yield folder, row, review

    found = heapq.nsmallest(QUEUE_LENGTH, rows(), key=lambda item: (not item[1].failed, -item[1].doubt, *item[:1]))
    return [(folder, folder_key(site, folder), row, review) for folder, row, review in found]


def _review(picture: OpenPicture) -> Review:
    return picture.folder.site.cache.reviews(picture.folder.path)[1].get(picture.row.name, NOTHING)


def _box(picture: OpenPicture, top: float, left: float, bottom: float, right: float) -> Box:
    try:
        orientation = review_pictures.orientation_of(picture.workspace, picture.folder.path, picture.row)
        return review_pictures.stored(Box(top / 100, left / 100, bottom / 100, right / 100), orientation)
    except ValueError as error:
        raise HTTPException(422, f"This is not a box: {error}") from None
    except (AnonymisationError, OSError):
        raise HTTPException(409, "There is no masked picture to mark a region on") from None


def _redirect(request: Request, picture: OpenPicture, queue: str, said: str, *, stay: bool = False) -> Answer:
    """Redirect to the picture, or to the next picture of the queue that the person is working through."""
    base = request.scope.get("root_path", "").rstrip("/")
    key, row = picture.folder.key, picture.row
    if queue and not stay:
        site = picture.folder.site
        folders = [picture.folder.path] if queue == "folder" else latest_folders(site.state_root, LATEST_FOLDERS)
        following = next(iter(least_certain(site, folders)), None)
        if following is None:
            return RedirectResponse(f"{base}/review", 303)
        _, key, row, _ = following
    kind = queue if queue in {"folder", "all"} else ""
    query = f"said={said}" + (f"&queue={kind}" if kind else "")
    return RedirectResponse(f"{base}/folders/{key}/pictures/{row.key}?{query}", 303)
