"""Hides every person and vehicle in road-survey pictures, archives the originals and loads their metadata."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anonymisation.api.masker import MaskedPicture, Masker, mask_folder, mask_picture
    from anonymisation.api.records import read_record
    from anonymisation.core.errors import AnonymisationError, ImageError

_HOMES = {
    "AnonymisationError": "anonymisation.core.errors",
    "ImageError": "anonymisation.core.errors",
    "MaskedPicture": "anonymisation.api.masker",
    "Masker": "anonymisation.api.masker",
    "mask_folder": "anonymisation.api.masker",
    "mask_picture": "anonymisation.api.masker",
    "read_record": "anonymisation.api.records",
}
__all__ = [
    "AnonymisationError",
    "ImageError",
    "MaskedPicture",
    "Masker",
    "__version__",
    "mask_folder",
    "mask_picture",
    "read_record",
]

__version__ = "1.0.0"


def __getattr__(name: str) -> Any:
    """Import a name of the interface for programs at its first use, so that the package itself loads nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
