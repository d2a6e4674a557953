"""The record's `mappenavn`: the configured template, filled in from the record."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from anonymisation.metadata.path_fallback import absolute, below_top_dir
from anonymisation.metadata.timestamps import Timestamp

_FROM_RECORD: Final[Mapping[str, str]] = {
    "vegkat": "exif_vegkat",
    "vegstat": "exif_vegstat",
    "vegnr": "exif_vegnr",
    "hp": "exif_hp",
    "meter": "exif_meter",
    "feltkode": "exif_feltkode",
    "strekningreferanse": "exif_strekningreferanse",
}
FIELDS: Final = ("aar", "maaned", "dag", "fylke", *_FROM_RECORD, "relative_input_dir")


def format_folder_name(
    template: str,
    record: Mapping[str, str | None],
    taken: Timestamp,
    *,
    path: Path,
    top_dir: str,
    input_root: Path | None = None,
) -> str:
    """Fill in `template`. The year has four digits; month, day and county have two. A field without a value is empty.

    `relative_input_dir` is the path of the picture's folder below the first `top_dir` in its absolute path, with `/`.
    Without such a folder it is the path below `input_root`, where the masked picture lies below the output folder, so
    that every row leads to its file. Outside of both it is empty, and a warning is logged once per folder.
    """
    values = {field: record.get(key) or "" for field, key in _FROM_RECORD.items()}
    county = record.get("exif_fylke") or ""
    return template.format(
        aar=f"{taken.moment.year:04d}",
        maaned=f"{taken.moment.month:02d}",
        dag=f"{taken.moment.day:02d}",
        fylke=county.zfill(2) if county else "",
        relative_input_dir=_relative_input_dir(path, top_dir, input_root) if "{relative_input_dir" in template else "",
        **values,
    )


def _relative_input_dir(path: Path, top_dir: str, input_root: Path | None) -> str:
    below = below_top_dir(path, top_dir)
    if below is None and input_root is not None:
        folder, root = absolute(path).parent, absolute(input_root)
        below = folder.relative_to(root).parts if folder.is_relative_to(root) else None
    if below is None:
        _warn(path.parent, top_dir)
        return ""
    return "/".join(below)


@lru_cache(maxsize=1024)
def _warn(folder: Path, top_dir: str) -> None:
    """Log the warning once per folder, not once per picture: the cache remembers the folders."""
    message = "%s: not below the input folder, nor below one named %r (exif_top_dir); relative_input_dir stays empty"
    logging.getLogger(__name__).warning(message, folder, top_dir)
