"""The files of certificates in the state folder (see `sample` for what each holds)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from filelock import FileLock, Timeout

from anonymisation.core.errors import FolderLockedError, ShareUnavailableError
from anonymisation.files.append_log import AppendLog, read_as
from anonymisation.files.atomic import write_atomically
from anonymisation.files.folders import make_folders
from anonymisation.files.plain import read_plain
from anonymisation.files.reported import reported
from anonymisation.review.certificate.judgements import Judged, Judgement, judged
from anonymisation.review.certificate.sample import FORMAT, Sample
from anonymisation.review.values import ID_PATTERN, ids_below, read_value

SAMPLE: Final = "sample.json"
JUDGEMENTS: Final = "judgements.jsonl"
CERTIFICATE: Final = "certificate.json"
PRINT: Final = "certificate.html"
_LOCK_SECONDS: Final = 10.0
Place = tuple[float, float, float, float]
"""top, left, bottom, right."""


def certificates_folder(state_root: Path) -> Path:
    """The folder of all certificates."""
    return state_root / "certificates"


def place_of(state_root: Path, identity: str) -> Path:
    """The folder of one certificate.

    Raises:
        ValueError: this is not the ID of a certificate.
    """
    if not re.fullmatch(ID_PATTERN, identity):
        raise ValueError(f"{identity!r} is not the ID of a certificate; `anonymise certificate list` shows them")
    return certificates_folder(state_root) / identity


def known_ids(state_root: Path) -> list[str]:
    """The IDs of all samples, the newest first.

    Raises:
        ShareUnavailableError: the folder cannot be read.
    """
    return ids_below(certificates_folder(state_root))


def read_sample(state_root: Path, identity: str) -> Sample | None:
    """The sample with this ID; None where there is none.

    Raises:
        ShareUnavailableError: its file is there and cannot be read, is damaged, or comes from a newer version.
    """
    return read_value(place_of(state_root, identity) / SAMPLE, Sample, FORMAT)


def read_samples(state_root: Path) -> Iterator[Sample]:
    """All samples, the newest first. Raises: as `read_sample`."""
    for identity in known_ids(state_root):
        sample = read_sample(state_root, identity)
        if sample is not None:
            yield sample


def keep_sample(state_root: Path, sample: Sample) -> None:
    """Store the sample, in place of an older one with its ID.

    Raises:
        ShareUnavailableError: it cannot be written.
    """
    path = place_of(state_root, sample.id) / SAMPLE
    with reported(path, "written"):
        make_folders(path.parent)
        write_atomically(path, msgspec.json.encode(sample), mode=0o600)


def read_judgements(state_root: Path, identity: str) -> Judged:
    """What the reviewers said about the sample.

    Raises:
        ShareUnavailableError: the log is there and cannot be read.
    """
    return judged(read_as(place_of(state_root, identity) / JUDGEMENTS, Judgement))


def first_judged(state_root: Path, sample: Sample) -> dict[int, str]:
    """When the first judgement of each stage was made (ISO 8601 in UTC), whatever was said later of its pictures.

    Raises:
        ShareUnavailableError: the log is there and cannot be read.
    """
    stages = {**{one.number: one.stage for one in sample.pictures}, **{fault.number: 1 for fault in sample.seeded}}
    first: dict[int, str] = {}
    for line in read_as(place_of(state_root, sample.id) / JUDGEMENTS, Judgement):
        if line.number in stages:
            stage = stages[line.number]
            first[stage] = min(line.at, first.get(stage, line.at))
    return first


def add_judgement(
    state_root: Path, sample: Sample, number: int, by: str, *, missed: bool, mistake: bool, place: Place | None = None
) -> Judgement:
    """Store what `by` says about the picture shown at `number`; it is on disk when this returns.

    Args:
        state_root: the state folder.
        sample: the sample that shows the picture.
        number: at which the sample shows it.
        by: the reviewer.
        missed: whether a person or vehicle is not hidden.
        mistake: whether something else is hidden.
        place: where something is missed: top, left, bottom, right as shares of the upright picture.

    Raises:
        ValueError: the sample has no such picture, or its certificate has been issued with this picture.
        FolderLockedError: other writers hold the log's lock for too long.
        ShareUnavailableError: the log cannot be written.
    """
    if number not in sample.numbers:
        raise ValueError(f"the sample {sample.id} shows no picture {number}")
    stage = next((one.stage for one in sample.pictures if one.number == number), 1)
    judgement = Judgement(number, by, now(), missed, mistake, place)
    with _locked(state_root, sample.id) as home:
        if (home / CERTIFICATE).exists() and _issued_stage(home) >= stage:
            raise ValueError(f"the certificate {sample.id} has been issued; its judgements do not change")
        with closing(AppendLog(home / JUDGEMENTS, mode=0o600)) as log:
            log.append(msgspec.to_builtins(judgement))
    return judgement


def read_certificate(state_root: Path, identity: str) -> dict[str, Any] | None:
    """The certificate that was issued for this sample; None where none was.

    Raises:
        ShareUnavailableError: its file is there and cannot be read, or is damaged.
    """
    path = place_of(state_root, identity) / CERTIFICATE
    with reported(path, "read"):
        try:
            data = read_plain(path)
        except FileNotFoundError:
            return None
    return parse_certificate(data, path)


def parse_certificate(data: bytes, source: Path) -> dict[str, Any]:
    """The values of a certificate's file.

    Raises:
        ShareUnavailableError: the file is damaged.
    """
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ShareUnavailableError(f"{source} is no certificate: {error}; use the file that was issued") from None


def keep_certificate(state_root: Path, identity: str, document: bytes, printed: str) -> Path:
    """Store an issued certificate, and its page for print; returns the page's path.

    Raises:
        FolderLockedError: other writers hold the lock for too long.
        ShareUnavailableError: it cannot be written.
    """
    with _locked(state_root, identity) as place, reported(place, "written"):
        write_atomically(place / PRINT, printed.encode("utf-8"))
        write_atomically(place / CERTIFICATE, document)
        return place / PRINT


def now() -> str:
    """The time as certificates have it: ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _issued_stage(place: Path) -> int:
    certificate = parse_certificate(read_plain(place / CERTIFICATE), place / CERTIFICATE)
    stage = certificate.get("stages", 0)
    return stage if isinstance(stage, int) else 0


@contextmanager
def _locked(state_root: Path, identity: str) -> Iterator[Path]:
    """The folder of a certificate, locked against other writers."""
    place = place_of(state_root, identity)
    with reported(place, "locked"):
        make_folders(place)
        lock = FileLock(place / "lock", timeout=_LOCK_SECONDS)
        try:
            lock.acquire()
        except Timeout:  # an OSError, too
            raise FolderLockedError(f"{place}: its judgements are being written; try again") from None
    try:
        yield place
    finally:
        lock.release()
