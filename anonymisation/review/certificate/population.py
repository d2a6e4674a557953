"""The pictures that a certificate speaks of: all masked pictures of some capture folders, as the state knows them now.

A picture that failed is no masked picture. It is counted, and no certificate says anything about it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from anonymisation.review.rows import read_rows
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
    """With what pictures were masked: the model, the digest of the settings, and the version of the software."""

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


def read_population(state_root: Path, folders: Iterable[str]) -> Population:
    """Read the state of the folders. Takes no lock; 100 000 pictures take some seconds.

    Raises:
        ShareUnavailableError: the state of a folder cannot be read.
    """
    candidates: list[Candidate] = []
    counts: list[FolderCount] = []
    maskings: set[Masking] = set()
    for folder in sorted(set(folders)):
        own, failed = [], 0
        for row in read_rows(state_folder(state_root, folder)):
            if row.failed:
                failed += 1
                continue
            own.append(Candidate(folder, row.name, row.version, bool(row.labels)))
            maskings.add(Masking(row.model, row.digest, row.software))
        own.sort(key=lambda candidate: candidate.name)
        counts.append(FolderCount(folder, len(own), sum(c.found for c in own), failed, _digest(own)))
        candidates += own
    return Population(tuple(candidates), tuple(counts), tuple(sorted(maskings)))


def _digest(candidates: Iterable[Candidate]) -> str:
    """Of names and versions only: a region that a reviewer adds to a picture leaves it as it was masked."""
    digest = hashlib.sha256()
    for candidate in candidates:
        digest.update(f"{candidate.name}\0{candidate.version}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
