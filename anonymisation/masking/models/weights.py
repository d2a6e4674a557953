"""The folders of models, and the installation of zoo models: download, verify, unpack safely, rename at the end."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

import platformdirs
from filelock import FileLock

from anonymisation.core.errors import ModelUnavailableError
from anonymisation.core.settings import Settings
from anonymisation.core.text import did_you_mean
from anonymisation.files.atomic import write_atomically
from anonymisation.files.digests import sha256_of_file
from anonymisation.files.reported import is_full
from anonymisation.masking.models.download import Download, Progress, RetryPolicy, fetch
from anonymisation.masking.models.unpack import MODEL_FILE, MODEL_FOLDER, unpack_model
from anonymisation.masking.models.zoo import BASE_URL, BUILT_IN, ZOO, ZooModel

MAX_ARCHIVE_BYTES: Final = 2 << 30  # more than twice the largest archive of the zoo


def models_dir(model_dir: str = "") -> Path:
    """The folder of downloaded models: the setting `model_dir`; when empty, a folder in the user's data folder."""
    if model_dir:
        return Path(model_dir).expanduser()
    return platformdirs.user_data_path("image-anonymisation") / "models"


def builtin_folder() -> Path:
    """The folder of the SavedModel inside the package."""
    return Path(__file__).resolve().parents[1] / "builtin" / MODEL_FOLDER


def installed_folder(model: ZooModel, models: Path) -> Path:
    """The folder of the SavedModel of a zoo model that is installed in the folder `models`."""
    return models / model.archive_name / MODEL_FOLDER


def is_installed(model: ZooModel, models: Path) -> bool:
    """Whether the model is installed; its folder appears only when it is complete."""
    return (installed_folder(model, models) / MODEL_FILE).is_file()


def unknown_model(model_type: str) -> str | None:
    """What is wrong with a `model_type` that is neither the name of a model nor a folder; None if nothing is.

    A path with a separator is accepted, because its share may be unavailable now; loading the model finds out.
    """
    if model_type in (BUILT_IN, *ZOO) or Path(model_type).expanduser().is_dir() or os.sep in model_type:
        return None
    known = (BUILT_IN, *ZOO)
    near = did_you_mean(model_type, known)
    return f"unknown model {model_type!r}{near}; expected {', '.join(known)}, or the folder of a TensorFlow SavedModel"


def model_folder(settings: Settings) -> Path:
    """The SavedModel folder that `model_type` names: "Built-in", a name of the zoo, else a path.

    Raises:
        ModelUnavailableError: the model is not installed; the message says how to get it.
    """
    name = settings.model_type
    if name == BUILT_IN:
        folder, advice = builtin_folder(), "the installation is incomplete, install the package again"
    elif name in ZOO:
        folder = installed_folder(ZOO[name], models_dir(settings.model_dir))
        advice = f"fetch it with: anonymise models pull {name}"
    else:
        folder = Path(name).expanduser()
        known = ", ".join((BUILT_IN, *ZOO))
        advice = f"model_type must be one of {known}, or the folder of a TensorFlow SavedModel"
    if not (folder / MODEL_FILE).is_file():
        raise ModelUnavailableError(f"model {name!r} is not installed: no {MODEL_FILE} in {folder}; {advice}")
    return folder


def pull(
    model: ZooModel,
    models: Path,
    *,
    base_url: str = BASE_URL,
    progress: Progress | None = None,
    retries: RetryPolicy | None = None,
) -> Path:
    """Install a zoo model in the folder `models`, unless it is installed already, and return its SavedModel folder.

    An interrupted download is resumed. If several processes call this at once, one downloads and the others wait. If
    the zoo publishes no checksum, the checksum of the first download is stored in `<archive name>.sha256`, and later
    downloads are compared with it.

    Args:
        model: the model to install.
        models: the folder of installed models; created if missing.
        base_url: address of the folder with the archives, such as a mirror.
        progress: called with the bytes so far and, where known, the total.
        retries: how long to try.

    Raises:
        ModelUnavailableError: the download fails, its checksum is wrong, or its archive is refused.
    """
    target = installed_folder(model, models)
    part = models / f"{model.archive_name}.tar.gz.part"
    url = urljoin(base_url if base_url.endswith("/") else base_url + "/", model.path)
    with _folder_errors(models):
        models.mkdir(parents=True, exist_ok=True)
        with FileLock(models / f".{model.archive_name}.lock"):
            if is_installed(model, models):
                return target
            pin = models / f"{model.archive_name}.sha256"
            expected = model.sha256 or _read_pin(pin)
            job = Download(url, part, model.archive_bytes, MAX_ARCHIVE_BYTES, checked=expected is not None)
            fetch(job, progress, retries)
            actual = _verified(job, expected)
            _install(part, target.parent)
            if model.sha256 is None:
                write_atomically(pin, f"{actual}\n".encode())
            job.discard()
    return target


def _verified(job: Download, expected: str | None) -> str:
    actual = sha256_of_file(job.part)
    if expected is not None and actual != expected:
        job.discard()
        raise ModelUnavailableError(
            f"{job.url} has the wrong checksum: SHA-256 {actual}, expected {expected}; the download was removed. "
            "Try again; if this repeats, the address serves another file: do not use it"
        )
    return actual


def _install(archive: Path, target: Path) -> None:
    """Unpack next to the target and rename, so that the model's folder is complete as soon as it exists."""
    prefix = f".unpacking-{target.name}-"
    for leftover in target.parent.glob(f"{prefix}*"):  # leftovers of a killed run: the caller holds the lock
        shutil.rmtree(leftover)
    if target.exists():
        raise ModelUnavailableError(f"{target} exists, but holds no complete model; remove it and try again")
    workplace = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    try:
        workplace.chmod(0o755)
        (workplace / MODEL_FOLDER).mkdir()
        try:
            unpack_model(archive, workplace / MODEL_FOLDER)
        except ModelUnavailableError:
            archive.unlink()  # only a new download can help
            raise
        workplace.rename(target)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _read_pin(pin: Path) -> str | None:
    return pin.read_text(encoding="utf-8").strip() if pin.is_file() else None


@contextmanager
def _folder_errors(models: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = "free some space there" if is_full(error) else "make it writable"
        raise ModelUnavailableError(f"{models}: {error}; {advice}, or set model_dir to another folder") from error
