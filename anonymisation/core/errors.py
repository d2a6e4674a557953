"""All errors of this package, with the exit code of a command that ends with each.

    AnonymisationError                 1   the base class
    ├── ImageError                     1   one picture cannot be processed (caught per picture, becomes an outcome)
    │   ├── UnreadableImageError           its bytes are not a complete, valid JPEG
    │   ├── ImageMetadataError             its metadata cannot be read or cannot be made safe to publish
    │   ├── ImageWriteError                one of its files cannot be encoded
    │   └── ModelFailedError               the model fails on it
    │       └── ImplausibleOutputError         the output of the model cannot be true
    ├── WorkFailedError                1   the work ran to its end, and something in it failed
    │   ├── PicturesFailedError            pictures of a folder failed; the others are done
    │   ├── ArchiveConflictError           the archive holds a different file of that name
    │   ├── LoadFailedError                rows were refused, or too many wait for the database
    │   └── CheckFailedError               an expected file or row is missing or wrong
    ├── ConfigurationError             2   settings, layouts or arguments cannot be used
    ├── AnnotationsError               2   annotations cannot be used to evaluate a model
    └── UnavailableError               3   the environment prevents the work
        ├── ShareUnavailableError          a file share cannot be reached (worth a retry)
        ├── ModelUnavailableError          the masking model is missing or unusable
        ├── DatabaseUnavailableError       the database cannot be reached (worth a retry)
        └── FolderLockedError              another run is working on the folder (worth a retry)

If `retryable` is set, an orchestrator can try again later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class AnonymisationError(Exception):
    """The base class of all errors that this package raises on purpose."""

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False


class ImageError(AnonymisationError):
    """One picture cannot be processed; the other pictures of its folder still are.

    A `lasting` failure recurs as long as the picture's bytes, the model and the configuration stay the same.
    """

    lasting: ClassVar[bool] = False


class UnreadableImageError(ImageError):
    """The bytes are not a complete, valid JPEG."""

    lasting = True


class ImageMetadataError(ImageError):
    """The picture's metadata cannot be read, or cannot be made safe to publish."""

    lasting = True


class ImageWriteError(ImageError):
    """One of the picture's files cannot be encoded, such as a mask larger than WebP allows."""

    lasting = True


class ModelFailedError(ImageError):
    """The model fails on the picture. Not lasting, so that every run with a bad model is reported as failed."""


class ImplausibleOutputError(ModelFailedError):
    """The output of the model cannot be true, such as a box in pixels or a score of 90."""


class WorkFailedError(AnonymisationError):
    """The work ran to its end, and something in it failed."""


class PicturesFailedError(WorkFailedError):
    """Pictures of a folder failed; its other pictures went through every step."""


class ArchiveConflictError(WorkFailedError):
    """The archive already holds a different file with that name."""


class LoadFailedError(WorkFailedError):
    """The database refused rows, or too many rows wait for it."""


class CheckFailedError(WorkFailedError):
    """An expected file or row is missing or wrong."""


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One mistake in a configuration: its source (a file, or the command line), its key, and a message.

    The key is empty if the mistake concerns the whole file.
    """

    source: str
    key: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.source, self.key, self.message) if part)


class ConfigurationError(AnonymisationError):
    """Settings, table layouts or arguments cannot be used; `problems` holds all of them, not only the first."""

    exit_code = 2

    def __init__(self, problems: Sequence[ConfigProblem]) -> None:
        self.problems: tuple[ConfigProblem, ...] = tuple(problems)
        heading = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__("\n".join([f"configuration refused, {heading}:", *(f"  - {p}" for p in self.problems)]))


class AnnotationsError(AnonymisationError):
    """Annotations cannot be read, contradict each other, or belong to other pictures."""

    exit_code = 2


class UnavailableError(AnonymisationError):
    """The environment (share, model, database, another run) prevents the work."""

    exit_code = 3


class ShareUnavailableError(UnavailableError):
    """A file share or folder cannot be reached or written."""

    retryable = True


class ModelUnavailableError(UnavailableError):
    """The masking model is missing, damaged or unusable."""


class DatabaseUnavailableError(UnavailableError):
    """The database cannot be reached or stopped responding."""

    retryable = True


class FolderLockedError(UnavailableError):
    """Another run holds the folder's lock."""

    retryable = True
