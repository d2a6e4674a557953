"""The form of 2022: one table of keys for both of its readers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from anonymisation.metadata.forms.deprecated_2022 import deprecated_values
from anonymisation.metadata.forms.reading import RecordForm
from anonymisation.metadata.forms.values_2022 import Values2022
from anonymisation.metadata.xml_tree import pretty_or_none


def _road(name: str) -> Callable[[Values2022], Any]:
    return lambda values: values.vendor.road(name)


def _gnss(name: str) -> Callable[[Values2022], Any]:
    return lambda values: values.vendor.gnss(name)


def _side(index: int) -> Callable[[Values2022], Any]:
    return lambda values: None if values.reading.size is None else str(values.reading.size[index])


_SOURCES: Final[Mapping[str, Callable[[Values2022], Any]]] = {
    "exif_tid": lambda values: values.taken.text,
    "exif_dato": lambda values: values.taken.moment.date().isoformat(),
    "exif_dataeier": lambda values: values.reading.context.owner,
    "exif_camera": lambda values: values.reading.exif.camera.model,
    "exif_imagetype": lambda values: values.reading.context.image_type,
    "exif_imagewidth": _side(0),
    "exif_imageheight": _side(1),
    "exif_speed_ms": lambda values: values.speed,
    "exif_heading": lambda values: values.heading,
    "exif_gpsposisjon": lambda values: values.position.text,
    "exif_altitude": lambda values: values.altitude,
    "exif_moh": lambda values: values.height_above_sea,
    "exif_strekningsnavn": lambda values: values.area,
    "exif_fylke": lambda values: values.county,
    "exif_vegkat": lambda values: values.road.category,
    "exif_vegstat": lambda values: values.road.status,
    "exif_vegnr": lambda values: values.road.number,
    "exif_roadtype": lambda values: values.road_type,
    "exif_hp": lambda values: values.hp,
    "exif_strekning": lambda values: values.reference.section,
    "exif_delstrekning": lambda values: values.reference.subsection,
    "exif_ankerpunkt": lambda values: values.reference.anchor,
    "exif_kryssdel": lambda values: values.reference.junction,
    "exif_sideanleggsdel": lambda values: values.reference.side_facility,
    "exif_meter": lambda values: values.metre,
    "exif_feltkode": lambda values: values.lane,
    "exif_mappenavn": lambda values: values.recorder_folder,
    "exif_filnavn": lambda values: values.file_name,
    "exif_strekningreferanse": lambda values: values.section_reference,
    "exif_imageproperties": lambda values: pretty_or_none(values.reading.properties),
    "exif_basislinje": lambda values: values.vendor.base_line,
    "exif_reflinkinfo": lambda values: pretty_or_none(values.reading.link),
    "exif_reflinkid": _road("ReflinkId"),
    "exif_reflinkposisjon": _road("ReflinkPosition"),
    "exif_roadident": lambda values: values.road_ident,
    "exif_roll": _gnss("Roll"),
    "exif_pitch": _gnss("Pitch"),
    "exif_geoidalseparation": _gnss("GeoidalSeparation"),
    "exif_northrmserror": _gnss("NorthRmsError"),
    "exif_eastrmserror": _gnss("EastRmsError"),
    "exif_downrmserror": _gnss("DownRmsError"),
    "exif_rollrmserror": _gnss("RollRmsError"),
    "exif_pitchrmserror": _gnss("PitchRmsError"),
    "exif_headingrmserror": _gnss("HeadingRmsError"),
    "exif_xptitle": lambda values: values.reading.title,
    "exif_kvalitet": lambda values: values.quality,
    "bildeid": lambda values: values.identifier,
    "senterlinjeposisjon": lambda _: None,
    "detekterte_objekter": lambda values: values.reading.counts,
    "versjon": lambda values: values.reading.context.version,
    "mappenavn": lambda values: values.folder,
    "exif_preview_filnavn": lambda values: values.preview_name,
}

FORM_2022: Final[RecordForm[Values2022]] = RecordForm(2022, Values2022, _SOURCES)
FORM_2022_DEPRECATED: Final[RecordForm[Values2022]] = RecordForm(2022, deprecated_values, _SOURCES)
