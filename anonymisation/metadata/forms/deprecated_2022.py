"""The 2022 form's second reader, for pictures from before 2022: their ImageProperties (tag 40055) come first."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from anonymisation.metadata.forms.reading import Reading
from anonymisation.metadata.forms.values_2022 import Values2022
from anonymisation.metadata.forms.vendor_2022 import VENDOR, Position
from anonymisation.metadata.image_properties import read_date, read_image_properties
from anonymisation.metadata.path_names import PathNames, read_names
from anonymisation.metadata.road_reference import Road, RoadReference
from anonymisation.metadata.spelling import finite, up_to_two_decimals
from anonymisation.metadata.timestamps import Timestamp


class DeprecatedValues2022(Values2022):
    """Values as in the form of 2020; what ImageProperties lack comes from ReflinkInfo, where this has ImageInfo."""

    @cached_property
    def main(self) -> Mapping[str, str | None]:
        """The values of tag 40055 under the keys of 2020."""
        root = self.vendor.properties
        return {} if root is None else read_image_properties(root, source=self.reading.source)

    @cached_property
    def taken(self) -> Timestamp:
        """The vendor's date, else DateTimeOriginal, else the file's time."""
        root = self.reading.properties
        return (None if root is None else read_date(root)) or super().taken

    @property
    def speed(self) -> str | None:
        """The speed of ImageProperties, at most two decimals."""
        own = up_to_two_decimals(finite(self.main["exif_speed"]))
        return own or (super().speed if self.vendor.has_info else None)

    @property
    def heading(self) -> str | None:
        """The heading of ImageProperties."""
        return self.main["exif_heading"] or (super().heading if self.vendor.has_info else None)

    @cached_property
    def position(self) -> Position:
        """GeoTag's."""
        found = self.vendor.geotag()
        if found.text is None and self.vendor.has_info:
            found = self.vendor.gnss_position()
        return found if found.text is not None else Position()

    @property
    def altitude(self) -> str | None:
        """GeoTag's."""
        return self.position.altitude

    @property
    def height_above_sea(self) -> str | None:
        """Known with ImageInfo only."""
        return super().height_above_sea if self.vendor.has_info else None

    @property
    def quality(self) -> str:
        """2 with a position, else 1."""
        return "2" if self.position.origin == VENDOR else "1"

    @property
    def area(self) -> str | None:
        """VCArea."""
        return self.main["exif_strekningsnavn"]

    @property
    def own_county(self) -> str | None:
        """VCCountyNo, else ImageInfo's."""
        return self.main["exif_fylke"] or self.vendor.info("fylke")

    @property
    def road(self) -> Road:
        """VCRoad."""
        parts = (self.main["exif_vegkat"], self.main["exif_vegstat"], self.main["exif_vegnr"])
        return self._info_names.road if parts == (None, None, None) else Road(*parts)

    @property
    def lane(self) -> str | None:
        """VCLaneName, else the lane in the file name."""
        return self.vendor.value("VCLaneName") or self._file_names.lane or self._info_names.lane

    @property
    def hp(self) -> str | None:
        """VCHP, where this is an old main parcel."""
        return self.main["exif_hp"]

    @cached_property
    def reference(self) -> RoadReference:
        """Section and parts of the file name, else VCHP; with ImageInfo, else RoadIdent."""
        main = self.main
        found = RoadReference(
            hp=main["exif_hp"],
            section=main["exif_strekning"],
            subsection=main["exif_delstrekning"],
            anchor=main["exif_ankerpunkt"],
            junction=main["exif_kryssdel"],
            side_facility=main["exif_sideanleggsdel"],
        )
        return super().reference if found == RoadReference() and self.vendor.has_info else found

    @property
    def section_reference(self) -> str | None:
        """The 4th and 3rd last part of ImageName."""
        return self.main["exif_strekningreferanse"] or (super().section_reference if self.vendor.has_info else None)

    @property
    def assembled_ident(self) -> str | None:
        """`EV134 5 3173 1` with an old main parcel: road, parcel, metre of the file name, lane."""
        road = self.road
        parts = (road.category, road.status, road.number, self.hp, self._file_names.metre, self.lane)
        if self.hp is None:
            return super().assembled_ident
        return None if None in parts else "{}{}{} {} {} {}".format(*parts)

    @property
    def recorder_folder(self) -> str | None:
        """The folder of ImageName, else that of StorageFile."""
        return self.main["exif_mappenavn"] or self.vendor.folder

    @property
    def file_name(self) -> str:
        """The name in ImageName, else that in StorageFile, else that of the file."""
        return self.main["exif_filnavn"] or self.vendor.file_name or self.reading.path.name

    @cached_property
    def _file_names(self) -> PathNames:
        return read_names((self.file_name,))

    @property
    def _info_names(self) -> PathNames:
        return self.vendor.storage_names


def deprecated_values(reading: Reading) -> Values2022:
    """The reader's values; a picture without ImageProperties is read as the default reader reads it."""
    return Values2022(reading) if reading.properties is None else DeprecatedValues2022(reading)
