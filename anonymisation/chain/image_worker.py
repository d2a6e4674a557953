"""One picture's way from bytes to masked files: read and decoded before the model, redacted and written after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from anonymisation.core.errors import ImageError, ImageMetadataError, ShareUnavailableError
from anonymisation.files.access import with_access
from anonymisation.files.digests import sha256_of
from anonymisation.files.plain import read_plain, sha256_of_plain
from anonymisation.files.writer import write_one_by_one
from anonymisation.imaging.exif.read import ExifTags, Provenance, published_exif, read_exif, read_provenance
from anonymisation.imaging.jpeg.codec import Frame, decode_jpeg, encode_jpeg, to_upright
from anonymisation.imaging.mask_file import encode_mask
from anonymisation.masking.detections import Detections
from anonymisation.masking.rendering import Appearance, redact
from anonymisation.metadata.record import (
    RECORD_KEYS,
    Record,
    RecordContext,
    build_record,
    record_from_json,
    record_to_json,
)
from anonymisation.metadata.redaction import redact_tag
from anonymisation.review.store import ReviewedBoxes, with_boxes
from anonymisation.workspace.folder_state import MASKED, FileStamp, PictureState
from anonymisation.workspace.listing import PictureFile
from anonymisation.workspace.paths import ImagePaths
from anonymisation.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPicture:
    """A picture read once and decoded, ready for the model. `data` are the original's bytes."""

    file: PictureFile
    data: bytes
    sha256: str
    exif: ExifTags
    frame: Frame

    def upright(self) -> NDArray[np.uint8]:
        """The pixels as a viewer shows them: (H, W, 3) RGB."""
        return to_upright(self.frame.pixels, self.exif.orientation)


@dataclass(frozen=True, slots=True, eq=False)
class FinishedPicture:
    """A picture whose files are all written: its state, its record and what was detected (None: not known).

    `boxes` are the numbers of the regions added by people that are hidden on it, as far as that is known.
    """

    state: PictureState
    record: Record
    detections: list[dict[str, Any]] | None
    objects: Mapping[str, int]
    boxes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class MadePicture:
    """A picture whose files are made and not written yet: what is to stand where, the masked picture last.

    `state` lacks the masked picture's stamp; the rest is as in `FinishedPicture`. The pixels are not kept.
    """

    state: PictureState
    files: tuple[tuple[Path, bytes], ...]
    record: Record
    detections: list[dict[str, Any]]
    objects: Mapping[str, int]
    boxes: tuple[int, ...]


class ArchivedNameError(ImageError):
    """The archive keeps a different picture under this picture's name."""


class PictureWorker:
    """Prepares and finishes the pictures of one folder; safe to call from several threads."""

    def __init__(self, workspace: Workspace, folder: str, *, model: str, run: str | None) -> None:
        self._workspace = workspace
        self._folder = folder
        self._model = model
        self._run = run
        self._reviewed = ReviewedBoxes(workspace.shares.state, folder)
        self._settings = workspace.settings
        self._digest = workspace.settings.picture_digest()
        self._appearance = Appearance.from_settings(workspace.settings)
        self._context = RecordContext(
            input_root=workspace.shares.input,
            exif_top_dir=self._settings.exif_top_dir,
            exif_mappenavn=self._settings.exif_mappenavn,
            version=workspace.version_tag,
        )

    def paths(self, file: PictureFile) -> ImagePaths:
        """Every file of the picture."""
        return ImagePaths(self._workspace.shares, PurePosixPath(self._folder), file.name)

    def has_boxes(self, file: PictureFile) -> bool:
        """Whether people have ever added regions to hide on it."""
        return bool(self._reviewed.of(file.name).boxes)

    def read(self, file: PictureFile) -> bytes:
        """The original's bytes.

        Raises:
            ShareUnavailableError: the share is away.
            ImageError: the file itself cannot be read.
        """
        path = self.paths(file).original
        try:
            return with_access(self._settings, f"reading {path}", lambda: read_plain(path))
        except ShareUnavailableError as error:
            self._workspace.require_shares()
            if not _can_be_listed(path.parent):
                raise
            # The share is there: it is this file alone that gives errors, and it must not keep the others waiting.
            raise ImageError(f"cannot be read: {error.__cause__}") from error
        except OSError:
            self._workspace.require_shares()  # a picture that is gone because its share is gone did not fail
        try:
            return read_plain(path)
        except OSError as error:
            raise ImageError(f"cannot be read: {error.strerror}") from error

    def prepare(self, file: PictureFile, data: bytes) -> PreparedPicture:
        """Decode the original and read its metadata.

        Raises:
            ImageError: it is not a sound JPEG.
        """
        source = self.paths(file).relative
        exif = read_exif(data, source=source)
        return PreparedPicture(file, data, sha256_of(data), exif, decode_jpeg(data, source=source))

    def require_archive_place(self, file: PictureFile, data: bytes) -> None:
        """Refuse a picture under whose name the archive keeps another one, before anything made from that is replaced.

        Raises:
            ArchivedNameError: it does.
        """
        archived = self.paths(file).archived
        if archived is None:
            return
        try:
            taken = sha256_of_plain(archived) != sha256_of(data)
        except FileNotFoundError:
            return
        except OSError as error:
            raise ImageError(f"the archive copy {archived} cannot be read: {error.strerror}") from error
        if taken:
            raise ArchivedNameError(
                f"the archive holds a different picture as {archived}; neither that nor what was made from it is "
                "overwritten: rename this picture, or move that one away with its masked picture"
            )

    def missing_records(self, file: PictureFile) -> list[Path]:
        """Where the settings want the record and it is not; a link in its place is replaced."""
        return [path for path in self.paths(file).records(self._settings) if path.is_symlink() or not path.exists()]

    def write_records(self, places: Iterable[Path], record: Record) -> None:
        """Write the record of a picture that is done to those places.

        Raises:
            ImageError: it cannot be written.
        """
        write_one_by_one(self._settings, [(path, record_to_json(record)) for path in places])

    def make(self, picture: PreparedPicture, detections: Detections) -> MadePicture:
        """Redact, encode and make all that the settings ask for; the masked picture last, so that it proves the rest.

        `detections` are those of the upright picture, whose pixels are used up.

        Raises:
            ImageError: the metadata cannot be made safe, or a file cannot be made.
        """
        paths = self.paths(picture.file)
        stored = detections.to_stored(picture.exif.orientation)
        objects = stored.counts()
        record = build_record(paths.original, picture.exif, self._context, objects=objects)
        review = self._reviewed.of(picture.file.name)
        hidden = with_boxes(stored, review.active)
        margin = self._settings.mask_dilation_pixels
        redaction = redact(
            picture.frame.yield_pixels(),
            hidden,
            self._appearance,
            margin,
            in_place=True,
            coded_unit=picture.frame.coded_unit,
        )
        exif = self._published_exif(picture, objects)
        masked = encode_jpeg(
            redaction.pixels,
            picture.frame,
            quality=self._settings.jpeg_quality,
            exif=exif,
            mask=redaction.mask,
            source=paths.relative,
        )
        files = [(path, record_to_json(record)) for path in paths.records(self._settings)]
        if mask_places := paths.masks(self._settings):
            mask = encode_mask(redaction.mask)
            files += [(path, mask) for path in mask_places]
        if self._settings.draw_mask:
            files.append((paths.masked, masked.data))
        boxes = tuple(added.number for added in review.active) if self._settings.draw_mask else tuple(review.hidden)
        state = replace(self._state(picture), encoded_anew=masked.anew)
        return MadePicture(state, tuple(files), record, stored.as_json(), objects, boxes)

    def finished(self, made: MadePicture) -> FinishedPicture:
        """A picture whose files have been written."""
        state = replace(made.state, output=self._output(made.state.name))
        return FinishedPicture(state, made.record, made.detections, made.objects, made.boxes)

    def adopt(self, file: PictureFile, data: bytes) -> FinishedPicture | None:
        """What the output share holds of this very picture when its state was lost; None if there is nothing to adopt.

        The masked picture's EXIF tells which bytes it was made from; it must decode whole and be of equal size.
        """
        paths = self.paths(file)
        try:
            masked = read_plain(paths.masked)
        except OSError:
            return None
        provenance = read_provenance(masked)
        if provenance is None or provenance.source_sha256 != sha256_of(data):
            return None
        try:
            output = decode_jpeg(masked)
            picture = self.prepare(file, data)
        except ImageError:
            return None
        if output.pixels.shape != picture.frame.pixels.shape:
            return None
        state = replace(self._state(picture, provenance), output=self._output(file.name))
        record = self._known_record(paths) or self._rebuilt_record(paths, picture.exif, provenance)
        # The file may come from before a box was hidden: of those that are to be, none is taken for hidden.
        remaining = tuple(self._reviewed.of(file.name).remaining)
        return FinishedPicture(state, record, None, provenance.objects, remaining)

    def _output(self, name: str) -> FileStamp | None:
        masked = self._workspace.picture(self._folder, name).masked
        return FileStamp.of(masked) if self._settings.draw_mask else None

    def _state(self, picture: PreparedPicture, provenance: Provenance | None = None) -> PictureState:
        height, width = picture.frame.pixels.shape[:2]
        return PictureState(
            name=picture.file.name,
            status=MASKED,
            source=picture.file.stamp,
            sha256=picture.sha256,
            model=provenance.model if provenance else self._model,
            digest=self._digest,
            version=provenance.version if provenance else self._workspace.version_tag,
            width=width,
            height=height,
            run=self._run,
        )

    def _published_exif(self, picture: PreparedPicture, objects: Mapping[str, int]) -> bytes:
        provenance = Provenance(picture.sha256, self._workspace.version_tag, self._model, objects)
        tags = picture.exif
        return published_exif(
            picture.data,
            image_properties=redact_tag(tags.image_properties, source="ImageProperties"),
            reflink_info=redact_tag(tags.reflink_info, source="ReflinkInfo"),
            provenance=provenance,
            source=self.paths(picture.file).relative,
        )

    def _known_record(self, paths: ImagePaths) -> Record | None:
        for path in paths.records(self._settings):
            try:
                record = record_from_json(read_plain(path))
            except (OSError, ImageMetadataError):
                continue
            if set(record) == set(RECORD_KEYS):  # anything else is someone else's file of that name
                return record
        return None

    def _rebuilt_record(self, paths: ImagePaths, exif: ExifTags, provenance: Provenance) -> Record:
        record = build_record(paths.original, exif, self._context, objects=provenance.objects)
        return {**record, "versjon": provenance.version}


def _can_be_listed(folder: Path) -> bool:
    try:
        next(folder.iterdir(), None)
    except OSError:
        return False
    return True
