"""Verify an issued certificate: in itself, and against the pictures as they are now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from anonymisation.core.errors import AnonymisationError
from anonymisation.core.text import counted
from anonymisation.files.plain import sha256_of_plain
from anonymisation.review.certificate.document import FORMAT, KIND, Issue, NotCompleteError, certificate_of, digest_of
from anonymisation.review.certificate.judgements import Judgement, judged
from anonymisation.review.certificate.population import Population, read_population
from anonymisation.review.certificate.sample import Drawn, Sample, order_of
from anonymisation.review.certificate.store import read_certificate
from anonymisation.review.images import NotShownError, Size, upright_masked
from anonymisation.review.model import NOTHING, Review
from anonymisation.review.rows import KnownRows
from anonymisation.review.store import read_reviews
from anonymisation.workspace.workspace import Workspace

_MOST_NAMED: Final = 5
# What numbers and names of a forged certificate may raise.
_NO_SAMPLE: Final = (ArithmeticError, LookupError, TypeError, ValueError)


class NoCertificateError(AnonymisationError):
    """The file is no certificate that this version of the software can read."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """`problems`: why the certificate is not valid; `notes`: what else changed since, which it allows for."""

    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Whether nothing speaks against the certificate."""
        return not self.problems

    def with_more(self, other: Verdict) -> Verdict:
        """Both verdicts together."""
        return Verdict((*self.problems, *other.problems), (*self.notes, *other.notes))


def verify_document(values: dict[str, Any]) -> Verdict:
    """Compute everything that the certificate states again, from its own sample and judgements.

    Raises:
        NoCertificateError: it is no certificate, or that of a newer version.
    """
    sample, issue, lines = _parts(values)
    problems = []
    if values.get("digest") != digest_of(values):
        problems.append("its digest does not match its content: it was changed after it was issued")
    try:
        again = certificate_of(sample, judged(lines), issue)
    except NotCompleteError as error:
        return Verdict((*problems, f"it should not have been issued: {error}"))
    except _NO_SAMPLE as error:
        return Verdict((*problems, f"its sample cannot be: {error}"))
    changed = sorted(key for key in again if key != "digest" and values.get(key) != again[key])
    if changed:
        problems.append(f"its sample and judgements give other values of {', '.join(changed)}")
    return Verdict(tuple(problems))


def verify_pictures(values: dict[str, Any], workspace: Workspace) -> Verdict:
    """Compare the certificate with the state of its folders and with the masked pictures of the sample.

    Raises:
        NoCertificateError: as `verify_document`.
        ShareUnavailableError: the state of a folder cannot be read.
    """
    sample = _parts(values)[0]
    population = read_population(workspace.shares.state, (count.folder for count in sample.folders))
    problems, notes = changed_folders(sample, population.digests), list[str]()
    if sample.is_drawn_from(population):
        problems += _not_as_drawn(sample, population)
    elif not problems:
        notes.append("the draw cannot be repeated, since the state no longer knows what the model found")
    other, missing = _differs_from_kept(values, sample, workspace)
    problems, notes = [*problems, *other], [*notes, *missing]
    reviews = {count.folder: read_reviews(workspace.shares.state, count.folder) for count in sample.folders}
    known = {(one.folder, one.name) for one in population.candidates}
    rows, damaged, corrected = KnownRows(workspace.shares.state), list[str](), 0
    for one in sample.pictures:
        if (one.folder, one.name) not in known:  # no file that a forged name leads to is opened
            damaged.append(f"{one.folder}/{one.name}")
        elif _file_digest(workspace, one) != one.sha256:
            review = reviews[one.folder].get(one.name, NOTHING)
            if _was_corrected(review, sample.at) and _is_masked(workspace, one, rows):
                corrected += 1
            else:
                damaged.append(f"{one.folder}/{one.name}")
    if damaged:
        files = counted(len(damaged), "picture of the sample has", "pictures of the sample have")
        problems.append(f"{files} another file than the one that was judged: {_some(damaged)}")
    if corrected:
        pictures = counted(corrected, "picture was", "pictures were")
        notes.append(f"{pictures} corrected after the draw: more is hidden now")
    return Verdict(tuple(problems), tuple(notes))


def changed_folders(sample: Sample, current: Mapping[str, str]) -> list[str]:
    """Which folders are not as they were when the sample was drawn, in words; `current` has their digests now."""
    changed = [count.folder for count in sample.folders if current[count.folder] != count.digest]
    return [f"pictures of {_some(changed)} were masked again, added or removed since the draw"] if changed else []


def _parts(values: dict[str, Any]) -> tuple[Sample, Issue, list[Judgement]]:
    if values.get("kind") != KIND:
        raise NoCertificateError("the file is no certificate; give the certificate.json that was issued")
    if not isinstance(values.get("format"), int) or values["format"] > FORMAT:
        raise NoCertificateError("the certificate comes from a newer version of the software; verify it with that")
    try:
        return (
            msgspec.convert(values.get("sample"), Sample),
            msgspec.convert(values.get("issued"), Issue),
            msgspec.convert(values.get("judgements"), list[Judgement]),
        )
    except msgspec.ValidationError as error:
        raise NoCertificateError(f"the certificate is damaged: {error}") from None


def _not_as_drawn(sample: Sample, population: Population) -> list[str]:
    """Repeat the draw from the seed: whether the sample holds the first pictures of every stratum in random order."""
    drawn: dict[int, set[tuple[str, str]]] = {}
    for one in sample.pictures:
        drawn.setdefault(one.stratum, set()).add((one.folder, one.name))
    wrong = 0
    for at, (stratum, members) in enumerate(zip(sample.strata, order_of(sample, population), strict=True)):
        first = {(one.folder, one.name) for one in members[: stratum.drawn]}
        wrong += first != drawn.get(at, set())
    return [f"{wrong} of {len(sample.strata)} strata hold other pictures than the seed draws"] if wrong else []


def _differs_from_kept(
    values: dict[str, Any], sample: Sample, workspace: Workspace
) -> tuple[Sequence[str], Sequence[str]]:
    """Problems and notes from the certificate that the state keeps under this ID."""
    try:
        kept = read_certificate(workspace.shares.state, sample.id)
    except ValueError:
        return ["its ID is none"], []
    if kept is None or kept.get("stages", 0) < sample.stages:
        return [], ["the state folder does not hold this certificate, so nobody can say here that it was issued"]
    if kept["stages"] > sample.stages:
        return [], ["a certificate of more pictures was issued from this sample later"]
    return ([] if kept == values else ["it is not the certificate that was issued under this ID"]), []


def _is_masked(workspace: Workspace, one: Drawn, rows: KnownRows) -> bool:
    """Whether the file of a corrected picture decodes and was made from its original by this software."""
    row = rows.of(one.folder, one.name)
    try:
        return row is not None and bool(upright_masked(workspace, one.folder, row, Size.SMALL))
    except (NotShownError, OSError):
        return False


def _file_digest(workspace: Workspace, one: Drawn) -> str:
    try:
        return sha256_of_plain(workspace.picture(one.folder, one.name).masked)
    except OSError:
        return ""


def _was_corrected(review: Review, since: str) -> bool:
    """Whether a region that a reviewer drew after the draw is hidden in the picture."""
    return any(added.number in review.hidden and added.at >= since for added in review.boxes)


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _MOST_NAMED} more" if len(listed) > _MOST_NAMED else ""
    return ", ".join(listed[:_MOST_NAMED]) + more
