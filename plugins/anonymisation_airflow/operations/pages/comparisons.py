"""The pages of comparisons: what two models or settings hide differently, and what people say of it."""

from __future__ import annotations

from typing import Annotated, Final

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from anonymisation.files.digests import name_digest
from anonymisation.review.audit import note_look
from anonymisation.review.comparison.crops import framed
from anonymisation.review.comparison.store import add_saying, read_sayings, read_studies, read_study
from anonymisation.review.comparison.study import Region, Study, in_words, result_of
from anonymisation.review.images import NotShownError
from anonymisation.review.values import ID_PATTERN
from anonymisation_airflow.operations.web.access import reviewing, seeing_originals
from anonymisation_airflow.operations.web.rendering import page
from anonymisation_airflow.operations.web.site import SiteDep

router: Final = APIRouter()
REGION: Final = "/comparisons/{identity}/regions/{number}"


def open_study(site: SiteDep, identity: Annotated[str, PathParameter(pattern=f"^{ID_PATTERN}$")]) -> Study:
    """Return the comparison with this ID.

    Raises:
        HTTPException: 404 if there is none.
    """
    study = read_study(site.state_root, identity)
    if study is None:
        raise HTTPException(404, "There is no such comparison")
    return study


StudyDep = Annotated[Study, Depends(open_study)]


def open_region(study: StudyDep, number: Annotated[int, PathParameter(ge=1)]) -> Region:
    """Return the region with this number.

    Raises:
        HTTPException: 404 if the comparison has none.
    """
    if number > len(study.regions):
        raise HTTPException(404, "The comparison has no such region")
    return study.regions[number - 1]


RegionDep = Annotated[Region, Depends(open_region)]


@router.get("/comparisons")
def list_comparisons(request: Request, site: SiteDep, user: GetUserDep) -> HTMLResponse:
    """List all comparisons, the newest first."""
    studies = [(study, len(read_sayings(site.state_root, study.id))) for study in read_studies(site.state_root)]
    return page(request, site, user, "comparisons.html", studies=studies)


@router.get("/comparisons/{identity}")
def show(request: Request, site: SiteDep, user: GetUserDep, study: StudyDep) -> HTMLResponse:
    """Show how far a comparison is judged, and its result."""
    result = result_of(study, read_sayings(site.state_root, study.id))
    # Before everything is judged, no bound holds.
    sentences = in_words(study, result) if study.regions and result.judged == len(study.regions) else []
    hidden = {
        side: sum(getattr(one, f"hidden_{side}") / (one.height * one.width) for one in study.pictures)
        / len(study.pictures)
        for side in ("a", "b")
    }
    return page(
        request, site, user, "comparison.html",
        study=study, result=result, hidden=hidden, sentences=sentences,
    )  # fmt: skip


@router.get("/comparisons/{identity}/next", dependencies=[seeing_originals])
def following(request: Request, site: SiteDep, study: StudyDep) -> RedirectResponse:
    """Show the next region that nobody has judged."""
    return _to_next(request, site, study)


@router.get(REGION, dependencies=[seeing_originals])
def region_page(request: Request, site: SiteDep, user: GetUserDep, study: StudyDep, region: RegionDep) -> HTMLResponse:
    """Show the original around one region, and the form that judges it."""
    sayings = read_sayings(site.state_root, study.id)
    ahead = next((one.number for one in study.regions if one.number not in sayings and one is not region), None)
    return page(
        request, site, user, "difference.html",
        study=study, region=region, ahead=ahead, judged=len(sayings), said=sayings.get(region.number),
    )  # fmt: skip


@router.get(f"{REGION}/image", dependencies=[seeing_originals])
def image(site: SiteDep, user: GetUserDep, study: StudyDep, region: RegionDep) -> Response:
    """Send the original around the region. The access is recorded first."""
    picture = study.pictures[region.picture]
    note_look(site.state_root, user.get_name(), "looked at a part of the original", f"{picture.folder}/{picture.name}")
    row = site.cache.index(picture.folder).row(name_digest(picture.name))
    try:
        data = framed(site.workspace, study, region, row)
    except NotShownError as error:
        raise HTTPException(404, str(error)) from None
    return Response(data, media_type="image/webp")


@router.post(REGION, dependencies=[seeing_originals, *reviewing])
def say(
    request: Request,
    site: SiteDep,
    user: GetUserDep,
    study: StudyDep,
    region: RegionDep,
    is_object: Annotated[bool, Form()],
) -> RedirectResponse:
    """Record whether the region shows a person or vehicle, and show the next one."""
    add_saying(site.state_root, study, region.number, user.get_name(), is_object=is_object)
    return _to_next(request, site, study)


def _to_next(request: Request, site: SiteDep, study: Study) -> RedirectResponse:
    sayings = read_sayings(site.state_root, study.id)
    base = f"{request.scope.get('root_path', '').rstrip('/')}/comparisons/{study.id}"
    number = next((one.number for one in study.regions if one.number not in sayings), None)
    return RedirectResponse(base if number is None else f"{base}/regions/{number}", 303)
