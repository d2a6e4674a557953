"""Write the files of several pictures together, in a thread, while the next pictures are processed.

A flush takes milliseconds, and tens of them on a busy disk, nearly regardless of the amount of data. So the waiting
files are flushed one after another, and each folder only once for all of them.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from anonymisation.core.errors import ImageError, ShareUnavailableError
from anonymisation.core.settings import Settings
from anonymisation.files.access import with_access
from anonymisation.files.atomic import MakeFolder, Part, write_atomically
from anonymisation.files.folders import flush_folder, make_folders

T = TypeVar("T")
PictureFiles = Sequence[tuple[Path, bytes]]
_MOST_TOGETHER: Final = 16
_FIRST, _LAST = slice(None, -1), slice(-1, None)


def write_one_by_one(settings: Settings, files: PictureFiles, make: MakeFolder = make_folders) -> None:
    """Write a picture's files in order; if one cannot be written, remove the files that did not exist before.

    `make` creates a file's folder.

    Raises:
        ImageError: one cannot be written.
        ShareUnavailableError: the share did not come back in time.
    """
    new: list[Path] = []
    try:
        for path, data in files:
            _write(settings, path, data, new, make)
    except ImageError:
        _remove(new)
        raise


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):  # the failure is raised already
            path.unlink(missing_ok=True)


def _write(settings: Settings, path: Path, data: bytes, new: list[Path], make: MakeFolder) -> None:
    def write() -> None:
        if path not in new and not path.exists():
            new.append(path)
        write_atomically(path, data, make=make)

    try:
        with_access(settings, f"writing {path}", write)
    except OSError as error:
        raise ImageError(f"{path} cannot be written: {error.strerror}") from error


def write_together(pictures: Sequence[PictureFiles], make: MakeFolder = make_folders) -> list[OSError | None]:
    """Write the files of several pictures and return the error of each (None: written).

    The last file of a picture appears once the others are on the disk. If a picture fails, its files that did not exist
    before are removed. `make` creates a file's folder.
    """
    group = [_Picture(files, make) for files in pictures]
    steps = (
        lambda picture: picture.begin(),
        lambda picture: picture.flush(),
        lambda picture: picture.put(_FIRST),
        _folders_once(_FIRST),
        lambda picture: picture.put(_LAST),
        _folders_once(_LAST),
    )
    for step in steps:
        for picture in group:
            picture.attempt(step)
    return [picture.error for picture in group]


def _folders_once(which: slice) -> Callable[[_Picture], None]:
    done: set[Path] = set()

    def flush(picture: _Picture) -> None:
        for folder in {part.path.parent for part in picture.parts[which]} - done:
            flush_folder(folder)
            done.add(folder)

    return flush


class _Picture:
    """The files of one picture while they are written."""

    def __init__(self, files: PictureFiles, make: MakeFolder) -> None:
        self._files = files
        self._make = make
        self._new: list[Path] = []
        self.parts: list[Part] = []
        self.error: OSError | None = None

    def attempt(self, step: Callable[[_Picture], None]) -> None:
        """Run `step`, unless an earlier one failed."""
        if self.error is None:
            try:
                step(self)
            except OSError as error:
                self.error = error
                self._undo()

    def begin(self) -> None:
        self._new = [path for path, _ in self._files if not path.exists()]
        for path, data in self._files:
            self.parts.append(Part(path, data, make=self._make))

    def flush(self) -> None:
        for part in self.parts:
            part.flush()

    def put(self, which: slice) -> None:
        for part in self.parts[which]:
            part.put()

    def _undo(self) -> None:
        for part in self.parts:
            with contextlib.suppress(OSError):  # `remove_leftovers` removes the rest
                part.discard()
        _remove(self._new)


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    files: PictureFiles
    then: Callable[[], Any]
    future: Future[Any]


class Writer:
    """Writes the files of pictures: in its own thread and in groups if `threaded`, otherwise at once."""

    def __init__(self, settings: Settings, *, threaded: bool, make: MakeFolder = make_folders) -> None:
        """`make` creates a file's folder."""
        self._settings = settings
        self._make = make
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True) if threaded else None
        self.given_up = False
        """Whether an error ended the `with` block."""
        self._away: ShareUnavailableError | None = None

    def __enter__(self) -> Self:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the writes in progress; after an error, cancel those that have not started."""
        self.given_up = kind is not None
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()

    def write(self, files: PictureFiles, then: Callable[[], T]) -> Future[T]:
        """Write a picture's files, the last one once the others are on the disk, and return the future of `then`.

        The future raises ImageError if a file cannot be written, ShareUnavailableError if a share cannot be reached.
        """
        job = _Job(files, then, Future())
        self._take(job)
        return job.future

    def _take(self, job: _Job) -> None:
        if self._thread is None:
            self._end(job, again=True)
        else:
            self._jobs.put(job)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            waiting = [job]
            while len(waiting) < _MOST_TOGETHER and not self._jobs.empty():
                if (job := self._jobs.get()) is None:
                    self._write(waiting)
                    return
                waiting.append(job)
            self._write(waiting)

    def _write(self, jobs: list[_Job]) -> None:
        if self.given_up:
            for job in jobs:
                job.future.cancel()
            return
        try:
            errors: Sequence[BaseException | None] = write_together([job.files for job in jobs], self._make)
        except Exception as unexpected:  # noqa: BLE001 - raised again when each picture is written alone
            errors = [unexpected] * len(jobs)
        for job, error in zip(jobs, errors, strict=True):
            self._end(job, again=error is not None)

    def _end(self, job: _Job, *, again: bool) -> None:
        """Settle the future; with `again`, write the files now and wait if a share cannot be reached.

        Waits only once: if the share does not come back, all later pictures fail at once.
        """
        try:
            if again:
                self._write_alone(job.files)
            job.future.set_result(job.then())
        except Exception as error:  # noqa: BLE001 - raised by the future
            job.future.set_exception(error)

    def _write_alone(self, files: PictureFiles) -> None:
        if self._away is not None:
            raise self._away
        try:
            write_one_by_one(self._settings, files, self._make)
        except ShareUnavailableError as error:
            self._away = error
            raise
