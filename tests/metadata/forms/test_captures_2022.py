"""The 2022 form on pictures with the results of the original's 2022 version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from anonymisation.core.errors import ConfigurationError
from anonymisation.database.layouts.columns import empty_columns
from anonymisation.database.layouts.tables import load_layout
from anonymisation.metadata.forms.form_2022 import FORM_2022
from tests.drawn.draw import DRIVER
from tests.golden_2022 import XML_KEYS, Golden


def test_records_are_the_originals_or_right_where_it_is_wrong(golden: Golden) -> None:
    assert len(golden.pictures) > (8 if golden.drawn else 30)
    for picture, wanted in golden.expected().items():
        record = golden.record(picture)
        assert tuple(record) == FORM_2022.keys
        assert {key: record[key] for key in wanted} == wanted, picture


def test_the_xml_is_that_of_the_2020_form(golden: Golden) -> None:
    for picture in golden.pictures:
        record, older = golden.record(picture), golden.record(picture, form=2020)
        assert [record[key] for key in XML_KEYS] == [older[key] for key in XML_KEYS], picture
        assert (DRIVER if golden.drawn else "Test Driver") not in str(record)


def test_the_deprecated_reader_makes_the_originals_records(golden: Golden) -> None:
    for picture, wanted in golden.read("expected_metadata_deprecated_2022.json").items():
        if wanted["bildeid"] is None:
            continue  # the original lost its file name
        record = golden.record(picture, reader="deprecated")
        different = {key for key in wanted if key not in XML_KEYS and record[key] != wanted[key]}
        wrong = set() if golden.drawn else {key for key in wanted if is_wrong(wanted, key)}
        assert different <= wrong, (picture, {key: (record[key], wanted[key]) for key in different - wrong})


def is_wrong(wanted: dict[str, Any], key: str) -> bool:
    """Where the deprecated reader of the original is wrong: commas, "None" and "nan", and the road type."""
    value = str(wanted[key])
    return key == "exif_roadtype" or any(text in value for text in ("None", "nan", ",")) or value == "Ukjent"


def test_options_change_what_they_say(golden: Golden) -> None:
    names: dict[str, Callable[[Any], dict[str, Any]]] = {
        "force_fylke": lambda value: {"force_county": value},
        "data_eier": lambda value: {"owner": value},
        "remove_imagetype_filepath": lambda value: {"cut_image_type": value},
        "exif_top_dir": lambda value: {"exif_top_dir": value},
        "exif_mappenavn": lambda value: {"exif_mappenavn": value},
        "image_type": lambda value: {"image_type": value},
    }
    for case in golden.read("expected_options_2022.json"):
        options: dict[str, Any] = {}
        for key, value in case["options"].items():
            previews = {"previews": options.get("previews", False) or bool(value)}
            options |= names.get(key, lambda _, made=previews: made)(value)
        if "original" in case:
            with pytest.raises(ConfigurationError, match="exif_mappenavn"):
                golden.record(case["picture"], **options)
            continue
        plain, changed = golden.record(case["picture"]), golden.record(case["picture"], **options)
        changes = {key: value for key, value in changed.items() if value != plain[key]}
        if "EV00134" in case["picture"]:  # without EXIF: the original forgets the owner, and the county in mappenavn
            wanted = {"exif_dataeier": "Andre"} if "data_eier" in case["options"] else dict(case["changes"])
            wanted = {key: value.replace("|None|E|", "|34|E|") for key, value in wanted.items()}
            assert changes == wanted
        else:
            assert changes == case["changes"], case["options"]


def test_every_picture_passes_the_check_that_the_right_record_passes(golden: Golden) -> None:
    layout = load_layout("VEGBILDER_2022")
    for picture in golden.pictures:
        assert empty_columns(layout, golden.record(picture), "bildeid") == [], picture
        assert empty_columns(layout, golden.record(picture, owner=None), "bildeid") == [
            "column Dataeier would be empty"
        ]
