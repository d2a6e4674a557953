"""The record's `mappenavn`: the configured template, filled in from the record."""

from __future__ import annotations

import logging
import re
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
FIELDS_2022: Final = tuple(field for field in FIELDS if field != "hp")
"""The fields of the 2022 form: its default reader reads no main parcel."""


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


def format_folder_name_2022(
    template: str,
    record: Mapping[str, str | None],
    taken: Timestamp,
    *,
    path: Path,
    top_dir: str,
    cut_image_type: bool,
) -> str:
    """Fill in `template` as the 2022 form does: month and day are plain numbers, the county has two digits as ever, an
    unknown value reads `None`.

    Outside of `top_dir`, `relative_input_dir` is empty. `cut_image_type` drops a folder `planar` (in any case) behind
    that of the year of exposure.
    """
    year = str(taken.moment.year)
    name = template.format(
        aar=year,
        maaned=taken.moment.month,
        dag=taken.moment.day,
        fylke=str(record.get("exif_fylke")).zfill(2),
        relative_input_dir=_relative_input_dir(path, top_dir, None) if "{relative_input_dir" in template else "",
        **{field: record.get(key) for field, key in _FROM_RECORD.items()},
    )
    return re.sub(rf"(?i)(?<![^/\\]){year}[/\\]planar(?![^/\\])", year, name) if cut_image_type else name


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
