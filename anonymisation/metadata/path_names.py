"""What the 2022 form reads from the names of a path: the recorder's own path, or that of the file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from anonymisation.metadata.path_fallback import read_county, read_kilometre, read_road
from anonymisation.metadata.road_reference import Road, RoadReference, read_road_reference, without_leading_zeros

_LANE: Final = re.compile(r"[Ff]([0-9][^\W_]*)")
_METRE_BEFORE_LANE: Final = re.compile(r"(?<![kK])m([0-9]+)_[fF]")
# The metre of an anchor point (m02000_AD1) is not that of the picture.
_METRE: Final = re.compile(r"(?<![kK])m([0-9]+)(?!_[KSA]D[0-9]|[0-9])")
_NO_ROAD: Final = Road()
_NO_REFERENCE: Final = RoadReference()
_SECTION: Final = re.compile(r"S([0-9]+)D([0-9]+)")


@dataclass(frozen=True, slots=True)
class PathNames:
    """The values that the names give; each is None where no name gives it. Without leading zeros, but for `reference`.

    The first metre stands; of all others, the last.
    """

    road: Road = _NO_ROAD
    lane: str | None = None
    county: str | None = None
    metre: str | None = None
    reference: RoadReference = _NO_REFERENCE


NO_NAMES: Final = PathNames()


def split_path(path: str | None) -> tuple[str, ...]:
    r"""The names of the recorder's path, which are divided by `\` or `/`; empty without a path."""
    return tuple((path or "").replace("\\", "/").split("/")) if path else ()


def read_names(names: Sequence[str]) -> PathNames:
    """Read every name; the last is that of the file, which alone gives section, anchor point, junction and facility."""
    if not names:
        return NO_NAMES
    roads = [road for name in names if (road := read_road(name)) is not None]
    lanes = [match[1] for name in names if (match := _LANE.search(name))]
    counties = [county for name in names if (county := read_county(name)) is not None]
    return PathNames(
        road=roads[-1] if roads else _NO_ROAD,
        lane=lanes[-1] if lanes else None,
        county=counties[-1] if counties else None,
        metre=_metre(names),
        reference=read_section(names[-1]),
    )


def read_section(file_name: str) -> RoadReference:
    """`_S<n>D<n>_m<n>_<K|S|A>D<n>` within the file name, or else a part `S<n>D<n>` between `_`."""
    reference = read_road_reference(file_name, None)
    if reference.section is not None:
        return reference
    parts = (_SECTION.fullmatch(part) for part in PurePosixPath(file_name).stem.split("_"))
    match = next(filter(None, parts), None)
    return _NO_REFERENCE if match is None else RoadReference(section=match[1], subsection=match[2])


def _metre(names: Sequence[str]) -> str | None:
    for name in names:
        match = _METRE_BEFORE_LANE.search(name)
        metre = match[1] if match else read_kilometre(name)
        if metre is not None:
            return without_leading_zeros(metre)
    last = _METRE.findall(names[-1])
    return without_leading_zeros(last[-1]) if last else None
