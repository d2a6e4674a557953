"""The place on the road network: the road's designation, and the reference along the road in its old and new form."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Final

CATEGORIES: Final = "ERFKPS"
STATUSES: Final = "SHWAPEBUQVXMTG"

_IN_FILE_NAME: Final = re.compile(r"_S([0-9]+)D([0-9]+)_m([0-9]+)_([KSA])D([0-9]+)")
_IN_VCHP: Final = re.compile(r"S([0-9]+)D([0-9]+)")


@dataclass(frozen=True, slots=True)
class Road:
    """Category, status and number of a road, each None where unknown."""

    category: str | None = None
    status: str | None = None
    number: str | None = None


@dataclass(frozen=True, slots=True)
class RoadReference:
    """The old main parcel (`hp`), or section, subsection and parts off the main road; None where not given."""

    hp: str | None = None
    section: str | None = None
    subsection: str | None = None
    anchor: str | None = None
    junction: str | None = None
    side_facility: str | None = None


def without_leading_zeros(digits: str) -> str:
    """`digits` without leading zeros; zero stays "0"."""
    return digits.lstrip("0") or "0"


def split_road(designation: str | None, *, source: str) -> Road:
    """Split VCRoad, such as EV134, into category, status and number without leading zeros.

    A designation of fewer than three characters is only a number. Unusual letters are kept and logged. Where letters
    are missing (E134, 134), category or status is None, since a digit is neither.
    """
    if designation is None:
        return Road()
    if len(designation) < 3:
        return Road(number=without_leading_zeros(designation))
    letters = 2 if designation[:2].isalpha() else int(designation[0].isalpha())
    category, status = designation[:letters][:1], designation[:letters][1:]
    if not (category and category in CATEGORIES and status and status in STATUSES):
        _log().warning("%s: unusual road designation %r is kept as it is", source, designation)
    number = without_leading_zeros(designation[letters:].strip())
    return Road(category or None, status or None, number)


def read_road_reference(file_name: str, vchp: str | None) -> RoadReference:
    """The reference from the recorder's file name (`_S<n>D<n>_m<n>_<K|S|A>D<n>`), else from VCHP.

    VCHP is either `S<n>D<n>` or an old main parcel, whose leading zeros are removed.
    """
    if match := _IN_FILE_NAME.search(file_name):
        section, subsection, anchor, kind, part = match.groups()
        if kind == "K":
            return RoadReference(section=section, subsection=subsection, anchor=anchor, junction=part)
        return RoadReference(section=section, subsection=subsection, anchor=anchor, side_facility=part)
    if vchp is None:
        return RoadReference()
    if match := _IN_VCHP.match(vchp):
        return RoadReference(section=match[1], subsection=match[2])
    return RoadReference(hp=without_leading_zeros(vchp))


def _log() -> logging.Logger:
    return logging.getLogger(__name__)
