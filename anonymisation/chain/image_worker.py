"""The work on one picture: read and decode it before the model runs, redact and encode it afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from anonymisation.chain.required_columns import RequiredColumns
from anonymisation.core.errors import ImageError, ImageMetadataError, ShareUnavailableError, UnreadableImageError
from anonymisation.files.access import with_access
from anonymisation.files.digests import sha256_of, short_digest
from anonymisation.files.plain import MAX_BYTES, read_plain, sha256_of_plain, too_large
from anonymisation.files.writer import write_one_by_one
from anonymisation.imaging.exif.read import ExifTags, Provenance, published_exif, read_exif, read_provenance
from anonymisation.imaging.jpeg.codec import Frame, decode_jpeg, encode_jpeg, sound_size, to_upright
from anonymisation.imaging.mask_file import encode_mask
from anonymisation.imaging.panorama import Panorama
from anonymisation.masking.detections import Detections
from anonymisation.masking.detector import Detector
from anonymisation.masking.panoramas.search import detect
from anonymisation.masking.panoramas.sphere import sphere_of
from anonymisation.masking.rendering import Appearance, redact
from anonymisation.metadata.forms.known import form_of
from anonymisation.metadata.record import (
    Description,
    Record,
    RecordContext,
    describe,
    record_from_json,
    record_to_json,
)
from anonymisation.metadata.redaction import redact_tag
from anonymisation.review.store import ReviewedBoxes, with_boxes
from anonymisation.workspace.camera_regions import CameraRegions
from anonymisation.workspace.folder_state import MASKED, FileStamp, PictureState
from anonymisation.workspace.listing import PictureFile
from anonymisation.workspace.paths import MAX_NAME_BYTES, ImagePaths, name_bytes
from anonymisation.workspace.previews import has_all_previews, preview_digest, preview_files
from anonymisation.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPicture:
    """A decoded picture, ready for the model. `data` holds the bytes of the original, which is read only once."""

    file: PictureFile
    data: bytes
    sha256: str
    exif: ExifTags
    frame: Frame

    def upright(self) -> NDArray[np.uint8]:
        """The pixels as a viewer shows them: (H, W, 3) RGB."""
        return to_upright(self.frame.pixels, self.exif.orientation)

    @property
    def upright_size(self) -> tuple[int, int]:
        """Height and width as a viewer shows it, in pixels."""
        height, width = self.frame.pixels.shape[:2]
        return (width, height) if self.exif.orientation >= 5 else (height, width)


@dataclass(frozen=True, slots=True, eq=False)
class FinishedPicture:
    """A picture whose files are all written, with its state, record and detections (None: not known).

    `boxes` are the numbers of the regions that people added and that are known to be hidden on it.
    """

    state: PictureState
    record: Record
    detections: list[dict[str, Any]] | None
    objects: Mapping[str, int]
    boxes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class MadePicture:
    """A picture whose files are encoded and not written yet: each path with its bytes, the masked picture last.

    `state` lacks the stamp of the masked picture. The other fields are as in `FinishedPicture`. Holds no pixels.
    """

    state: PictureState
    files: tuple[tuple[Path, bytes], ...]
    record: Record
    detections: list[dict[str, Any]]
    objects: Mapping[str, int]
    boxes: tuple[int, ...]


class ArchivedNameError(ImageError):
    """The archive holds a different picture with the same name."""


class PictureWorker:
    """Prepares and finishes the pictures of one folder. Thread-safe."""

    def __init__(self, workspace: Workspace, folder: str, *, model: str, run: str | None) -> None:
        self._workspace = workspace
        self._folder = folder
        self._model = model
        self._run = run
        self._reviewed = ReviewedBoxes(workspace.shares.state, folder)
        self._settings = workspace.settings
        self._regions = CameraRegions.of(workspace.settings, workspace.shares.state)
        self.digest = self._regions.picture_digest(workspace.settings, folder)
        self._appearance = Appearance.from_settings(workspace.settings)
        self._context = RecordContext.from_settings(
            self._settings, input_root=workspace.shares.input, version=workspace.version_tag
        )
        self._required = RequiredColumns(self._settings)

    def paths(self, file: PictureFile) -> ImagePaths:
        """The paths of all files of the picture."""
        return ImagePaths(self._workspace.shares, PurePosixPath(self._folder), file.name)

    def has_boxes(self, file: PictureFile) -> bool:
        """Whether people have ever added regions to hide on this picture."""
        return bool(self._reviewed.of(file.name).boxes)

    def read(self, file: PictureFile) -> bytes:
        """The original's bytes.

        Raises:
            ShareUnavailableError: the share cannot be reached.
            ImageError: the share can be reached, but this file cannot be read.
        """
        if file.stamp.size > MAX_BYTES:
            raise UnreadableImageError(too_large(file.stamp.size))
        path = self.paths(file).original
        try:
            return with_access(self._settings, f"reading {path}", lambda: read_plain(path))
        except ShareUnavailableError as error:
            self._workspace.require_shares()
            if not _can_be_listed(path.parent):
                raise
            # The share works and only this file gives errors: it must not hold up the others.
            raise ImageError(f"cannot be read: {error.__cause__}") from error
        except OSError:
            self._workspace.require_shares()  # if the share is gone, the picture did not fail
        try:
            return read_plain(path)
        except OSError as error:
            raise ImageError(f"cannot be read: {error.strerror}") from error

    def prepare(self, file: PictureFile, data: bytes) -> PreparedPicture:
        """Decode the original and read its metadata.

        Raises:
            ImageError: it is not a valid JPEG.
        """
        source = self.paths(file).relative
        exif = read_exif(data, source=source)
        return PreparedPicture(file, data, sha256_of(data), exif, self._decoded(data, source))

    def _decoded(self, data: bytes, source: str) -> Frame:
        return decode_jpeg(data, source=source, max_pixels=self._settings.max_picture_pixels)

    def require_archive_place(self, file: PictureFile, data: bytes) -> None:
        """Refuse the picture if the archive holds a different one with its name, before any output file is replaced.

        Raises:
            ArchivedNameError: the archive holds a different picture with this name.
            ImageError: the archive copy cannot be read.
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
                f"the archive holds a different picture as {archived}; neither it nor its masked picture is "
                "overwritten: rename this picture, or move the archived one and its masked picture away"
            )

    def missing_records(self, file: PictureFile) -> list[Path]:
        """The paths where the settings want the record and there is none; a link counts as none."""
        return [path for path in self.paths(file).records(self._settings) if path.is_symlink() or not path.exists()]

    def write_records(self, places: Iterable[Path], record: Record) -> None:
        """Write the record of a finished picture to `places`.

        Raises:
            ImageError: it cannot be written.
            ShareUnavailableError: the share did not come back in time.
        """
        files = [(path, record_to_json(record)) for path in places]
        write_one_by_one(self._settings, files, self._workspace.make_folder)

    def restore_previews(self, file: PictureFile) -> str:
        """Make the previews of a finished picture if one is missing; returns their `preview_digest`, "" if none is.

        Raises:
            ImageError: the masked picture cannot be decoded, or a preview cannot be written.
            ShareUnavailableError: the share did not come back in time.
        """
        paths = self.paths(file)
        if has_all_previews(self._workspace, paths):
            return ""
        masked = with_access(self._settings, f"reading {paths.masked}", lambda: read_plain(paths.masked))
        files = preview_files(self._workspace, paths, masked)
        write_one_by_one(self._settings, files, self._workspace.make_folder)
        return preview_digest(files)

    def detect(self, detector: Detector, picture: PreparedPicture) -> Detections:
        """The detections in the upright picture; a 360° picture is also searched in views, see `masking.panoramas`.

        Raises:
            ModelFailedError: see `Detector.detect`, whose other errors may be raised, too.
        """
        panorama = picture.exif.panorama
        sphere = sphere_of(picture.upright_size, None if panorama is None else panorama.values, self._settings)
        return detect(detector, picture.upright(), sphere)

    def make(self, picture: PreparedPicture, detections: Detections) -> MadePicture:
        """Redact the picture and encode every file that the settings ask for.

        The masked picture comes last: once it is written, so are the others. `detections` are in the coordinates of
        the upright picture. The pixels of `picture` are used up.

        Raises:
            ImageError: the metadata cannot be made safe, or a file cannot be encoded.
        """
        paths = self.paths(picture.file)
        regions = self._regions.for_picture(self._folder, picture.exif.camera.model)
        found = regions.searched(detections, *picture.upright_size)
        stored = found.to_stored(picture.exif.orientation)
        objects = stored.counts()
        description = self._describe(paths, picture, objects)
        record = description.record
        self._required.check(record)
        review = self._reviewed.of(picture.file.name)
        hidden = with_boxes(regions.with_hidden(found).to_stored(picture.exif.orientation), review.active)
        margin = self._settings.mask_dilation_pixels
        redaction = redact(
            picture.frame.yield_pixels(),
            hidden,
            self._appearance,
            margin,
            in_place=True,
            coded_unit=picture.frame.coded_unit,
        )
        panorama = self._published_panorama(picture, record)
        masked = encode_jpeg(
            redaction.pixels,
            picture.frame,
            quality=self._settings.jpeg_quality,
            exif=self._published_exif(picture, description, objects),
            xmp=None if panorama is None else panorama.to_xmp(),
            mask=redaction.mask,
            source=paths.relative,
        )
        files = [(path, record_to_json(record)) for path in paths.records(self._settings)]
        mask, previews = b"", []
        height, width = redaction.mask.shape
        if mask_places := paths.masks(self._settings, (width, height)):
            _require_short(mask_places)
            mask = encode_mask(redaction.mask)
            files += [(path, mask) for path in mask_places]
        if self._settings.draw_mask:
            previews = preview_files(self._workspace, paths, masked.data)
            files += previews
            files.append((paths.masked, masked.data))
        boxes = tuple(added.number for added in review.active) if self._settings.draw_mask else tuple(review.hidden)
        digest = short_digest(mask) if mask else ""
        state = replace(
            self._state(picture),
            encoded_anew=masked.reencoded,
            mask_digest=digest,
            preview_digest=preview_digest(previews),
        )
        return MadePicture(state, tuple(files), record, stored.as_json(), objects, boxes)

    def finished(self, made: MadePicture) -> FinishedPicture:
        """The picture, now that its files are written."""
        state = replace(made.state, output=self._output(made.state.name))
        return FinishedPicture(state, made.record, made.detections, made.objects, made.boxes)

    def adopt(self, file: PictureFile, data: bytes) -> FinishedPicture | None:
        """Restore the lost state of a picture from its files on the output share; None if they do not fit.

        The EXIF of the masked picture must hold the checksum of `data`. It must decode and have the original's size.
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
            width, height = sound_size(masked, max_pixels=self._settings.max_picture_pixels)
            picture = self.prepare(file, data)
        except ImageError:
            return None
        if (height, width) != picture.frame.pixels.shape[:2]:
            return None
        state = replace(self._state(picture, provenance), output=self._output(file.name))
        record = self._known_record(paths) or self._rebuilt_record(paths, picture, provenance)
        # The file may be older than a box that is still to be hidden: none of those counts as hidden.
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
            digest=self.digest,
            version=provenance.version if provenance else self._workspace.version_tag,
            width=width,
            height=height,
            run=None if provenance else self._run,
        )

    def _published_exif(self, picture: PreparedPicture, description: Description, objects: Mapping[str, int]) -> bytes:
        provenance = Provenance(picture.sha256, self._workspace.version_tag, self._model, objects)
        tags = picture.exif
        return published_exif(
            picture.data,
            image_properties=redact_tag(tags.image_properties, source="ImageProperties"),
            reflink_info=redact_tag(tags.reflink_info, source="ReflinkInfo"),
            provenance=provenance,
            srgb=picture.frame.colour == "cmyk",
            source=self.paths(picture.file).relative,
            orientation=tags.orientation,
            times=description.times,
            place=description.place,
        )

    def _published_panorama(self, picture: PreparedPicture, record: Record) -> Panorama | None:
        """What viewers need to show a 360° picture, with the heading of its record."""
        if picture.exif.panorama is None:
            return None
        source = self.paths(picture.file).relative
        return picture.exif.panorama.with_heading(record["exif_heading"], source=source)

    def _known_record(self, paths: ImagePaths) -> Record | None:
        for path in paths.records(self._settings):
            try:
                record = record_from_json(read_plain(path))
            except (OSError, ImageMetadataError):
                continue
            if form_of(record) is not None:  # otherwise it is a foreign file with that name
                return record
        return None

    def _rebuilt_record(self, paths: ImagePaths, picture: PreparedPicture, provenance: Provenance) -> Record:
        description = self._describe(paths, picture, provenance.objects)
        return {**description.record, "versjon": provenance.version}

    def _describe(self, paths: ImagePaths, picture: PreparedPicture, objects: Mapping[str, int]) -> Description:
        height, width = picture.frame.pixels.shape[:2]
        return describe(
            paths.original,
            picture.exif,
            self._context,
            objects=objects,
            sha256=picture.sha256,
            size=(width, height),
        )


def _require_short(places: list[Path]) -> None:
    """Refuse a name that is short enough for a WebP mask, and not for that of a large picture."""
    if name_bytes(places[0].name) > MAX_NAME_BYTES:
        raise ImageError(f"its name is too long for that of its mask, {places[0].name}; rename the picture")


def _can_be_listed(folder: Path) -> bool:
    try:
        next(folder.iterdir(), None)
    except OSError:
        return False
    return True
