"""The road reference of a picture without the vendor's EXIF, guessed from its file name and folder names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Final

from anonymisation.metadata.road_reference import CATEGORIES, STATUSES, Road, without_leading_zeros

# Letters stand in both cases: IGNORECASE would also match look-alikes such as the long s and the Kelvin sign.
_HP: Final = re.compile(r"[Hh][Pp]([0-9]+)")
_LANE: Final = re.compile(r"[Ff]([0-9])")
_ROAD: Final = re.compile(  # a distance (km12_345) looks like a municipal road, but is not one
    rf"(?![kK]m[0-9]{{2}}[_,.][0-9]{{3}})([{CATEGORIES}{CATEGORIES.lower()}])([{STATUSES}{STATUSES.lower()}])([0-9]+)"
)
_COUNTY: Final = re.compile(r"(0[1-9]|1[0-2]|1[4-9]|20|50)\b")  # the county numbers in use up to 2019
_METRE: Final = re.compile(r"(?<![kK])m([0-9]+)")
_KILOMETRE: Final = re.compile(r"[kK]m([0-9]{2})[_,.]([0-9]{3})")


def below_top_dir(path: Path, top_dir: str) -> tuple[str, ...] | None:
    """The folders between the first `top_dir` in the absolute path and the picture; None without such a `top_dir`."""
    folders = absolute(path).parent.parts
    return folders[folders.index(top_dir) + 1 :] if top_dir in folders else None


def path_elements(path: Path, *, input_root: Path, top_dir: str) -> tuple[str, ...]:
    """The names that are searched: from `top_dir`, else from the input folder, down to the file; both included.

    Names above these (a user's home, a mount point) say nothing about the picture. For a picture outside the input
    folder, only its own name is searched.
    """
    below = below_top_dir(path, top_dir)
    if below is not None:
        return (top_dir, *below, path.name)
    full, root = absolute(path), absolute(input_root)
    return (root.name, *full.relative_to(root).parts) if full.is_relative_to(root) else (path.name,)


def absolute(path: PurePath) -> Path:
    """The absolute form of `path`. Links are not followed, since people chose the names of the links."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps "..", resolve follows links


def read_path(elements: Iterable[str]) -> dict[str, str | None]:
    """The record's keys from the names: the first match in each name counts, and later names replace earlier ones."""
    found: dict[str, str | None] = dict.fromkeys(
        ("exif_fylke", "exif_vegkat", "exif_vegstat", "exif_vegnr", "exif_hp", "exif_meter", "exif_feltkode")
    )
    for element in elements:
        found.update(_read_element(element))
    return found


def read_road(name: str) -> Road | None:
    """The first road in a name (`Ev134`), in capital letters; None without one."""
    match = _ROAD.search(name)
    return None if match is None else Road(match[1].upper(), match[2].upper(), without_leading_zeros(match[3]))


def read_county(name: str) -> str | None:
    """The number of the county with which a name begins; None without one."""
    match = _COUNTY.match(name)
    return None if match is None else without_leading_zeros(match[1])


def read_kilometre(name: str) -> str | None:
    """The metre of a distance in kilometres (`km01_237`), with leading zeros; None without one."""
    match = _KILOMETRE.search(name)
    return None if match is None else match[1] + match[2]


def _read_element(element: str) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    if match := _HP.search(element):
        found["exif_hp"] = without_leading_zeros(match[1])
    if match := _LANE.search(element):
        found["exif_feltkode"] = match[1]
    if road := read_road(element):
        found |= {"exif_vegkat": road.category, "exif_vegstat": road.status, "exif_vegnr": road.number}
    if county := read_county(element):
        found["exif_fylke"] = county
    metre = match[1] if (match := _METRE.search(element)) else read_kilometre(element)
    if metre is not None:
        found["exif_meter"] = without_leading_zeros(metre)
    return found
