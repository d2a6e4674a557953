"""The digests of capture folders as they are now, for pages that ask for many certificates again and again.

A digest follows from the journal of the folder's pictures, and reading that of 100 000 pictures takes a second. So a
digest is computed again only when the journal changed. Digests are kept in memory, and with each sample, so that a
server that has just started need not read all journals of all certified nights:

    <state>/certificates/<id>/folders.json     a note: the digests of the folders, each with the stamp of its journal
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from anonymisation.files.digests import name_digest
from anonymisation.files.notes import keep_note, read_note
from anonymisation.files.reported import reported
from anonymisation.review.certificate.population import masked_digest
from anonymisation.review.certificate.sample import Sample
from anonymisation.review.certificate.store import place_of
from anonymisation.workspace.folder_state import state_folder
from anonymisation.workspace.locks import PICTURES, shard_folders

FOLDERS: Final = "folders.json"


class _Known(msgspec.Struct, frozen=True):
    """A digest, and the stamp of the journal that it follows from."""

    stamp: str
    digest: str


class _Note(msgspec.Struct):
    folders: dict[str, _Known]


class CurrentDigests:
    """The digests of folders, each computed again when its journal changed. Thread-safe."""

    def __init__(self, state_root: Path) -> None:
        self._state_root = state_root
        self._known: dict[str, _Known] = {}
        self._noted: dict[str, dict[str, _Known]] = {}
        self._lock = threading.Lock()

    def of(self, samples: Sequence[Sample]) -> Mapping[str, str]:
        """The digest of every folder of these samples; each folder is looked at once.

        Raises:
            ShareUnavailableError: the state of a folder cannot be read.
        """
        folders = {count.folder for sample in samples for count in sample.folders}
        stamps = {folder: _stamp(state_folder(self._state_root, folder)) for folder in folders}
        with self._lock:
            for sample in samples:
                self._bring_up_to_date(sample, stamps)
            return {folder: self._known[folder].digest for folder in folders}

    def _bring_up_to_date(self, sample: Sample, stamps: Mapping[str, str]) -> None:
        names = [count.folder for count in sample.folders]
        noted = self._noted.get(sample.id)
        if noted is None:
            note = read_note(place_of(self._state_root, sample.id) / FOLDERS, _Note)
            noted = self._noted[sample.id] = {} if note is None else note.folders
        for name in names:
            if not _is_current(self._known.get(name), stamps[name]):
                known = noted.get(name)
                if known is None or not _is_current(known, stamps[name]):
                    known = _Known(stamps[name], masked_digest(self._state_root, name))
                self._known[name] = known
        current = {name: self._known[name] for name in names}
        if current != noted:
            keep_note(place_of(self._state_root, sample.id) / FOLDERS, msgspec.to_builtins(_Note(current)))
            self._noted[sample.id] = current


def _is_current(known: _Known | None, stamp: str) -> bool:
    return known is not None and known.stamp == stamp


def _stamp(place: Path) -> str:
    """What changes when a line is appended to the journal of a folder or of one of its shards, or it is rewritten."""
    found = []
    with reported(place, "read"):
        for own in (place, *sorted(shard_folders(place))):
            try:
                stat = (own / PICTURES).stat()
            except FileNotFoundError:
                continue
            found.append((own.name, stat.st_size, stat.st_mtime_ns))
    return name_digest(str(found))
