"""The record's keys that the vendor's ReflinkInfo (EXIF tag 40056) gives, in both of its forms."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from anonymisation.metadata.xml_tree import XmlElement, local_name

_FIRST_FORM: Final[Mapping[str, tuple[str, ...]]] = {  # March 2020
    "exif_reflinkid": ("ReflinkId",),
    "exif_reflinkposisjon": ("ReflinkPosition",),
}
_SECOND_FORM: Final[Mapping[str, tuple[str, ...]]] = {  # May 2020
    "exif_reflinkid": ("RoadInfo", "ReflinkId"),
    "exif_reflinkposisjon": ("RoadInfo", "ReflinkPosition"),
    "exif_roadident": ("RoadInfo", "RoadIdent"),
    "exif_roll": ("GnssInfo", "Roll"),
    "exif_pitch": ("GnssInfo", "Pitch"),
    "exif_geoidalseparation": ("GnssInfo", "GeoidalSeparation"),
    "exif_northrmserror": ("GnssInfo", "NorthRmsError"),
    "exif_eastrmserror": ("GnssInfo", "EastRmsError"),
    "exif_downrmserror": ("GnssInfo", "DownRmsError"),
    "exif_rollrmserror": ("GnssInfo", "RollRmsError"),
    "exif_pitchrmserror": ("GnssInfo", "PitchRmsError"),
    "exif_headingrmserror": ("GnssInfo", "HeadingRmsError"),
}
FIRST_FORM: Final = "ReflinkInfo"
SECOND_FORM: Final = "AdditionalInfoNorway2"
_FORMS: Final = {FIRST_FORM: _FIRST_FORM, SECOND_FORM: _SECOND_FORM}


def read_reflink(root: XmlElement, *, source: str) -> dict[str, str | None]:
    """The record's keys from `root` (redacted), None where an element is missing; no keys for an unknown root."""
    form = _FORMS.get(local_name(root.name))
    if form is None:
        expected = " or ".join(_FORMS)
        logging.getLogger(__name__).warning("%s: tag 40056 holds %s, expected %s", source, root.name, expected)
        return {}
    return {key: root.text(*path) for key, path in form.items()}
