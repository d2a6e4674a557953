"""The mask step: mask every picture of a capture folder, reading and writing files while the model works."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec

from anonymisation.chain.image_worker import FinishedPicture, PictureWorker, PreparedPicture
from anonymisation.chain.required_columns import RecordIncompleteError
from anonymisation.chain.stem_collisions import STEM_COLLISION, colliding_names, is_known_collision
from anonymisation.chain.up_to_date import is_done, is_known_failed
from anonymisation.core.concurrency import executor, failed, in_flight, prompt_switching
from anonymisation.core.errors import AnonymisationError, ImageError, ModelUnavailableError
from anonymisation.files.digests import sha256_of
from anonymisation.files.reported import share_error_of
from anonymisation.files.writer import Writer
from anonymisation.masking.detections import Detections
from anonymisation.masking.detector import Detector
from anonymisation.metadata.record import record_to_json
from anonymisation.reporting.partial import keeping
from anonymisation.reporting.step_reports import ImageOutcome, MaskReport, MaskTally, Status
from anonymisation.review.apply import hide_waiting
from anonymisation.review.store import mark_hidden
from anonymisation.workspace.error_folder import forget_failure, keep_failure
from anonymisation.workspace.folder_state import FAILED, MASKED, FolderState, PictureState, open_state
from anonymisation.workspace.in_flight import InFlight, pictures_in_flight
from anonymisation.workspace.listing import PictureFile, list_pictures, require_delivered
from anonymisation.workspace.paths import MAX_NAME_BYTES, Sidecar, name_bytes, preview_path
from anonymisation.workspace.set_aside import put_back_all
from anonymisation.workspace.shards import WHOLE, Shard
from anonymisation.workspace.timing import Timing, keep_timing
from anonymisation.workspace.workspace import Workspace

# What the stages hand on: a picture on its way, or the outcome of one that leaves it there.
_Prepared = ImageOutcome | FinishedPicture | PreparedPicture
_Written = ImageOutcome | FinishedPicture
_Made = _Written | Future[_Written]

_WRITTEN: Final = 8  # pictures whose files are being written; writing is mostly waiting for the disk
# Stored instead of a failed picture's settings digest when trying again with the same file and settings may succeed.
_PASSING: Final = "passing"


class UnusableNameError(ImageError):
    """The file's name cannot be stored in a record or a database, or is too long for a derived file."""

    lasting = True


class StemCollisionError(ImageError):
    """Another picture of the folder has the same stem, so their derived files would collide."""


def mask_folder(
    workspace: Workspace,
    folder: str,
    detector: Callable[[], Detector],
    on_progress: Callable[[ImageOutcome], None] | None = None,
    *,
    shard: Shard = WHOLE,
    run: str | None = None,
    clean_up: bool = True,
) -> MaskReport:
    """Mask every picture of `folder` (or of its `shard`) that is not done.

    A picture that fails is an outcome; the others are still masked.

    `detector` is called only when there is something to mask. `run` names the run. A pass that repeats an earlier one
    of the same run, for example after a kill, does not mask its pictures again, even with `force_remask`. It reports
    them as that pass would have: masked or failed. `clean_up` removes leftovers of interrupted writes when no other
    process works on the folder.

    Raises:
        FolderLockedError: another run works on the folder.
        ShareUnavailableError: a share cannot be reached.
        ModelUnavailableError: the model cannot be loaded or turns out to be unusable. Pictures that failed before that
            are recorded as failed.
    """
    started = time.monotonic()
    tally = MaskTally(folder)

    def tidy() -> None:
        if clean_up:
            workspace.remove_leftovers(folder)

    def so_far() -> MaskReport:
        return tally.report(time.monotonic() - started, _number_of_pictures(workspace, folder, shard))

    with keeping(so_far):
        workspace.require_shares()
        workspace.require_apart(folder)
        with open_state(workspace.shares.state, folder, shard, tidy=tidy) as state:
            _put_back_originals(workspace.shares.input / folder, shard)
            require_delivered(workspace.settings, workspace.shares, folder)
            step = _MaskStep(workspace, folder, shard, state, detector, run)
            for outcome in step.outcomes():
                tally.add(outcome)
                if on_progress is not None:
                    on_progress(outcome)
            hide_waiting(workspace, folder, state)
    report = tally.report(time.monotonic() - started)
    if step.masked:
        keep_timing(workspace.shares.state, folder, Timing(step.model, step.masked, report.seconds))
    return report


def _number_of_pictures(workspace: Workspace, folder: str, shard: Shard) -> int:
    """How many pictures the step has, as far as the share shows them now."""
    try:
        return len(list_pictures(workspace.shares.input / folder, shard))
    except AnonymisationError:
        return 0


def _put_back_originals(place: Path, shard: Shard) -> None:
    """Put back what an interrupted release set aside; what cannot be put back stays, and the check reports it."""
    log = logging.getLogger(__name__)
    try:
        for path in put_back_all(place, shard):
            log.warning("%s: an interrupted release left it there, and another file has its name now", path)
    except OSError as error:
        log.warning("%s: what an interrupted release set aside cannot be put back: %s", place, error)


class _MaskStep:
    """One pass over a folder. Pictures are started and reported in the order of their names, except those that may have
    ended an earlier process, see `workspace.in_flight`."""

    def __init__(
        self,
        workspace: Workspace,
        folder: str,
        shard: Shard,
        state: FolderState,
        detector: Callable[[], Detector],
        run: str | None,
    ) -> None:
        self._workspace = workspace
        self._settings = workspace.settings
        self._folder = folder
        self._shard = shard
        self._state = state
        self._load = detector
        self._run = run
        self.model = workspace.model_identity()
        self._worker = PictureWorker(workspace, folder, model=self.model, run=run)
        self._digest = self._worker.digest
        self._colliding: Mapping[str, str] = {}
        self._restored_previews: dict[str, str] = {}  # the digests of those made in this pass, by name of picture
        self.masked = 0  # in this pass
        self._noted: InFlight

    @cached_property
    def _detector(self) -> Detector:
        """One detector for the whole step, because it counts failures over several pictures."""
        with self._noted.loading_model():
            detector = self._load()
        if self._workspace.model_identity() != self.model:
            raise ModelUnavailableError("the files of the model changed while it was loaded; the next run uses it")
        return detector

    def outcomes(self) -> Iterator[ImageOutcome]:
        """The outcome of each picture."""
        files = list_pictures(self._workspace.shares.input / self._folder, self._shard)
        self._colliding = colliding_names([file.name for file in files], self._state.pictures, self._settings)
        threads = self._settings.threads
        state_root, states = self._workspace.shares.state, self._state.pictures.values()
        with (
            pictures_in_flight(state_root, self._folder, self._shard, self.model, states) as self._noted,
            prompt_switching(),
            executor(threads) as pool,
            self._writer(threads > 0) as writer,
        ):
            for group in self._noted.groups(files):
                for file, future in self._in_flight(pool, writer, group):
                    outcome = self._settle(file, future)
                    self._noted.end(file.name, got_through=outcome.status is Status.MASKED)
                    yield outcome

    def _in_flight(
        self, pool: Executor, writer: Writer, files: Iterable[PictureFile]
    ) -> Iterator[tuple[PictureFile, Future[_Written]]]:
        """The stages of each picture, several at a time."""
        threads = self._settings.threads
        prepared = in_flight(((file, pool.submit(self._prepare, file)) for file in files), threads)
        made = in_flight(((file, self._detect(pool, writer, future)) for file, future in prepared), threads)
        return in_flight(((file, _when_made(future)) for file, future in made), _WRITTEN * (threads > 0))

    def _writer(self, threaded: bool) -> Writer:
        return Writer(self._settings, threaded=threaded, make=self._workspace.make_folder)

    def _prepare(self, file: PictureFile) -> _Prepared:
        """The outcome if nothing is left to do, the output files found on the output share, or the decoded picture."""
        known = self._state.pictures.get(file.name)
        paths = self._worker.paths(file)
        if file.name in self._colliding:
            return self._collision_outcome(file, known)
        remask = self._settings.force_remask and not self._of_this_run(known)
        if not remask:
            # A picture without a record is not done: adopting its output files restores the record.
            if self._state.has_record(file.name) and is_done(self._workspace, self._folder, file, known):
                record = self._state.record(file.name)
                self._restore_records(file, record)
                self._restored_previews[file.name] = self._worker.restore_previews(file)
                return self._done_outcome(file, known, record)
            if known is not None and is_known_failed(file, known, self.model, self._digest):
                return self._failed_outcome(file, known)
        require_usable(file.name, (*paths.local_files(self._settings), *paths.published_files(self._settings)))
        data = self._worker.read(file)
        self._noted.begin(file)
        adopted = None if remask else self._adopt(file, data, known)
        if adopted is not None:
            self._restore_records(file, adopted.record)
            digest = self._worker.restore_previews(file) or adopted.state.preview_digest
            return replace(adopted, state=msgspec.structs.replace(adopted.state, preview_digest=digest))
        self._worker.require_archive_place(file, data)
        return self._worker.prepare(file, data)

    def _of_this_run(self, known: PictureState | None) -> bool:
        return known is not None and self._run is not None and known.run == self._run

    def _done_outcome(
        self, file: PictureFile, known: PictureState | None, record: Mapping[str, Any] | None
    ) -> ImageOutcome:
        picture = self._worker.paths(file).relative
        if known is None or not self._of_this_run(known):
            return ImageOutcome(picture, Status.ALREADY_DONE)
        found = (record or {}).get("detekterte_objekter") or {}
        objects = {label: int(number) for label, number in found.items()}
        return ImageOutcome(picture, Status.MASKED, objects=objects, encoded_anew=known.encoded_anew is not None)

    def _failed_outcome(self, file: PictureFile, known: PictureState) -> ImageOutcome:
        status = Status.FAILED if self._of_this_run(known) else Status.KNOWN_FAILED
        return ImageOutcome(self._worker.paths(file).relative, status, known.reason)

    def _restore_records(self, file: PictureFile, record: Mapping[str, Any] | None) -> None:
        """Write the record of a finished picture to every place where the settings want one and none is."""
        require_usable(file.name, self._worker.paths(file).records(self._settings))
        missing = self._worker.missing_records(file)
        if missing and record is not None:
            self._worker.write_records(missing, dict(record))

    def _adopt(self, file: PictureFile, data: bytes, known: PictureState | None) -> FinishedPicture | None:
        """The output files on the output share; the stored state wins if it describes the same input file."""
        found = self._worker.adopt(file, data) if self._settings.draw_mask else None
        if found is None or known is None or known.status != MASKED or known.sha256 != sha256_of(data):
            return found
        record = self._state.record(file.name)
        state = msgspec.structs.replace(known, source=file.stamp, output=found.state.output)
        return replace(found, state=state, record=record or found.record)

    def _detect(self, pool: Executor, writer: Writer, prepared: Future[_Prepared]) -> Future[_Made]:
        """Run the model on a prepared picture and have its files made; anything else is passed on.

        An error of the model is in the future, so that the pictures before this one are settled first.
        """
        if prepared.exception() is not None or not isinstance(picture := prepared.result(), PreparedPicture):
            return prepared  # type: ignore[return-value]  # no PreparedPicture, as just checked
        detector = self._detector
        try:
            detections = self._worker.detect(detector, picture)
        except Exception as error:  # noqa: BLE001 - any error of the model is a failure of this picture
            return failed(error)
        return pool.submit(self._make, writer, picture, detections)

    def _make(self, writer: Writer, picture: PreparedPicture, detections: Detections) -> Future[_Written]:
        """Make a picture's files and hand them to the writer: here, since the thread that feeds the model should not
        wait for the interpreter."""
        made = self._worker.make(picture, detections)
        self._noted.end(picture.file.name)  # what is left is to write its files
        return writer.write(made.files, lambda: self._worker.finished(made))

    def _settle(self, file: PictureFile, future: Future[_Written]) -> ImageOutcome:
        """Wait for a picture and store its outcome."""
        paths = self._worker.paths(file)
        try:
            result = future.result()
        except ImageError as error:
            record = error.record if isinstance(error, RecordIncompleteError) else None
            return self._fail(file, str(error), self._failure_digest(error), record)
        except AnonymisationError:
            raise
        except OSError as error:
            return self._fail(file, str(share_error_of(error)), _PASSING)
        except Exception as error:
            logging.getLogger(__name__).exception("%s: unexpected error", paths.relative)
            return self._fail(file, f"{type(error).__name__}: {error}", _PASSING)
        if isinstance(result, ImageOutcome):
            self._keep_preview_digest(file.name)
            return result
        adopted = result.detections is None
        if self._worker.has_boxes(file):
            # First, as a kill must never leave a box that counts as hidden and is not. Waiting boxes are hidden later.
            mark_hidden(self._workspace.shares.state, self._folder, file.name, result.boxes)
        self._state.put_masked(result.state, result.record, result.detections)
        forget_failure(paths, result.state.sha256)
        status = Status.ALREADY_DONE if adopted else Status.MASKED
        self.masked += not adopted
        reencoded = not adopted and result.state.encoded_anew is not None
        return ImageOutcome(paths.relative, status, objects={} if adopted else result.objects, encoded_anew=reencoded)

    def _keep_preview_digest(self, name: str) -> None:
        """Here and not where the previews are made: several threads must not write the state."""
        digest, known = self._restored_previews.pop(name, ""), self._state.pictures.get(name)
        if digest and known is not None and digest != known.preview_digest:
            self._state.put(msgspec.structs.replace(known, preview_digest=digest))

    def _fail(
        self, file: PictureFile, reason: str, digest: str, record: Mapping[str, Any] | None = None
    ) -> ImageOutcome:
        paths = self._worker.paths(file)
        logging.getLogger(__name__).error("%s: %s", paths.relative, reason)
        keep_failure(paths, reason, None if record is None else record_to_json(record))
        self._state.put(
            PictureState(
                name=file.name,
                status=FAILED,
                source=file.stamp,
                sha256="",
                model=self.model,
                digest=digest,
                version=self._workspace.version_tag,
                reason=reason,
                run=self._run,
            )
        )
        return ImageOutcome(paths.relative, Status.FAILED, reason)

    def _failure_digest(self, error: ImageError) -> str:
        if isinstance(error, StemCollisionError):
            return STEM_COLLISION
        return self._digest if error.lasting else _PASSING

    def _collision_outcome(self, file: PictureFile, known: PictureState | None) -> ImageOutcome:
        other = self._colliding[file.name]
        if known is not None and is_known_collision(file, known):
            return self._failed_outcome(file, known)
        own = Path(file.name)
        names = f"{Sidecar.RECORD.of(own)}, {Sidecar.MASK.of(own)} and {preview_path(own)}"
        raise StemCollisionError(f"{other} already uses {names}; rename one of the two")


def _when_made(made: Future[_Made]) -> Future[_Written]:
    """Wait until a picture's files are made: until then its pixels are kept, so this bounds memory."""
    if made.exception() is None and isinstance(written := made.result(), Future):
        return written
    return made  # type: ignore[return-value]  # an outcome or an error, as just checked


def require_usable(name: str, derived: Iterable[Path]) -> None:
    """Refuse the picture `name` if a record cannot hold its name, or no file system that of one of its `derived` files.

    Raises:
        UnusableNameError: says what to do.
    """
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise UnusableNameError("its name is not valid UTF-8; rename it") from None
    for path in derived:
        if (length := name_bytes(path.name)) > MAX_NAME_BYTES:
            reason = f"has {length} bytes, more than the {MAX_NAME_BYTES} that a file's name may have"
            raise UnusableNameError(f"its name is too long: {path.name} {reason}; rename the picture")
