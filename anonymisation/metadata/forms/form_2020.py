"""The form of 2020, the default."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

from anonymisation.core.picture_ids import picture_key
from anonymisation.files.plain import sha256_of_plain
from anonymisation.metadata.agreement import TAG
from anonymisation.metadata.folder_name import format_folder_name
from anonymisation.metadata.forms.reading import Reading, RecordForm
from anonymisation.metadata.image_properties import read_date, read_image_properties
from anonymisation.metadata.path_fallback import read_path
from anonymisation.metadata.reflink import read_reflink
from anonymisation.metadata.standard_exif import read_standard_exif
from anonymisation.metadata.timestamps import Timestamp, file_timestamp, timestamp_of
from anonymisation.metadata.xml_tree import pretty_or_none


class Values2020:
    """With the vendor's tag 40055, the values come from this tag. Without it, the road reference comes from the path,
    and time, position and heading come from the standard tags.
    """

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    @property
    def outweighing_tags(self) -> str | None:
        """Without the vendor's tag, the record is made from the standard tags, and both agree."""
        return None if self.reading.properties is None else TAG

    @cached_property
    def main(self) -> Mapping[str, str | None]:
        """The values of tag 40055, or else those of the path and the standard tags."""
        reading = self.reading
        if reading.properties is not None:
            return read_image_properties(reading.properties, source=reading.source)
        return read_path(reading.path_names) | read_standard_exif(reading.exif.place)

    @cached_property
    def link(self) -> Mapping[str, str | None]:
        """The values of tag 40056."""
        return {} if self.reading.link is None else read_reflink(self.reading.link, source=self.reading.source)

    @property
    def file_name(self) -> str:
        """The name in the recorder's own path, or else that of the file."""
        return self.main.get("exif_filnavn") or self.reading.path.name

    @cached_property
    def taken(self) -> Timestamp:
        """The vendor's date, the standard tags', or the file's: none of them replaces one that cannot be read."""
        root, exif, path = self.reading.properties, self.reading.exif, self.reading.path
        other = exif.times.taken
        if root is not None:
            taken = read_date(root)
            if taken is not None:
                return taken
            other = None if root.attributes.get("Date", "").strip() else other
            instead = "the time of its file" if other is None else "its standard EXIF time"
            message = "%s: no valid Date in tag 40055; %s is used instead"
            logging.getLogger(__name__).warning(message, path, instead)
        elif other is None and exif.present:
            logging.getLogger(__name__).warning("%s: its EXIF has no usable date; the time of its file is used", path)
        return file_timestamp(path) if other is None else timestamp_of(other)

    @property
    def identifier(self) -> str:
        """The ID: time and file name. Without a date it begins with a checksum, so that copies have the same ID."""
        moment = self.taken.for_id
        if self.taken.from_file:
            moment = _checksum_for_id(self.reading.sha256 or sha256_of_plain(self.reading.path))
        return f"{moment}_{picture_key(self.file_name)}"

    @property
    def folder(self) -> str:
        """`mappenavn`."""
        context = self.reading.context
        return format_folder_name(
            context.exif_mappenavn,
            self.main,
            self.taken,
            path=self.reading.path,
            top_dir=context.exif_top_dir,
            input_root=context.input_root,
        )


def _checksum_for_id(sha256: str) -> str:
    """What stands for the time in the ID of a picture without date: as long as a time, so that columns hold it."""
    return f"sha256-{sha256[:19]}"


def _main(key: str) -> Callable[[Values2020], Any]:
    return lambda values: values.main.get(key)


def _link(key: str) -> Callable[[Values2020], Any]:
    return lambda values: values.link.get(key)


FORM_2020: Final[RecordForm[Values2020]] = RecordForm(
    2020,
    Values2020,
    {
        "exif_tid": lambda values: values.taken.text,
        "exif_dato": lambda values: values.taken.moment.date().isoformat(),
        "exif_speed": _main("exif_speed"),
        "exif_heading": _main("exif_heading"),
        "exif_gpsposisjon": _main("exif_gpsposisjon"),
        "exif_strekningsnavn": _main("exif_strekningsnavn"),
        "exif_fylke": _main("exif_fylke"),
        "exif_vegkat": _main("exif_vegkat"),
        "exif_vegstat": _main("exif_vegstat"),
        "exif_vegnr": _main("exif_vegnr"),
        "exif_hp": _main("exif_hp"),
        "exif_strekning": _main("exif_strekning"),
        "exif_delstrekning": _main("exif_delstrekning"),
        "exif_ankerpunkt": _main("exif_ankerpunkt"),
        "exif_kryssdel": _main("exif_kryssdel"),
        "exif_sideanleggsdel": _main("exif_sideanleggsdel"),
        "exif_meter": _main("exif_meter"),
        "exif_feltkode": _main("exif_feltkode"),
        "exif_mappenavn": _main("exif_mappenavn"),
        "exif_filnavn": lambda values: values.file_name,
        "exif_strekningreferanse": _main("exif_strekningreferanse"),
        "exif_imageproperties": lambda values: pretty_or_none(values.reading.properties),
        "exif_reflinkinfo": lambda values: pretty_or_none(values.reading.link),
        "exif_reflinkid": _link("exif_reflinkid"),
        "exif_reflinkposisjon": _link("exif_reflinkposisjon"),
        "exif_roadident": _link("exif_roadident"),
        "exif_roll": _link("exif_roll"),
        "exif_pitch": _link("exif_pitch"),
        "exif_geoidalseparation": _link("exif_geoidalseparation"),
        "exif_northrmserror": _link("exif_northrmserror"),
        "exif_eastrmserror": _link("exif_eastrmserror"),
        "exif_downrmserror": _link("exif_downrmserror"),
        "exif_rollrmserror": _link("exif_rollrmserror"),
        "exif_pitchrmserror": _link("exif_pitchrmserror"),
        "exif_headingrmserror": _link("exif_headingrmserror"),
        "exif_xptitle": lambda values: values.reading.title,
        "exif_kvalitet": _main("exif_kvalitet"),
        "bildeid": lambda values: values.identifier,
        "senterlinjeposisjon": lambda _: None,
        "detekterte_objekter": lambda values: values.reading.counts,
        "versjon": lambda values: values.reading.context.version,
        "mappenavn": lambda values: values.folder,
    },
)
