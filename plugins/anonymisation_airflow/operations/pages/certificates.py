"""The pages of certificates: draw a sample, judge its pictures, and issue the result."""

from __future__ import annotations

import base64
import fnmatch
import hashlib
from typing import Annotated, Final

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from anonymisation.files.plain import read_plain
from anonymisation.review.certificate.actions import CertificateError, draw_sample, draw_stage, issue_certificate
from anonymisation.review.certificate.document import in_words
from anonymisation.review.certificate.overview import Entry
from anonymisation.review.certificate.sample import Plan
from anonymisation.review.certificate.store import CERTIFICATE, PRINT, place_of
from anonymisation.review.store import known_folders
from anonymisation.review.values import ID_PATTERN
from anonymisation_airflow.operations.pages.nights import PageNumber
from anonymisation_airflow.operations.pages.paging import Paging
from anonymisation_airflow.operations.runs.stored_run import read_run
from anonymisation_airflow.operations.web.access import originals_allowed, reviewing
from anonymisation_airflow.operations.web.rendering import page
from anonymisation_airflow.operations.web.site import Site, SiteDep

router: Final = APIRouter()
CERTIFICATES_A_PAGE: Final = 20
Identity = Annotated[str, PathParameter(pattern=f"^{ID_PATTERN}$")]
Percent = Annotated[float, Form(gt=0, lt=100, allow_inf_nan=False)]
Share = Annotated[float, Form(ge=0, le=100, allow_inf_nan=False)]
Count = Annotated[int, Form(ge=0, le=1000)]


def open_entry(site: SiteDep, identity: Identity) -> Entry:
    """Return the sample with this ID.

    Raises:
        HTTPException: 404 if there is none.
    """
    entry = site.certificates.entry(identity)
    if entry is None:
        raise HTTPException(404, "There is no such certificate")
    return entry


EntryDep = Annotated[Entry, Depends(open_entry)]


@router.get("/certificates")
def list_certificates(
    request: Request, site: SiteDep, user: GetUserDep, run: str = "", number: PageNumber = 1
) -> HTMLResponse:
    """List all samples with their results, and show the form that draws one (of a run, with `run`)."""
    if run and read_run(run) is None:
        raise HTTPException(404, "There is no such run")
    entries = site.certificates.entries()
    paging = Paging(number, CERTIFICATES_A_PAGE, len(entries))
    shown = site.certificates.with_verdicts(entries[paging.first : paging.last])
    return page(
        request, site, user, "certificates.html", shown=shown, paging=paging, run=run, plan=Plan(), in_words=in_words
    )


@router.post("/certificates", dependencies=[*reviewing])
def draw(
    request: Request,
    site: SiteDep,
    user: GetUserDep,
    bound: Percent,
    confidence: Annotated[float, Form(gt=50, lt=100, allow_inf_nan=False)],
    tolerated: Count,
    second: Share,
    seeded: Count,
    title: Annotated[str, Form(max_length=200)] = "",
    folders: Annotated[str, Form(max_length=500)] = "",
    run: Annotated[str, Form(max_length=250)] = "",
) -> RedirectResponse:
    """Draw a sample of the masked pictures of a run, or of the folders that a shell pattern matches."""
    if seeded and not originals_allowed(user):
        raise HTTPException(403, "Forbidden: copies with a visible object are for people who may see originals")
    names = _folders_of(site, run, folders)
    plan = Plan(bound / 100, confidence / 100, tolerated, second / 100, seeded)
    title = " ".join(title.split()) or run or folders.strip() or "All folders"
    try:
        sample = draw_sample(site.workspace, names, plan, title=title, by=user.get_name(), run=run)
    except CertificateError as error:
        raise HTTPException(409, f"No sample is drawn: {error}") from None
    return _to(request, f"/{sample.id}")


@router.get("/certificates/{identity}")
def show(request: Request, site: SiteDep, user: GetUserDep, entry: EntryDep, said: str = "") -> HTMLResponse:
    """Show how far the review of a sample is, and what its certificate says."""
    statements = [] if entry.certificate is None else in_words(entry.certificate)
    ((_, void),) = site.certificates.with_verdicts([entry])
    return page(
        request, site, user, "certificate.html",
        entry=entry, sample=entry.sample, statements=statements, said=said,
        void=void,
    )  # fmt: skip


@router.post("/certificates/{identity}/issue", dependencies=[*reviewing])
def issue(request: Request, site: SiteDep, user: GetUserDep, entry: EntryDep) -> RedirectResponse:
    """Issue the certificate of a sample whose pictures are all judged."""
    try:
        issue_certificate(site.workspace, entry.sample, by=user.get_name())
    except CertificateError as error:
        raise HTTPException(409, f"The certificate is not issued: {error}") from None
    return _to(request, f"/{entry.sample.id}", "issued")


@router.post("/certificates/{identity}/more", dependencies=[*reviewing])
def more(
    request: Request, site: SiteDep, entry: EntryDep, pictures: Annotated[int, Form(ge=1, le=100_000)]
) -> RedirectResponse:
    """Draw a further stage of a sample whose pictures are all judged."""
    if not entry.left.is_complete:
        raise HTTPException(409, "Judge the pictures that are drawn already before you draw more")
    try:
        draw_stage(site.workspace, entry.sample, pictures)
    except CertificateError as error:
        raise HTTPException(409, f"No more pictures are drawn: {error}") from None
    return _to(request, f"/{entry.sample.id}", "more")


@router.get("/certificates/{identity}/print")
def printed(site: SiteDep, entry: EntryDep) -> Response:
    """Send the certificate as it was issued, for print. Its own style is in the page; nothing else is loaded."""
    data = _issued_file(site, entry, PRINT)
    style = base64.b64encode(hashlib.sha256(data.partition(b"<style>")[2].partition(b"</style>")[0]).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; frame-ancestors 'self'"
    return HTMLResponse(data, headers={"Content-Security-Policy": policy})


@router.get("/certificates/{identity}/json")
def document(site: SiteDep, entry: EntryDep) -> Response:
    """Send the certificate as a file, which `anonymise certificate verify` verifies."""
    name = f"certificate_{entry.sample.id}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(_issued_file(site, entry, CERTIFICATE), media_type="application/json", headers=headers)


def _issued_file(site: Site, entry: Entry, name: str) -> bytes:
    try:
        return read_plain(place_of(site.state_root, entry.sample.id) / name)
    except FileNotFoundError:
        raise HTTPException(404, "This certificate has not been issued") from None


def _folders_of(site: Site, run: str, pattern: str) -> list[str]:
    """Return the folders of a run, or those that the pattern matches; an empty pattern matches all.

    Raises:
        HTTPException: 404 for a run that does not exist, 422 for a pattern that matches nothing.
    """
    if run:
        stored = read_run(run)
        if stored is None:
            raise HTTPException(404, "There is no such run")
        return [report.folder for report in stored.report().folders]
    wanted = pattern.strip()
    known = list(known_folders(site.state_root))
    below = f"{wanted.rstrip('/')}/"
    names = [one for one in known if not wanted or one.startswith(below) or fnmatch.fnmatchcase(one, wanted)]
    if not names:
        raise HTTPException(422, "No folder matches the pattern")
    return names


def _to(request: Request, path: str, said: str = "") -> RedirectResponse:
    base = request.scope.get("root_path", "").rstrip("/")
    return RedirectResponse(f"{base}/certificates{path}" + (f"?said={said}" if said else ""), 303)
