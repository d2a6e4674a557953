"""What viewers need to show a 360° picture: the numbers and the projection of the XMP schema GPano, written again.

Names, types and ranges: Google's "Photo Sphere XMP Metadata", https://developers.google.com/streetview/spherical-metadata.
Nothing is copied as text: numbers are parsed, bounded and printed, and the projection is one of a fixed set. The other
properties of the schema are left out: names of programs, dates and counts of the source pictures.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final
from xml.etree import ElementTree

GPANO: Final = "http://ns.google.com/photos/1.0/panorama/"
PROJECTIONS: Final = ("equirectangular", "cylindrical")
"""Those of the specification; Google's products support the first one only."""
_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_META: Final = "adobe:ns:meta/"
_PACKET: Final = (b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n', b'\n<?xpacket end="r"?>')

Number = int | float
Form = Callable[[str], Number | str | None]

MAX_PIXELS: Final = 1_000_000
"""Largest side of a whole panorama; its largest part in one JPEG file has 65,535 pixels."""
MAX_TEXT: Final = 32
"""Most characters of a number."""
HEADING_TOLERANCE: Final = 0.5
"""Degrees between the headings of panorama and record that count as one heading."""
_DECIMALS: Final = 6  # of a number that is written; a millionth of a degree is a fifth of a millimetre at 10 m
_WHOLE: Final = re.compile(r"[+-]?[0-9]+(?:\.0*)?")
_REAL: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def _whole(low: int, high: int) -> Form:
    def form(text: str) -> int | None:
        number = int(float(text)) if len(text) <= MAX_TEXT and _WHOLE.fullmatch(text) else None
        return number if number is not None and low <= number <= high else None

    return form


def _real(low: float, high: float) -> Form:
    def form(text: str) -> float | None:
        number = float(text) if len(text) <= MAX_TEXT and _REAL.fullmatch(text) else math.nan
        return round(number, _DECIMALS) + 0.0 if low <= number <= high else None  # + 0.0: no negative zero

    return form


def _heading(text: str) -> float | None:
    number = _real(-360, 360)(text)  # a negative angle counts from north to the west
    return None if not isinstance(number, float) else round(number % 360, _DECIMALS) % 360


def _flag(text: str) -> str | None:
    return {"true": "True", "false": "False", "1": "True", "0": "False"}.get(text.lower())


def _projection(text: str) -> str | None:
    return text.lower() if text.lower() in PROJECTIONS else None


_SIZE: Final = _whole(1, MAX_PIXELS)
_PLACE: Final = _whole(-MAX_PIXELS, MAX_PIXELS)  # negative above the horizon of a cylinder
POSE_HEADING: Final = "PoseHeadingDegrees"
PROJECTION: Final = "ProjectionType"
VIEW_HEADING: Final = "InitialViewHeadingDegrees"
# The allow-list.
FORMS: Final[Mapping[str, Form]] = {
    PROJECTION: _projection,
    "UsePanoramaViewer": _flag,
    "CroppedAreaImageWidthPixels": _SIZE,
    "CroppedAreaImageHeightPixels": _SIZE,
    "FullPanoWidthPixels": _SIZE,
    "FullPanoHeightPixels": _SIZE,
    "CroppedAreaLeftPixels": _PLACE,
    "CroppedAreaTopPixels": _PLACE,
    POSE_HEADING: _heading,
    "PosePitchDegrees": _real(-90, 90),
    "PoseRollDegrees": _real(-180, 180),
    VIEW_HEADING: _heading,
    "InitialViewPitchDegrees": _real(-90, 90),
    "InitialViewRollDegrees": _real(-180, 180),
    "InitialHorizontalFOVDegrees": _real(0, 360),
    "InitialVerticalFOVDegrees": _real(0, 360),
    "InitialCameraDolly": _real(-1, 1),
    "LargestValidInteriorRectLeft": _PLACE,
    "LargestValidInteriorRectTop": _PLACE,
    "LargestValidInteriorRectWidth": _SIZE,
    "LargestValidInteriorRectHeight": _SIZE,
}


@dataclass(frozen=True, slots=True)
class Panorama:
    """The properties of a 360° picture by their names in GPano, each in the form that FORMS gives it."""

    values: Mapping[str, Number | str]

    def __post_init__(self) -> None:
        if not self.values or (unknown := self.values.keys() - FORMS.keys()):
            raise ValueError(f"expected properties of the allow-list, got {sorted(unknown) if self.values else 'none'}")

    @property
    def heading(self) -> float | None:
        """Compass direction of the picture's centre, degrees from 0 to below 360; None where it is not known.

        Cameras without a compass write 0, which viewers assume anyway. So 0 counts as not known.
        """
        number = self.values.get(POSE_HEADING)
        return number or None if isinstance(number, float) else None

    def with_heading(self, recorded: str | None, *, source: str) -> Panorama | None:
        """The panorama with the heading of the picture's record, so that what is published and recorded agree.

        If the record has no heading or a clearly different one, the headings are left out, the one of the first view
        included, and a warning names the picture (`source`). None if nothing is left.
        """
        own = self.values.get(POSE_HEADING)
        if own is None:
            return self
        known = None if recorded is None else _heading(recorded)
        if known is not None and isinstance(own, float):
            apart = abs(own - known)
            if min(apart, 360 - apart) <= HEADING_TOLERANCE:
                return replace(self, values={**self.values, POSE_HEADING: known})
        if own or known is not None:
            message = "%s: GPano:%s is %s, the record's heading is %s; it is left out of the masked picture"
            logging.getLogger(__name__).warning(message, source, POSE_HEADING, own, recorded)
        left = {name: value for name, value in self.values.items() if name not in {POSE_HEADING, VIEW_HEADING}}
        return Panorama(left) if left else None

    def to_xmp(self) -> bytes:
        """An XMP packet with nothing but these properties (ISO 16684-1, section 7)."""
        # The prefix is written out: some viewers look for the text "GPano:" instead of parsing the XML.
        described = {f"GPano:{name}": _printed(self.values[name]) for name in FORMS if name in self.values}
        root = ElementTree.Element("x:xmpmeta", {"xmlns:x": _META})
        rdf = ElementTree.SubElement(root, "rdf:RDF", {"xmlns:rdf": _RDF})
        ElementTree.SubElement(rdf, "rdf:Description", {"rdf:about": "", "xmlns:GPano": GPANO, **described})
        return bytes(ElementTree.tostring(root, encoding="utf-8")).join(_PACKET)


def read_panorama(texts: Mapping[str, str], *, source: str) -> Panorama | None:
    """The panorama from the texts of GPano's properties, by name; None where they describe none.

    A value that is not readable is left out. An unknown projection makes all numbers meaningless: the result is None.
    """
    log = logging.getLogger(__name__)
    values: dict[str, Number | str] = {}
    for name, text in texts.items():
        if (form := FORMS.get(name)) is None:
            continue
        if (value := form(text.strip())) is None:
            level = logging.WARNING if name in {PROJECTION, POSE_HEADING} else logging.DEBUG
            log.log(level, "%s: GPano:%s cannot be read and is left out of the masked picture", source, name)
        else:
            values[name] = value
    unknown = PROJECTION in texts and PROJECTION not in values
    return Panorama(values) if values and not unknown else None


def _printed(value: Number | str) -> str:
    """Digits without an exponent; whole numbers without a fraction."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else f"{Decimal(repr(value)):f}"
    return str(value)
