"""The page on which a reviewer judges the pictures of a sample, one after the other, with the keyboard."""

from __future__ import annotations

import logging
from typing import Annotated, Final

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from anonymisation.core.errors import AnonymisationError, FolderLockedError
from anonymisation.core.text import one_line
from anonymisation.files.digests import name_digest
from anonymisation.review import images
from anonymisation.review.audit import note_look
from anonymisation.review.certificate.judgements import next_number
from anonymisation.review.certificate.overview import Entry
from anonymisation.review.certificate.sample import Drawn, SeededFault
from anonymisation.review.certificate.shown import (
    MaskedAgainError,
    at_number,
    keep_as_seen,
    require_as_drawn,
    shown_picture,
)
from anonymisation.review.certificate.store import Place, add_judgement
from anonymisation.review.images import NotShownError
from anonymisation.review.model import Box
from anonymisation.review.rows import Row
from anonymisation.review.store import add_box
from anonymisation_airflow.operations.pages.certificates import EntryDep
from anonymisation_airflow.operations.pages.pictures import record_access
from anonymisation_airflow.operations.web.access import may_review, originals_allowed, reviewing
from anonymisation_airflow.operations.web.headers import KEPT
from anonymisation_airflow.operations.web.rendering import page
from anonymisation_airflow.operations.web.site import OpenFolder, OpenPicture, Site, SiteDep, folder_key

router: Final = APIRouter()
PICTURE: Final = "/certificates/{identity}/pictures/{number}"
Edge = Annotated[float | None, Form(ge=0, le=100, allow_inf_nan=False)]


def require_reviewer(entry: EntryDep, user: GetUserDep) -> None:
    """Let only reviewers through; a sample with known faults is for those who may see originals.

    Raises:
        HTTPException: 403 for all other users.
    """
    if entry.sample.seeded and not originals_allowed(user):
        raise HTTPException(403, "Forbidden: the sample holds copies with a visible object; you may not see originals")


judging: Final = (Depends(may_review), Depends(require_reviewer))


def open_shown(entry: EntryDep, number: Annotated[int, PathParameter(ge=1)]) -> Drawn | SeededFault:
    """Return what is shown at the number.

    Raises:
        HTTPException: 404 if the sample shows no such picture.
    """
    one = at_number(entry.sample, number)
    if one is None:
        raise HTTPException(404, "The sample shows no such picture")
    return one


ShownDep = Annotated[Drawn | SeededFault, Depends(open_shown)]


@router.get("/certificates/{identity}/next", dependencies=[*judging])
def following(request: Request, site: SiteDep, user: GetUserDep, entry: EntryDep) -> RedirectResponse:
    """Show the next picture that this reviewer is to judge."""
    return _to_next(request, site, entry, user.get_name())


@router.get(PICTURE, dependencies=[*judging])
def judge_page(
    request: Request, site: SiteDep, user: GetUserDep, entry: EntryDep, one: ShownDep, said: str = ""
) -> HTMLResponse:
    """Show one picture, and the form that judges it."""
    others = [number for number in entry.left.without_judgement if number != one.number]
    return page(
        request, site, user, "judge.html", entry=entry, sample=entry.sample, number=one.number, said=said,
        before=one.number - 1, ahead=others[0] if others else None, own=entry.lines.of(one.number).get(user.get_name()),
    )  # fmt: skip


@router.get(f"{PICTURE}/image", dependencies=[*judging])
def image(site: SiteDep, user: GetUserDep, entry: EntryDep, one: ShownDep) -> Response:
    """Send the picture as it was drawn. A look at a copy with a visible object is recorded first."""
    if isinstance(one, SeededFault):
        note_look(site.state_root, user.get_name(), "looked at a copy with a known fault", f"{one.folder}/{one.name}")
    try:
        data = shown_picture(site.workspace, entry.sample, one, _row(site, one))
    except NotShownError as error:
        raise HTTPException(404, str(error)) from None
    except MaskedAgainError as error:
        raise HTTPException(409, str(error)) from None
    return Response(data, media_type="image/webp", headers={"Cache-Control": KEPT})


@router.post(PICTURE, dependencies=[Depends(require_reviewer), *reviewing])
def judge(
    request: Request,
    site: SiteDep,
    user: GetUserDep,
    entry: EntryDep,
    one: ShownDep,
    missed: Annotated[bool, Form()] = False,
    mistake: Annotated[bool, Form()] = False,
    top: Edge = None,
    left: Edge = None,
    bottom: Edge = None,
    right: Edge = None,
) -> RedirectResponse:
    """Record the judgement, hide what is marked, and show the next picture. A marked region means *missed*."""
    edges, hidden = _box_of(top, left, bottom, right), True
    if isinstance(one, Drawn):
        row = _as_drawn(site, one)
        if edges:
            keep_as_seen(site.workspace, entry.sample, one, row)
    try:
        said = add_judgement(
            site.state_root, entry.sample, one.number, user.get_name(),
            missed=missed or edges is not None, mistake=mistake, place=edges,
        )  # fmt: skip
        if edges and isinstance(one, Drawn):
            hidden = _hide(site, one, row, edges, user.get_name())
        elif edges and isinstance(one, SeededFault) and not said.recognises(one.box):  # something else is visible, too
            published = site.cache.index(one.folder).row(name_digest(one.name))
            hidden = published is None or _hide(site, one, published, edges, user.get_name())
    except ValueError as error:
        raise HTTPException(409, str(error)) from None
    return _to_next(request, site, entry, user.get_name(), "" if hidden else "waiting")


def _box_of(*percent: float | None) -> Place | None:
    """The marked region as shares of the upright picture; None if there is none.

    Raises:
        HTTPException: 422 if edges are missing, or the region has no area.
    """
    edges = [edge / 100 for edge in percent if edge is not None]
    if not edges:
        return None
    if len(edges) < 4:
        raise HTTPException(422, "This is not a box: give all four edges")
    try:
        return Box(*edges).as_tuple()
    except ValueError as error:
        raise HTTPException(422, str(error)) from None


def _hide(site: Site, one: Drawn | SeededFault, row: Row, edges: Place, by: str) -> bool:
    """Store the box and hide its region at once; returns whether it is hidden now.

    Raises:
        ValueError: it is no box, or the picture has too many.
    """
    from anonymisation.review.apply import remask_folder  # imports OpenCV, which only this route needs

    orientation = images.orientation_of(site.workspace, one.folder, row)
    box = images.stored(Box(*edges), orientation)
    folder = OpenFolder(site, one.folder, folder_key(site, one.folder), site.cache.index(one.folder))
    record_access(OpenPicture(folder, row), by, "marked a region to hide")
    add_box(site.state_root, one.folder, one.name, box, by, row.version)
    try:
        return one.name in remask_folder(site.workspace, one.folder)
    except FolderLockedError:
        return False
    except (AnonymisationError, OSError) as error:
        details = one_line(f"{one.folder}/{one.name}"), one_line(str(error))
        logging.getLogger(__name__).error("%s: the region is stored, but not hidden yet: %s", *details)
        return False


def _row(site: Site, one: Drawn | SeededFault) -> Row | None:
    return site.cache.index(one.folder).row(name_digest(one.name)) if isinstance(one, Drawn) else None


def _as_drawn(site: Site, one: Drawn) -> Row:
    try:
        return require_as_drawn(one, _row(site, one))
    except (NotShownError, MaskedAgainError) as error:
        raise HTTPException(409, str(error)) from None


def _to_next(request: Request, site: Site, entry: Entry, by: str, said: str = "") -> RedirectResponse:
    current = site.certificates.entry(entry.sample.id) or entry
    number = next_number(current.left, current.lines, by)
    base = f"{request.scope.get('root_path', '').rstrip('/')}/certificates/{entry.sample.id}"
    place = f"{base}?said=done" if number is None else f"{base}/pictures/{number}" + (f"?said={said}" if said else "")
    return RedirectResponse(place, 303)
