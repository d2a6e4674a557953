"""The 2022 form's default reader: how the values of a picture of 2021 or later are found.

The vendor's tag 40056 (ReflinkInfo) is the strongest source; without it, the path and the standard tags are. Each value
names its sources, the strongest first. A value that is missing or not a number costs only itself.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import cached_property
from typing import Final

from anonymisation.core.picture_ids import picture_id_2022
from anonymisation.metadata.folder_name import format_folder_name_2022
from anonymisation.metadata.forms.reading import Reading
from anonymisation.metadata.forms.vendor_2022 import GPS, VENDOR, Position, Vendor
from anonymisation.metadata.image_properties import read_date, read_heading
from anonymisation.metadata.path_names import NO_NAMES, PathNames, read_names
from anonymisation.metadata.position import digits, is_nan, point_text
from anonymisation.metadata.road_reference import Road, RoadReference
from anonymisation.metadata.spelling import difference, finite, two_decimals
from anonymisation.metadata.timestamps import Timestamp, file_timestamp

SPHERE: Final = "360"
"""The image type of pictures that show all directions."""
UNKNOWN_ROAD: Final = "Ukjent"


class Values2022:
    """The values of one picture."""

    outweighing_tags = "the vendor's tags"

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.vendor = Vendor.of(reading)

    @cached_property
    def taken(self) -> Timestamp:
        """DateTimeOriginal with a time of day, else the vendor's date, else the file's time."""
        exposed, root = self.reading.exif.camera.exposed, self.reading.properties
        if exposed is not None:
            return Timestamp(exposed.isoformat(), exposed, standard=True)
        dated = None if root is None else read_date(root)
        log = logging.getLogger(__name__)
        if dated is None and self.reading.exif.present:
            message = "%s: no EXIF tag DateTimeOriginal with a time of day, no valid Date in tag 40055; %s is used"
            log.warning(message, self.reading.source, "the time of its file")
        elif self.reading.exif.times.original is not None:
            message = "%s: EXIF tag DateTimeOriginal gives no time of day; the Date of tag 40055 is used"
            log.warning(message, self.reading.source)
        return file_timestamp(self.reading.path) if dated is None else dated

    # --- Where on the road -------------------------------------------------------------------------------------------

    @cached_property
    def path_names(self) -> PathNames:
        """What the path of the file says."""
        return read_names(self.reading.path_names)

    @cached_property
    def names(self) -> PathNames:
        """Road, lane and section: of the recorder's paths, that in ImageInfo first; without ReflinkInfo, or without
        such a path, those of the path of the file first. Its file name alone gives anchor point and parts.
        """
        recorded = _over(self.vendor.storage_names, self.vendor.image_names)
        if self.vendor.has_link and self.vendor.recorder_path:
            return recorded
        return _over(self.path_names, recorded)

    @property
    def road(self) -> Road:
        """Category, status and number."""
        return self.names.road

    @property
    def lane(self) -> str | None:
        """The lane with its letter."""
        return self.names.lane

    @property
    def hp(self) -> str | None:
        """The old main parcel is not read."""
        return None

    @property
    def area(self) -> str | None:
        """The name of the stretch of road is not read."""
        return None

    @cached_property
    def county(self) -> str | None:
        """The county that the picture gives, else that of the settings, which may also be forced."""
        context = self.reading.context
        return context.county if context.force_county else self.own_county or context.county

    @property
    def own_county(self) -> str | None:
        """ImageInfo's county, then that of ImageProperties; without ReflinkInfo the path's outweighs both."""
        vendor, path = self.vendor, self.path_names.county
        in_tags = vendor.info("fylke") or vendor.storage_names.county or vendor.county
        if vendor.has_link:
            return in_tags or (None if vendor.recorder_path else path)
        return path or in_tags

    @cached_property
    def metre(self) -> str | None:
        """ImageInfo's metre, then VCMeter, rounded; then that of a name, which is whole."""
        vendor = self.vendor
        return vendor.metre_in_info or vendor.metre_in_properties or self.metre_in_names

    @property
    def metre_in_names(self) -> str | None:
        """The metre of the recorder's paths, then that of the path of the file."""
        return self.vendor.storage_names.metre or self.vendor.image_names.metre or self.path_names.metre

    @cached_property
    def reference(self) -> RoadReference:
        """Section and parts: those of RoadIdent, else those of the file name."""
        match = self.vendor.section_in_ident
        found = self.names.reference
        return found if match is None else replace(found, section=match[0], subsection=match[1])

    @property
    def section_reference(self) -> str | None:
        """`S<n>/D<n>`, only with the vendor's link of May 2020."""
        known = self.vendor.has_road_info and None not in (self.reference.section, self.reference.subsection)
        return f"S{self.reference.section}/D{self.reference.subsection}" if known else None

    @property
    def road_ident(self) -> str | None:
        """As the recorder gave it, else put together."""
        return self.vendor.road("RoadIdent") or self.assembled_ident

    @property
    def assembled_ident(self) -> str | None:
        """`FV286 S1D1 M00500 KD1 m7`; None unless road, section and metre are known."""
        road, reference = self.road, self.reference
        if None in (road.category, road.status, road.number, reference.section, reference.subsection, self.metre):
            return None
        parts = [f"{road.category}{road.status}{road.number}", f"S{reference.section}D{reference.subsection}"]
        parts += [f"M{reference.anchor}"] if reference.anchor else []
        if reference.side_facility:
            parts.append(f"AD{reference.side_facility}")
        elif reference.junction:
            parts.append(f"KD{reference.junction}")
        return " ".join((*parts, f"m{self.metre}"))

    @property
    def road_type(self) -> str:
        """As ImageInfo has it."""
        return self.vendor.info("roadtype") or UNKNOWN_ROAD

    # --- Where on Earth ----------------------------------------------------------------------------------------------

    @cached_property
    def position(self) -> Position:
        """The vendor's, then GeoTag's, then that of the standard tags; these come first without ReflinkInfo."""
        link, tag, standard = self.vendor.gnss_position, self.vendor.geotag, self._standard_position
        order = (link, tag, standard) if self.vendor.has_link else (standard, tag)
        # One after the other: reading a tag that is not needed would warn of what is wrong with it.
        return next((found for source in order if (found := source()).text is not None), Position())

    def _standard_position(self) -> Position:
        place, metres = self.reading.exif.place, digits(self.reading.exif.camera.altitude)
        text = point_text(digits(place.longitude), digits(place.latitude), metres)
        return Position(text, metres, GPS)

    @property
    def altitude(self) -> str | None:
        """As the vendor has it, be it NaN, unless the height above sea level needed it; else that of the position."""
        if not self.vendor.has_gnss:
            return self.position.altitude
        written = self.vendor.gnss("Altitude")
        needed = finite(self.vendor.gnss("GeoidalSeparation")) is not None
        return None if needed and finite(written) is None else written

    @property
    def height_above_sea(self) -> str | None:
        """Altitude without geoidal separation."""
        return difference(finite(self.vendor.gnss("Altitude")), finite(self.vendor.gnss("GeoidalSeparation")))

    @property
    def speed(self) -> str | None:
        """Metres per second."""
        own = finite(self.vendor.gnss("Speed")) if self.vendor.has_link else self.reading.exif.camera.speed
        return two_decimals(own)

    @property
    def heading(self) -> str | None:
        """As the vendor has it, be it NaN, and from 0 to below 360; without ReflinkInfo, that of the standard tags."""
        if not self.vendor.has_link:
            return digits(self.reading.exif.place.heading)
        text = self.vendor.gnss("Heading")
        if text is None or is_nan(text):
            return text
        return read_heading(text, source=self.reading.source, tag="tag 40056")

    @property
    def quality(self) -> str:
        """0 without EXIF, 2 with ReflinkInfo and a position of the vendor's, else 1; 1 also for a picture of all
        directions whose position in ReflinkInfo has a gap.
        """
        if not self.reading.exif.present:
            return "0"
        sphere = self.vendor.has_gnss and self.reading.context.image_type == SPHERE
        gap = sphere and not all(self.vendor.gnss(name) for name in ("Latitude", "Longitude", "Altitude"))
        return "2" if self.vendor.has_link and self.position.origin == VENDOR and not gap else "1"

    # --- Names -------------------------------------------------------------------------------------------------------

    @property
    def recorder_folder(self) -> str | None:
        """The folder in the recorder's own path."""
        return self.vendor.folder

    @property
    def file_name(self) -> str:
        """The name in the recorder's own path; without ReflinkInfo, or without such a path, that of the file."""
        return (self.vendor.file_name if self.vendor.has_link else None) or self.reading.path.name

    @property
    def identifier(self) -> str:
        """`bildeid`."""
        image_type = self.reading.context.image_type
        return picture_id_2022(self.taken.moment, self.file_name, image_type, self.lane)

    @property
    def folder(self) -> str:
        """`mappenavn`."""
        context, road, reference = self.reading.context, self.road, self.section_reference
        return format_folder_name_2022(
            context.exif_mappenavn,
            {
                "exif_fylke": self.county, "exif_vegkat": road.category, "exif_vegstat": road.status,
                "exif_vegnr": road.number, "exif_hp": self.hp, "exif_meter": self.metre, "exif_feltkode": self.lane,
                "exif_strekningreferanse": reference,
            },
            self.taken,
            path=self.reading.path,
            top_dir=context.exif_top_dir,
            cut_image_type=context.cut_image_type,
        )  # fmt: skip

    @property
    def preview_name(self) -> str | None:
        """The preview's file name, where previews are made."""
        return f"{self.reading.path.stem}_preview.jpg" if self.reading.context.previews else None


def _over(upper: PathNames, lower: PathNames) -> PathNames:
    """What `upper` gives, and what only `lower` gives."""
    if NO_NAMES in (upper, lower):
        return lower if upper == NO_NAMES else upper
    return PathNames(
        road=lower.road if upper.road == Road() else upper.road,
        lane=upper.lane or lower.lane,
        county=upper.county or lower.county,
        metre=upper.metre or lower.metre,
        reference=lower.reference if upper.reference == RoadReference() else upper.reference,
    )
