"""What a person does with a certificate: draw a sample, draw more, and issue the result."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from anonymisation.core.errors import AnonymisationError
from anonymisation.files.plain import sha256_of_plain
from anonymisation.review.certificate.document import Issue, NotCompleteError, certificate_of
from anonymisation.review.certificate.population import Population, read_population
from anonymisation.review.certificate.printed import printed_page
from anonymisation.review.certificate.sample import Drawn, Plan, Sample, draw, draw_more
from anonymisation.review.certificate.seeded import remove_seeded, seed
from anonymisation.review.certificate.shown import remove_seen
from anonymisation.review.certificate.store import (
    first_judged,
    keep_certificate,
    keep_sample,
    now,
    read_judgements,
    read_samples,
)
from anonymisation.review.certificate.verify import changed_folders
from anonymisation.review.printing import PROGRAM
from anonymisation.workspace.workspace import Workspace

_HOW_TO_JUDGE: Final = (
    "judge them on the operations page or with `anonymise certificate judge`; a second judgement is another person's "
    "(--by NAME)"
)


class CertificateError(AnonymisationError):
    """The sample cannot be drawn, or its certificate cannot be issued now."""


def draw_sample(
    workspace: Workspace, folders: Iterable[str], plan: Plan, *, title: str, by: str, run: str = ""
) -> Sample:
    """Draw a sample of the masked pictures of `folders` (those of a `run`, where one was chosen), and store it.

    Raises:
        CertificateError: no picture of the folders is masked, or the plan's bound is out of reach.
        ShareUnavailableError: the state or a masked picture cannot be read, or the sample cannot be written.
    """
    state_root = workspace.shares.state
    population = read_population(state_root, folders)
    try:
        earlier = _earlier_looks(state_root, population)
        sample = draw(population, plan, title=title, by=by, at=now(), earlier=earlier, run=run)
    except ValueError as error:
        raise CertificateError(str(error)) from None
    if plan.seeded:
        sample = seed(workspace, sample, population)
    sample = _with_checksums(workspace, sample)
    keep_sample(state_root, sample)
    return sample


def draw_stage(workspace: Workspace, sample: Sample, more: int) -> Sample:
    """Draw about `more` pictures more for a sample whose pictures are all judged, and store it.

    Raises:
        CertificateError: pictures changed since the draw, or none is left.
        ShareUnavailableError: as `draw_sample`.
    """
    state_root = workspace.shares.state
    population = read_population(state_root, (count.folder for count in sample.folders))
    try:
        larger = _with_checksums(workspace, draw_more(sample, population, more))
    except ValueError as error:
        raise CertificateError(str(error)) from None
    keep_sample(state_root, larger)
    return larger


def issue_certificate(workspace: Workspace, sample: Sample, *, by: str) -> Path:
    """Issue the certificate of a sample, and remove its copies with known faults; returns the page for print.

    Raises:
        CertificateError: pictures are not judged yet, or were masked again since the draw.
        ShareUnavailableError: the state cannot be read, or the certificate cannot be written.
    """
    state_root = workspace.shares.state
    population = read_population(state_root, (count.folder for count in sample.folders))
    changed = changed_folders(sample, population.digests)
    if changed:
        raise CertificateError(f"{changed[0]}; draw a new sample")
    classes = workspace.settings.hidden_classes
    looks = tuple(_earlier_looks(state_root, population, sample))
    if looks != sample.earlier:  # another sample of these pictures was judged between the draw and the first judgement
        sample = replace(sample, earlier=looks)
        keep_sample(state_root, sample)
    try:
        values = certificate_of(sample, read_judgements(state_root, sample.id), Issue(by, now(), PROGRAM, classes))
    except NotCompleteError as error:
        raise CertificateError(f"{sample.id}: {error}; {_HOW_TO_JUDGE}") from None
    page = keep_certificate(state_root, sample.id, msgspec.json.encode(values), printed_page(values))
    remove_seeded(state_root, sample.id)
    remove_seen(state_root, sample.id)
    return page


def _earlier_looks(state_root: Path, population: Population, sample: Sample | None = None) -> list[str]:
    """The stages of other samples of these unchanged pictures that were judged before the last stage of `sample`.

    Each is one look. Without them, a person could draw samples until one of them is good. What counts is when the first
    picture of a stage was judged, since nobody knows anything about the result before: so no two stages are the same
    look, also if their samples were drawn at the same time. None: every stage that somebody has judged counts.
    """
    digests = {(count.folder, count.digest) for count in population.folders if count.masked}
    own = None if sample is None else first_judged(state_root, sample).get(sample.stages)
    looks = []
    for other in read_samples(state_root):
        shared = digests & {(count.folder, count.digest) for count in other.folders}
        if not shared or (sample is not None and other.id == sample.id):
            continue
        for stage, at in first_judged(state_root, other).items():
            if sample is None or own is None or (at, other.id) < (own, sample.id):
                looks.append((at, f"{other.id} stage {stage}"))
    return [name for _, name in sorted(looks)]


def _with_checksums(workspace: Workspace, sample: Sample) -> Sample:
    """With the checksums of the masked pictures' files, where they are not known yet; a missing file has none."""
    return replace(sample, pictures=tuple(_with_checksum(workspace, one) for one in sample.pictures))


def _with_checksum(workspace: Workspace, one: Drawn) -> Drawn:
    if one.sha256:
        return one
    try:
        return replace(one, sha256=sha256_of_plain(workspace.picture(one.folder, one.name).masked))
    except FileNotFoundError:  # whoever judges it sees no picture, and can only call it missed
        return one
