"""Mask a picture or a folder from a program.

These functions are the command line's own steps: a picture that cannot be masked raises an error, or is counted as
failed, and is never written. A run of a folder keeps its state as `anonymise run` does, so either continues what the
other began.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from anonymisation.api.files import AnyPath, read_file, require_picture
from anonymisation.chain.image_worker import MadePicture, PictureWorker
from anonymisation.chain.run import run_all
from anonymisation.chain.waiting_rows import send_waiting, with_trouble
from anonymisation.core.errors import ImageError
from anonymisation.core.settings import load_settings
from anonymisation.files.atomic import write_atomically
from anonymisation.files.folders import make_folders
from anonymisation.files.plain import is_there
from anonymisation.masking.detector import Detector
from anonymisation.masking.models.factory import load_detector, model_identity
from anonymisation.metadata.record import Record
from anonymisation.reporting.run_report import RunReport
from anonymisation.workspace.folder_state import FileStamp
from anonymisation.workspace.listing import PictureFile
from anonymisation.workspace.paths import Shares, is_picture_name
from anonymisation.workspace.workspace import Workspace, open_workspace

# What a single picture needs, whatever a configuration for nightly runs says of files and their places.
_ONE_PICTURE = {
    "draw_mask": True, "remote_mask": True, "remote_json": False,
    "local_mask": False, "local_json": False, "archive_mask": False, "archive_json": False, "delete_input": False,
    "local_preview": False, "remote_preview": False, "archive_preview": False, "separate_preview_directory": None,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class MaskedPicture:
    """A masked picture, and what is known of it.

    `jpeg` is the whole file of the masked picture, `mask` that of the mask: WebP, or PNG if a side has more than 16383
    pixels; white is hidden. `record` has the keys of the record's file. `objects` counts what was hidden per label.
    `detections` are boxes, scores and classes in the form of the state folder.
    """

    jpeg: bytes = field(repr=False)
    mask: bytes = field(repr=False)
    record: Record = field(repr=False)
    objects: Mapping[str, int]
    detections: list[dict[str, Any]] = field(repr=False)


class Masker:
    """A model that is loaded once, at the first picture, and its settings. Use one per thread.

    `config` is a YAML file as for `anonymise run -k`. `settings` are keys of the configuration that override it.

    Example:
        >>> from anonymisation import Masker
        >>> masker = Masker(settings={"score_threshold": 0.3})
        >>> for name in ("a.jpg", "b.jpg"):
        ...     print(masker.mask_picture(name, f"masked/{name}").objects)
        {'car': 2}
        {}

    Raises:
        ConfigurationError: the configuration or a setting cannot be used (lists all problems).
    """

    def __init__(self, config: AnyPath | None = None, settings: Mapping[str, Any] | None = None) -> None:
        self._config = None if config is None else Path(config)
        self._overrides = dict(settings or {})
        self._loaded = load_settings(self._config, self._overrides)
        self._detector: Detector | None = None

    def mask_picture(self, source: AnyPath, target: AnyPath | None = None) -> MaskedPicture:
        """Mask one JPEG, and write it to `target`, if one is given. See `mask_picture` of the module.

        Raises:
            ImageError: the picture cannot be masked, or `target` exists or cannot be written. Nothing was written.
            ModelUnavailableError: the model is missing or unusable.
        """
        path = Path(source).absolute()
        place = None if target is None else Path(target).absolute()
        try:
            require_picture(path)
            if place is not None:
                _require_free(place)
            made = self._made(path)
            masked = _of(made)
            if place is not None:
                _write_new(place, masked.jpeg)
        except ImageError as error:
            error.add_note(f"picture: {path}")
            raise
        return masked

    def mask_folder(self, source: AnyPath, target: AnyPath, *, archive: AnyPath | None = None) -> RunReport:
        """Mask every picture below `source` into `target`. See `mask_folder` of the module.

        Raises:
            ConfigurationError: the configuration or the folders cannot be used; nothing was touched.
            ShareUnavailableError: a folder cannot be reached.
            ModelUnavailableError: the model is not installed.
        """
        workspace = open_workspace(
            input_dir=Path(source),
            output_dir=Path(target),
            archive_dir=None if archive is None else Path(archive),
            config=self._config,
            overrides=self._overrides,
        )
        workspace.require_shares(first_look=True)
        trouble = send_waiting(workspace)
        return with_trouble(run_all(workspace, self._model), trouble)

    def _model(self) -> Detector:
        """The loaded model; it is loaded again when its files have changed."""
        settings = self._loaded.settings
        if self._detector is None or self._detector.identity != model_identity(settings):
            # TensorFlow reads this when it loads, and else writes several lines about every new size of a picture.
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
            self._detector = load_detector(settings)
        return self._detector

    def _made(self, path: Path) -> MadePicture:
        """The picture's files, made by the mask step's own worker, and not written."""
        settings = self._loaded.settings.model_copy(update=_ONE_PICTURE)
        data = read_file(path)
        # No folders of a run: a folder that does not exist has no state, and no boxes of reviewers.
        with tempfile.TemporaryDirectory() as nowhere:
            away = Path(nowhere)
            shares = Shares(input=path.parent, output=away / "o", archive=None, errors=away / "e", state=away / "s")
            workspace = Workspace(settings, shares, self._loaded.version_tag, database_url="")
            file = PictureFile(path.name, FileStamp(len(data), 0))
            # A file that is no picture is refused before a model is loaded for it.
            prepared = PictureWorker(workspace, ".", model="", run=None).prepare(file, data)
            detector = self._model()
            worker = PictureWorker(workspace, ".", model=detector.identity, run=None)
            return worker.make(prepared, worker.detect(detector, prepared))


def mask_picture(
    source: AnyPath,
    target: AnyPath | None = None,
    *,
    config: AnyPath | None = None,
    settings: Mapping[str, Any] | None = None,
) -> MaskedPicture:
    """Mask one JPEG, and write it to `target`, if one is given; nothing else is written.

    The picture goes through the same code as in a run, with the same result: EXIF is redacted, and a picture that the
    model or the encoder fails on raises an error. `target` must not exist: neither an original nor a picture that a
    reviewer worked on is replaced. Its folder is made, but no folder above. Every call loads the model, which takes
    seconds; for several pictures, use `Masker` or `mask_folder`. `config` and `settings` are those of `Masker`.

    Example:
        >>> from anonymisation import mask_picture
        >>> masked = mask_picture("IMG_0001.jpg", "masked/IMG_0001.jpg")
        >>> masked.objects
        {'car': 2, 'person': 1}

    Raises:
        ImageError: the picture cannot be masked, or `target` exists or cannot be written. Nothing was written.
        ConfigurationError: the configuration or a setting cannot be used.
        ModelUnavailableError: the model is missing or unusable.
    """
    return Masker(config, settings).mask_picture(source, target)


def mask_folder(
    source: AnyPath,
    target: AnyPath,
    *,
    archive: AnyPath | None = None,
    config: AnyPath | None = None,
    settings: Mapping[str, Any] | None = None,
) -> RunReport:
    """Mask every picture below `source` into `target`: the whole chain, as `anonymise run` without its mails.

    What is done already is not done again. A picture that fails does not stop the others, raises nothing and is not in
    `target`: look at `succeeded` of the report. Originals are only read, unless `delete_input` is set. State, records
    for the database and copies of failed pictures go next to `target`. `config` and `settings` are those of `Masker`.

    Example:
        >>> from anonymisation import mask_folder
        >>> report = mask_folder("pictures", "masked", settings={"remote_json": True})
        >>> report.succeeded, report.total("mask", "masked")
        (True, 12)
        >>> [(failure.picture, failure.reason) for folder in report.folders for failure in folder.failures]
        []

    Raises:
        ConfigurationError: the configuration or the folders cannot be used; nothing was touched.
        ShareUnavailableError: a folder cannot be reached.
        ModelUnavailableError: the model is not installed.
    """
    return Masker(config, settings).mask_folder(source, target, archive=archive)


def _require_free(target: Path) -> None:
    if not is_picture_name(target.name):
        raise ImageError(f"{target} must end in .jpg or .jpeg, since a JPEG is written")
    if is_there(target):
        raise ImageError(_taken(target))


def _taken(target: Path) -> str:
    return f"{target} exists already and is not replaced; move it away, or choose another name"


def _write_new(target: Path, data: bytes) -> None:
    make = partial(make_folders, below=target.parent.parent)  # a share that is gone is not made again
    try:
        write_atomically(target, data, new=True, make=make)
    except FileExistsError:
        raise ImageError(_taken(target)) from None
    except OSError as error:
        raise ImageError(f"{target} cannot be written: {error.strerror}") from error


def _of(made: MadePicture) -> MaskedPicture:
    files = [data for _, data in made.files]  # the mask, then the masked picture: see _ONE_PICTURE
    mask, jpeg = files
    return MaskedPicture(jpeg, mask, made.record, dict(made.objects), made.detections)
