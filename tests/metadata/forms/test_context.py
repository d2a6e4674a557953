"""The settings of the 2022 form reach the record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from anonymisation.core.settings import load_settings
from anonymisation.imaging.exif.read import ExifTags
from anonymisation.metadata.record import Record, RecordContext, build_record
from tests.metadata.forms.conftest import properties_xml

PICTURE = "TilSladding/2021/Planar/EV6_S1D1_m00012_f1.jpg"
TAG = properties_xml({"VCCountyNo": "46", "VCRoad": "FV13"})


def record_with(root: Path, **changes: Any) -> Record:
    values = {"record_form": 2022, "exif_mappenavn": "{relative_input_dir}", **changes}
    context = RecordContext.from_settings(load_settings(None, values).settings, input_root=root, version="X")
    return build_record(root / PICTURE, ExifTags(True, TAG), context, objects=None, sha256="0" * 64)


@pytest.mark.parametrize(
    ("changes", "key", "value"),
    [
        ({"record_form": 2020}, "exif_speed", None),
        ({"record_reader": "deprecated"}, "exif_vegnr", "13"),
        ({"data_eier": "Us"}, "exif_dataeier", "Us"),
        ({"fylkesnummer": 3}, "exif_fylke", "46"),
        ({"fylkesnummer": 3, "force_fylke": True}, "exif_fylke", "3"),
        ({"image_type": "Dekke"}, "exif_imagetype", "Dekke"),
        ({"image_type": "360"}, "bildeid", "2021-06-02T09.42.46_EV6_S1D1_m00012_360_1"),
        ({"remove_imagetype_filepath": True}, "mappenavn", "2021"),
        ({"remote_preview": True}, "exif_preview_filnavn", "EV6_S1D1_m00012_f1_preview.jpg"),
    ],
)
def test_each_setting_changes_the_record(tmp_path: Path, changes: dict[str, Any], key: str, value: str | None) -> None:
    assert record_with(tmp_path, **changes)[key] == value
    plain = record_with(tmp_path)
    assert changes == {"fylkesnummer": 3} or plain.get(key, "no such key") != value
