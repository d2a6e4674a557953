"""All certificates at a glance, for pages that are asked often: a sample is read again only when its files change."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from anonymisation.files.reported import reported
from anonymisation.review.certificate.current import CurrentDigests
from anonymisation.review.certificate.judgements import Judged, Progress, judged, progress
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

_MOST_WHOLE: Final = 20  # entries with all their pictures, in memory at once
_STATED: Final = ("issued", "statements", "stages")  # what pages show; the rest of a certificate is its sample again
_Stamps = tuple[FileStamp | None, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One sample: what reviewers said, what is left, and what its certificate states, if it has one for all stages."""

    sample: Sample
    lines: Judged
    left: Progress
    certificate: dict[str, Any] | None

    @property
    def judged(self) -> int:
        """The number of pictures with a judgement."""
        return self.left.shown - len(self.left.without_judgement)


class Overview:
    """The entries of all samples. Thread-safe.

    An entry of the list is without pictures and judgements, since a site has thousands of nights: with them, it would
    take half a megabyte.
    """

    def __init__(self, state_root: Path) -> None:
        self._state_root = state_root
        self._digests = CurrentDigests(state_root)
        self._listed: dict[str, tuple[_Stamps, Entry]] = {}
        self._whole: dict[str, tuple[_Stamps, Entry]] = {}
        self._lock = threading.Lock()

    def entries(self) -> list[Entry]:
        """All samples, the newest first, without pictures and judgements.

        Raises:
            ShareUnavailableError: a file of a certificate cannot be read.
        """
        found = [self._known(identity, self._listed) for identity in known_ids(self._state_root)]
        return sorted((one for one in found if one is not None), key=lambda one: one.sample.at, reverse=True)

    def entry(self, identity: str) -> Entry | None:
        """The sample with this ID, with everything; None where there is none. Raises: as `entries`."""
        return self._known(identity, self._whole)

    def by_run(self) -> dict[str, Entry]:
        """For each run whose folders a sample was drawn from: its newest sample, issued ones first."""
        chosen: dict[str, Entry] = {}
        for entry in self.entries():
            known = chosen.get(entry.sample.run)
            if entry.sample.run and (known is None or (known.certificate is None and entry.certificate is not None)):
                chosen[entry.sample.run] = entry
        return chosen

    def with_verdicts(self, entries: Sequence[Entry]) -> list[tuple[Entry, str]]:
        """Each entry, and why its sample says nothing about the pictures as they are now; empty while it does.

        Raises:
            ShareUnavailableError: the state of a folder cannot be read.
        """
        samples = [entry.sample for entry in entries]
        current = self._digests.of(samples)
        return [(entry, "; ".join(changed_folders(entry.sample, current))) for entry in entries]

    def _known(self, identity: str, entries: dict[str, tuple[_Stamps, Entry]]) -> Entry | None:
        place = place_of(self._state_root, identity)
        stamps = tuple(_stamp(place / name) for name in (SAMPLE, JUDGEMENTS, CERTIFICATE))
        with self._lock:
            known = entries.get(identity)
        if known is not None and known[0] == stamps:
            return known[1]
        entry = self._read(identity)
        if entry is None:
            return None
        with self._lock:
            self._remember(identity, stamps, entry)
            return entries[identity][1]

    def _remember(self, identity: str, stamps: _Stamps, entry: Entry) -> None:
        sample = replace(entry.sample, pictures=(), seeded=())
        self._listed[identity] = stamps, Entry(sample, judged(()), entry.left, entry.certificate)
        self._whole.pop(identity, None)
        self._whole[identity] = stamps, entry
        while len(self._whole) > _MOST_WHOLE:
            self._whole.pop(next(iter(self._whole)))

    def _read(self, identity: str) -> Entry | None:
        sample = read_sample(self._state_root, identity)
        if sample is None:
            return None
        certificate = read_certificate(self._state_root, identity)
        if certificate is not None and certificate.get("stages") != sample.stages:
            certificate = None  # a further stage was drawn since
        if certificate is not None:
            certificate = {key: certificate.get(key) for key in _STATED}
        lines = read_judgements(self._state_root, identity)
        return Entry(sample, lines, progress(sample, lines), certificate)


def _stamp(path: Path) -> FileStamp | None:
    with reported(path, "read"):
        try:
            return FileStamp.of(path)
        except FileNotFoundError:
            return None
