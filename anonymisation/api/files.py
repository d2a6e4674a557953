"""Files that a program names: read as the steps read them, and refused for the same reasons."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

from anonymisation.chain.mask import require_usable
from anonymisation.core.errors import ImageError, UnreadableImageError
from anonymisation.files.plain import read_plain
from anonymisation.workspace.paths import is_picture_name

AnyPath: TypeAlias = "str | os.PathLike[str]"


def require_picture(path: Path) -> None:
    """Refuse a file that a run would not take for a picture.

    Raises:
        ImageError: its name has another suffix, or cannot be stored.
    """
    if not is_picture_name(path.name):
        raise UnreadableImageError("only .jpg and .jpeg are read; convert the picture, or give it its suffix")
    require_usable(path.name, ())


def read_file(path: Path) -> bytes:
    """The bytes of a file; links are not followed.

    Raises:
        ImageError: it cannot be read.
    """
    try:
        return read_plain(path)
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}") from error
