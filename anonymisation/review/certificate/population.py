"""The pictures that a certificate speaks of: all masked pictures of some capture folders, as the state knows them now.

A picture that failed is no masked picture. It is counted, and no certificate says anything about it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from anonymisation.review.rows import Row, read_rows, read_versions
from anonymisation.workspace.folder_state import state_folder


@dataclass(frozen=True, slots=True)
class Candidate:
    """A masked picture that may be drawn. `version` is that of `Row.version`; `found`: the model
    found something in it."""

    folder: str
    name: str
    version: str
    found: bool


class Masking(msgspec.Struct, frozen=True, order=True):
    """With what pictures were masked: the model, the digest of the settings, and the version tag of their records."""

    model: str
    settings: str
    software: str


class FolderCount(msgspec.Struct, frozen=True):
    """What is known of one folder. `digest` changes when a picture is masked again, added or removed."""

    folder: str
    masked: int
    with_finds: int
    failed: int
    digest: str


@dataclass(frozen=True, slots=True)
class Population:
    """The masked pictures of some folders, sorted by folder and name, and what is known of each folder."""

    candidates: tuple[Candidate, ...]
    folders: tuple[FolderCount, ...]
    maskings: tuple[Masking, ...]

    @property
    def digests(self) -> Mapping[str, str]:
        """The digest of each folder."""
        return {count.folder: count.digest for count in self.folders}


def read_population(state_root: Path, folders: Iterable[str]) -> Population:
    """Read the state of the folders. Takes no lock; 100 000 pictures take some seconds.

    Raises:
        ShareUnavailableError: the state of a folder cannot be read.
    """
    candidates: list[Candidate] = []
    counts: list[FolderCount] = []
    maskings: set[Masking] = set()
    for folder in sorted(set(folders)):
        rows = sorted(read_rows(state_folder(state_root, folder)), key=lambda row: row.name)
        counts.append(count_folder(folder, rows))
        masked = [row for row in rows if not row.failed]
        candidates += [Candidate(folder, row.name, row.version, bool(row.labels)) for row in masked]
        maskings.update(Masking(row.model, row.digest, row.software) for row in masked)
    return Population(tuple(candidates), tuple(counts), tuple(sorted(maskings)))


def count_folder(folder: str, rows: Sequence[Row]) -> FolderCount:
    """What is known of a folder from all its rows, sorted by name."""
    masked = [row for row in rows if not row.failed]
    with_finds = sum(bool(row.labels) for row in masked)
    digest = _digest((row.name, row.version) for row in masked)
    return FolderCount(folder, len(masked), with_finds, len(rows) - len(masked), digest)


def masked_digest(state_root: Path, folder: str) -> str:
    """The `digest` of `FolderCount` alone, in a fraction of the time, since detections are not read.

    Raises:
        ShareUnavailableError: the state of the folder cannot be read.
    """
    return _digest(sorted(read_versions(state_folder(state_root, folder)).items()))


def _digest(versions: Iterable[tuple[str, str]]) -> str:
    """The digest of names and versions. A region that a reviewer adds to a picture leaves it as it was masked."""
    digest = hashlib.sha256()
    for name, version in versions:
        digest.update(f"{name}\0{version}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
