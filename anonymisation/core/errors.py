"""Everything that can go wrong, and the exit code each kind ends a command with.

    AnonymisationError                 1   anything below
    ├── ImageError                     1   one picture cannot be processed (caught per picture, becomes an outcome)
    │   ├── UnreadableImageError           its bytes are not a whole, sound JPEG
    │   ├── ImageMetadataError             its metadata cannot be read or cannot be made safe to publish
    │   ├── ImageWriteError                one of its files cannot be made from it
    │   └── ModelFailedError               the model fails on it
    │       └── ImplausibleOutputError         what the model gives for it cannot be true
    ├── WorkFailedError                1   the work ran, and something in it failed
    │   ├── PicturesFailedError            pictures of a folder failed; the others are done
    │   ├── ArchiveConflictError           the archive holds a different file of that name
    │   ├── LoadFailedError                rows were refused, or too many wait for the database
    │   └── CheckFailedError               something expected is missing or does not agree
    ├── ConfigurationError             2   settings, layouts or arguments that cannot be used
    ├── AnnotationsError               2   annotations that a model cannot be measured by
    └── UnavailableError               3   something around the program is not there
        ├── ShareUnavailableError          a file share cannot be reached (worth a retry)
        ├── ModelUnavailableError          the masking model is missing or unusable
        ├── DatabaseUnavailableError       the database cannot be reached (worth a retry)
        └── FolderLockedError              another run is working on the folder (worth a retry)

`retryable` tells an orchestrator whether doing the same again later can succeed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class AnonymisationError(Exception):
    """The root of all errors that this package raises on purpose."""

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False


class ImageError(AnonymisationError):
    """One picture cannot be processed; its folder goes on without it.

    A `lasting` failure comes again as long as the picture's bytes, the model and the configuration stay the same.
    """

    lasting: ClassVar[bool] = False


class UnreadableImageError(ImageError):
    """The bytes are not a whole, sound JPEG picture."""

    lasting = True


class ImageMetadataError(ImageError):
    """The picture's metadata cannot be read, or cannot be made safe to publish."""

    lasting = True


class ImageWriteError(ImageError):
    """One of the files cannot be made from this picture, such as a mask beyond what WebP holds."""

    lasting = True


class ModelFailedError(ImageError):
    """The model fails on the picture. Not lasting: a night with a bad model is red, however often it comes."""


class ImplausibleOutputError(ModelFailedError):
    """What the model gives for the picture cannot be true, such as a box in pixels or a score of 90."""


class WorkFailedError(AnonymisationError):
    """The work ran to its end, and something in it failed."""


class PicturesFailedError(WorkFailedError):
    """Pictures of a folder failed; every other picture of it went through every step."""


class ArchiveConflictError(WorkFailedError):
    """The archive already holds a different file under that name."""


class LoadFailedError(WorkFailedError):
    """Rows were refused by the database, or too many rows wait for it."""


class CheckFailedError(WorkFailedError):
    """Something that should be there is missing, or two places do not agree."""


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One mistake in a configuration: the file (or command-line flag) it came from, its key, and what is wrong.

    The key is empty where the mistake is the whole file's.
    """

    source: str
    key: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.source, self.key, self.message) if part)


class ConfigurationError(AnonymisationError):
    """Settings, table layouts or arguments that cannot be used; carries every problem, not only the first."""

    exit_code = 2

    def __init__(self, problems: Sequence[ConfigProblem]) -> None:
        self.problems: tuple[ConfigProblem, ...] = tuple(problems)
        heading = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__("\n".join([f"configuration refused, {heading}:", *(f"  - {p}" for p in self.problems)]))


class AnnotationsError(AnonymisationError):
    """Annotations of pictures that cannot be read, contradict themselves, or are of other pictures."""

    exit_code = 2


class UnavailableError(AnonymisationError):
    """Something around the program (share, model, database, another run) prevents the work."""

    exit_code = 3


class ShareUnavailableError(UnavailableError):
    """A file share or folder cannot be reached or written."""

    retryable = True


class ModelUnavailableError(UnavailableError):
    """The masking model is missing, damaged, or not of the expected form."""


class DatabaseUnavailableError(UnavailableError):
    """The database cannot be reached, or stopped answering."""

    retryable = True


class FolderLockedError(UnavailableError):
    """Another run holds the folder's lock."""

    retryable = True
