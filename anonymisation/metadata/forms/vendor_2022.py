"""The vendor's tags as the 2022 form reads them: ImageProperties (40055) and ReflinkInfo (40056) in both of its forms.

Numbers have a dot, also where the XML has a comma. An element that is missing or empty is None.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from anonymisation.metadata.forms.reading import Reading
from anonymisation.metadata.image_properties import read_geotag
from anonymisation.metadata.path_names import PathNames, read_names, split_path
from anonymisation.metadata.position import point_text, warn_of_unusable
from anonymisation.metadata.reflink import FIRST_FORM, SECOND_FORM
from anonymisation.metadata.spelling import finite, up_to_two_decimals, with_dots
from anonymisation.metadata.xml_tree import XmlElement, local_name

VENDOR: Final = "vendor"
GPS: Final = "GPS"
_SECTION: Final = re.compile(r"S([0-9]+)D([0-9]+)")
_BASE_LINE: Final = ("BaseLinePosition", "BaseLineTickInterval", "BaseLineTickOffset", "TiltPoint", "Tilt")


@dataclass(frozen=True, slots=True)
class Position:
    """A position as records have it, its altitude, and where both come from: the vendor's tags or the standard ones."""

    text: str | None = None
    altitude: str | None = None
    origin: str | None = None


@dataclass(frozen=True)
class Vendor:
    """The two documents, redacted and with dots; None where the picture has none, or a link of an unknown form."""

    properties: XmlElement | None
    link: XmlElement | None
    source: str

    @classmethod
    def of(cls, reading: Reading) -> Vendor:
        """The documents of a picture."""
        root, link = reading.properties, reading.link
        if link is not None and local_name(link.name) not in {FIRST_FORM, SECOND_FORM}:
            message = "%s: tag 40056 holds %s, expected %s or %s"
            logging.getLogger(__name__).warning(message, reading.source, link.name, FIRST_FORM, SECOND_FORM)
            link = None
        return cls(None if root is None else with_dots(root), None if link is None else with_dots(link), reading.source)

    # --- ReflinkInfo -------------------------------------------------------------------------------------------------

    @property
    def has_link(self) -> bool:
        """Whether the picture has ReflinkInfo of either form."""
        return self.link is not None

    @property
    def has_road_info(self) -> bool:
        """Whether ReflinkInfo is of the form of May 2020."""
        return self.link is not None and local_name(self.link.name) == SECOND_FORM

    @property
    def has_gnss(self) -> bool:
        """Whether ReflinkInfo says anything about position and movement."""
        return self.has_road_info and self.link is not None and self.link.child("GnssInfo") is not None

    @property
    def has_info(self) -> bool:
        """Whether there is ImageInfo, as in pictures of 2022 and of all directions."""
        return self.has_road_info and self.link is not None and self.link.child("ImageInfo") is not None

    def road(self, name: str) -> str | None:
        """A value of RoadInfo; in the form of March 2020 it is at the top."""
        if self.link is None:
            return None
        return self.link.text("RoadInfo", name) if self.has_road_info else self._first_form(name)

    def _first_form(self, name: str) -> str | None:
        return self.link.text(name) if self.link is not None and name != "RoadIdent" else None

    def gnss(self, name: str) -> str | None:
        """A value of GnssInfo, as it stands."""
        return self.link.text("GnssInfo", name) if self.link is not None and self.has_road_info else None

    def info(self, name: str) -> str | None:
        """A value of ImageInfo."""
        return self.link.text("ImageInfo", name) if self.link is not None and self.has_road_info else None

    def gnss_position(self) -> Position:
        """Where GnssInfo says that the car was."""
        texts = {name: self.gnss(name) for name in ("Longitude", "Latitude", "Altitude")}
        warn_of_unusable(texts, source=self.source)
        return Position(point_text(*texts.values()), texts["Altitude"], VENDOR)

    @property
    def section_in_ident(self) -> tuple[str, str] | None:
        """Section and subsection, from the second word of RoadIdent (`EV6 S57D1 M12345 KD2 m10`)."""
        words = (self.road("RoadIdent") or "").split()
        match = _SECTION.fullmatch(words[1]) if len(words) > 1 else None
        return None if match is None else (match[1], match[2])

    @property
    def metre_in_info(self) -> str | None:
        """ImageInfo's metre, rounded."""
        return up_to_two_decimals(finite(self.info("meter")))

    # --- ImageProperties ---------------------------------------------------------------------------------------------

    @property
    def county(self) -> str | None:
        """VCCountyNo; only without VegComValues, that of ImageName."""
        if self.properties is None or self.properties.child("VegComValues") is None:
            return self.image_names.county
        return self.value("VCCountyNo")

    @property
    def metre_in_properties(self) -> str | None:
        """VCMeter, rounded."""
        return up_to_two_decimals(finite(self.value("VCMeter")))

    def value(self, name: str) -> str | None:
        """A value of VegComValues."""
        return None if self.properties is None else self.properties.text("VegComValues", name)

    def geotag(self) -> Position:
        """Where GeoTag says that the car was."""
        root = self.properties
        if root is None:
            return Position()
        return Position(read_geotag(root, source=self.source), root.text("GeoTag", "dAltitude"), VENDOR)

    @property
    def base_line(self) -> str | None:
        """The base line's five values with `;` between them; a missing one is empty."""
        root = self.properties
        return None if root is None else ";".join(root.text(name) or "" for name in _BASE_LINE)

    # --- The recorder's own path of the picture ----------------------------------------------------------------------

    @cached_property
    def image_path(self) -> tuple[str, ...]:
        """The names of ImageName."""
        return split_path(None if self.properties is None else self.properties.text("ImageName"))

    @cached_property
    def storage_path(self) -> tuple[str, ...]:
        """The names of StorageFile in ImageInfo."""
        return split_path(self.info("StorageFile"))

    @cached_property
    def image_names(self) -> PathNames:
        """What ImageName says."""
        return read_names(self.image_path)

    @cached_property
    def storage_names(self) -> PathNames:
        """What StorageFile says."""
        return read_names(self.storage_path)

    @property
    def recorder_path(self) -> tuple[str, ...]:
        """StorageFile, or else ImageName."""
        return self.storage_path or self.image_path

    @property
    def file_name(self) -> str | None:
        """The file's name in the recorder's own path."""
        return (self.recorder_path[-1] if self.recorder_path else None) or None

    @property
    def folder(self) -> str | None:
        """The folder in the recorder's own path, with `/`."""
        return "/".join(self.recorder_path[:-1]) or None
