"""The pages of the nights, of one night, and of the capture folders; style and scripts."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Final

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response

from anonymisation.review.certificate.overview import Entry
from anonymisation.review.store import known_folders
from anonymisation_airflow.deployment import DAG_ID
from anonymisation_airflow.operations.pages.paging import Paging
from anonymisation_airflow.operations.runs.nights_view import totals_of, view_night
from anonymisation_airflow.operations.runs.reasons import MAX_REASONS, reasons
from anonymisation_airflow.operations.runs.stored_run import count_nights, nights, read_run
from anonymisation_airflow.operations.web.rendering import OPERATIONS, page
from anonymisation_airflow.operations.web.site import Site, SiteDep, folder_key

router: Final = APIRouter()
NIGHTS_A_PAGE: Final = 20
FOLDERS_A_PAGE: Final = 100
STATIC: Final = {
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "draw.js": "text/javascript; charset=utf-8",
    "regions.js": "text/javascript; charset=utf-8",
    "judge.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "icon-dark.svg": "image/svg+xml",
}
PageNumber = Annotated[int, Query(alias="page", ge=1, le=1_000_000)]


@router.get("/")
def list_nights(request: Request, site: SiteDep, user: GetUserDep, number: PageNumber = 1) -> HTMLResponse:
    """List every run with its totals, the newest first."""
    paging = Paging(number, NIGHTS_A_PAGE, count_nights())
    shown = list(nights(paging.first, NIGHTS_A_PAGE))
    certificates = certified(site, *(night.run_id for night in shown))
    listed = [(night, totals_of(site, night), certificates.get(night.run_id)) for night in shown]
    return page(request, site, user, "nights.html", nights=listed, paging=paging)


@router.get("/runs/{run_id}")
def show_night(
    request: Request,
    run_id: str,
    site: SiteDep,
    user: GetUserDep,
    dag: str = DAG_ID,
    show: str = "",
    number: PageNumber = 1,
) -> HTMLResponse:
    """Show one run: its folders, or those in the state `show`, page by page, and what failed, by reason."""
    run = read_run(run_id) if dag == DAG_ID else None
    if run is None:
        raise HTTPException(404, f"There is no such run of {DAG_ID}")
    view = view_night(site, run)
    found = Counter(line.state for line in view.lines)
    lines = [line for line in view.lines if show not in found or line.state == show]
    paging = Paging(number, FOLDERS_A_PAGE, len(lines))
    return page(
        request, site, user, "night.html",
        view=view, certified=certified(site, run_id).get(run_id),
        states_found=found.most_common(), show=show if show in found else "", paging=paging,
        shown=lines[paging.first : paging.last], reasons=reasons(view.lines), most_reasons=MAX_REASONS,
    )  # fmt: skip


def certified(site: Site, *runs: str) -> dict[str, tuple[Entry, str]]:
    """Return the sample of each run that has one, and why it says nothing any more (empty while it does)."""
    known = site.certificates.by_run()
    entries = [known[run] for run in runs if run in known]
    return {entry.sample.run: (entry, void) for entry, void in site.certificates.with_verdicts(entries)}


@router.get("/folders")
def list_folders(
    request: Request, site: SiteDep, user: GetUserDep, number: PageNumber = 1, find: str = ""
) -> HTMLResponse:
    """List every capture folder that a run has worked on."""
    wanted = find.strip().casefold()
    folders = [folder for folder in known_folders(site.state_root) if wanted in folder.casefold()]
    paging = Paging(number, FOLDERS_A_PAGE, len(folders))
    listed = [(folder, folder_key(site, folder)) for folder in folders[paging.first : paging.last]]
    return page(request, site, user, "folders.html", folders=listed, paging=paging, find=find)


@router.get("/static/{name}")
def static(name: str) -> Response:
    """Send the style, a script or an icon of the page."""
    if name not in STATIC:
        raise HTTPException(404, "There is no such file")
    return Response((OPERATIONS / "static" / name).read_bytes(), media_type=STATIC[name])
