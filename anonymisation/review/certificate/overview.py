"""All certificates at a glance, for pages that are asked often: a sample is read again only when its files change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anonymisation.files.reported import reported
from anonymisation.review.certificate.judgements import Judged, Progress, progress
from anonymisation.review.certificate.population import FolderCount
from anonymisation.review.certificate.sample import Sample
from anonymisation.review.certificate.store import (
    CERTIFICATE,
    JUDGEMENTS,
    SAMPLE,
    known_ids,
    place_of,
    read_certificate,
    read_judgements,
    read_sample,
)
from anonymisation.review.certificate.verify import changed_folders
from anonymisation.workspace.folder_state import FileStamp


@dataclass(frozen=True, slots=True)
class Entry:
    """One sample: what reviewers said, what is left, and its certificate if one was issued for all its stages."""

    sample: Sample
    lines: Judged
    left: Progress
    certificate: dict[str, Any] | None

    @property
    def judged(self) -> int:
        """The number of pictures with a judgement."""
        return self.left.shown - len(self.left.without_judgement)


class Overview:
    """The entries of all samples. Thread-safe."""

    def __init__(self, state_root: Path) -> None:
        self._state_root = state_root
        self._known: dict[str, tuple[tuple[FileStamp | None, ...], Entry]] = {}
        self._lock = threading.Lock()

    def entries(self) -> list[Entry]:
        """All samples, the newest first.

        Raises:
            ShareUnavailableError: a file of a certificate cannot be read.
        """
        found = [self.entry(identity) for identity in known_ids(self._state_root)]
        return sorted((one for one in found if one is not None), key=lambda one: one.sample.at, reverse=True)

    def entry(self, identity: str) -> Entry | None:
        """The sample with this ID; None where there is none. Raises: as `entries`."""
        stamps = tuple(
            _stamp(place_of(self._state_root, identity) / name) for name in (SAMPLE, JUDGEMENTS, CERTIFICATE)
        )
        with self._lock:
            known = self._known.get(identity)
        if known is not None and known[0] == stamps:
            return known[1]
        entry = self._read(identity)
        if entry is not None:
            with self._lock:
                self._known[identity] = stamps, entry
        return entry

    def by_run(self) -> dict[str, Entry]:
        """For each run whose folders a sample was drawn from: its newest sample, issued ones first."""
        chosen: dict[str, Entry] = {}
        for entry in self.entries():
            known = chosen.get(entry.sample.run)
            if entry.sample.run and (known is None or (known.certificate is None and entry.certificate is not None)):
                chosen[entry.sample.run] = entry
        return chosen

    def _read(self, identity: str) -> Entry | None:
        sample = read_sample(self._state_root, identity)
        if sample is None:
            return None
        certificate = read_certificate(self._state_root, identity)
        if certificate is not None and certificate.get("stages") != sample.stages:
            certificate = None  # a further stage was drawn since
        lines = read_judgements(self._state_root, identity)
        return Entry(sample, lines, progress(sample, lines), certificate)


def why_void(sample: Sample, count: Callable[[str], FolderCount]) -> str:
    """Why the sample says nothing about the pictures as they are now, in words; empty while it does."""
    folders: Iterable[FolderCount] = (count(known.folder) for known in sample.folders)
    return "; ".join(changed_folders(sample, folders))


def _stamp(path: Path) -> FileStamp | None:
    with reported(path, "read"):
        try:
            return FileStamp.of(path)
        except FileNotFoundError:
            return None
