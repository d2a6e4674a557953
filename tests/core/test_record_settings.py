"""Configuration files of the original's 2022 version: taken as they are, or refused with what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from anonymisation.core.errors import ConfigurationError
from anonymisation.core.settings import Settings, load_settings
from anonymisation.metadata.record import RecordContext
from tests.drawn import DRAWN

# The keys of 2022, as that version ships them.
SHIPPED: dict[str, Any] = {
    "data_eier": None, "fylkesnummer": None, "force_fylke": False, "image_type": "Planar",
    "remove_imagetype_filepath": False, "flip_wkt": False, "remote_preview": False, "local_preview": False,
    "archive_preview": False, "separate_preview_directory": None, "preview_dim": [2520, 1400],
    "preview_center": [0.45, 0.5], "use_cutouts": False, "cutout_step_factor": [1500, 1300],
    "cutout_dim_downscale": [3, 2], "table_name": "VEGBILDER", "table_primary_key": "bildeid",
    "exif_mappenavn": "Vegbilder/{relative_input_dir}", "remote_json": True, "model_type": "Medium",
}  # fmt: skip


def load(tmp_path: Path, **values: Any) -> Settings:
    path = tmp_path / "theirs.yml"
    path.write_text(yaml.safe_dump(values), "utf-8")
    return load_settings(path).settings


def problems(tmp_path: Path, **values: Any) -> dict[str, str]:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, **values)
    return {problem.key: problem.message for problem in caught.value.problems}


def test_a_file_of_that_version_is_taken_as_it_is_and_implies_its_form(tmp_path: Path) -> None:
    found = load(tmp_path, **SHIPPED)
    assert (found.record_form, found.record_reader, found.image_type) == (2022, "default", "Planar")
    assert (found.table_name, found.db_table, found.table_primary_key) == (
        "VEGBILDER_2022", "VEGBILDER_2022", "bildeid",
    )  # fmt: skip
    assert (found.preview_dim, found.preview_center, found.has_previews) == ((2520, 1400), (0.45, 0.5), False)
    sphere = load(
        tmp_path, **SHIPPED | {"image_type": 360, "use_cutouts": True, "remote_preview": True, "tiles": False}
    )
    assert (sphere.image_type, sphere.has_previews, sphere.tiles) == ("360", True, False)
    assert load(tmp_path, **SHIPPED | {"use_cutouts": True}).tiles
    context = RecordContext.from_settings(found, input_root=tmp_path, version="X")
    assert (context.form, context.owner, context.county, context.previews) == (2022, None, None, False)


@pytest.mark.parametrize("name", ["config_planar_2022.yml", "config_360_2022.yml"])
def test_the_shipped_files_of_that_version_are_taken(references: Path, name: str) -> None:
    loaded = load_settings(references / "reference" / "form2022" / name)
    found = loaded.settings
    owner = ("Tegnet vegvesen", 98) if references == DRAWN else ("Statens vegvesen", 34)
    assert (found.record_form, found.db_table) == (2022, "VEGBILDER_2022")
    assert (found.data_eier, found.fylkesnummer) == owner
    assert (found.image_type, found.remote_preview) == (("360", True) if "360" in name else ("Planar", False))
    assert (found.exif_mappenavn, found.remote_json) == ("Vegbilder/{relative_input_dir}", True)
    assert loaded.sources["record_form"].endswith(f"{name} (implied)")


def test_the_form_that_a_file_names_counts(tmp_path: Path) -> None:
    found = load(tmp_path, record_form=2020, data_eier="Us", image_type="Dekke", table_name="VEGBILDER")
    assert (found.record_form, found.table_name, found.db_table) == (2020, "VEGBILDER", "PICTURES")
    assert load(tmp_path, flip_wkt=True).record_form == 2020
    assert load(tmp_path, record_form=2022).record_form == 2022
    assert load(tmp_path, record_form=2022, table_name="OURS", db_table="PICTURES").db_table == "PICTURES"


def test_the_older_table_is_checked_against_its_layout(tmp_path: Path) -> None:
    found = load(tmp_path, **SHIPPED | {"table_name": "VEGBILDER_V1"})
    assert (found.table_name, found.db_table) == ("VEGBILDER", "PICTURES")
    nothing = load(tmp_path, **SHIPPED | {"table_name": None})
    assert (nothing.table_name, nothing.db_table) == (None, "PICTURES")


def test_what_has_no_equivalent_is_refused_with_what_to_do(tmp_path: Path) -> None:
    changed = {"cutout_step_factor": [700, 700], "cutout_dim_downscale": [2, 2], "use_cutouts": "yes please"}
    found = problems(tmp_path, **SHIPPED | changed)
    assert set(found) == set(changed)
    assert "tile_pixels" in found["cutout_step_factor"]
    assert "remove this key" in found["cutout_dim_downscale"]


@pytest.mark.parametrize(
    ("values", "key", "message"),
    [
        ({"force_fylke": True}, "force_fylke", "needs fylkesnummer"),
        ({"archive_preview": True}, "archive_preview", "needs remote_preview"),
        ({"remote_preview": True, "draw_mask": False}, "remote_preview", "needs draw_mask"),
        ({"separate_preview_directory": "/p", "draw_mask": False}, "separate_preview_directory", "needs draw_mask"),
        ({"archive_json": True, "remote_json": False}, "archive_json", "needs remote_json"),
        ({"exif_mappenavn": "{hp}"}, "exif_mappenavn", "{hp}"),
        ({"fylkesnummer": -1}, "fylkesnummer", "0 to 9999"),
        ({"fylkesnummer": "Oslo"}, "fylkesnummer", "0 to 9999"),
        ({"fylkesnummer": "34 "}, "fylkesnummer", "0 to 9999"),
        ({"image_type": ""}, "image_type", "such as Planar"),
        ({"image_type": "a/b"}, "image_type", "without /"),
        ({"image_type": "None"}, "image_type", "such as Planar"),
        ({"data_eier": ""}, "data_eier", "expected null or a name"),
        ({"remote_preview": "True"}, "remote_preview", "True or False, without quotes"),
        ({"preview_dim": None, "remote_preview": True}, "preview_dim", "[2520, 1400]"),
        ({"preview_center": None, "separate_preview_directory": "/p"}, "preview_center", "[0.45, 0.5]"),
        ({"preview_dim": [0, 100]}, "preview_dim", "[2520, 1400]"),
        ({"preview_dim": [100]}, "preview_dim", "[2520, 1400]"),
        ({"preview_center": [0.5, 1.5]}, "preview_center", "[0.45, 0.5]"),
        ({"separate_preview_directory": "previews"}, "separate_preview_directory", "whole path"),
        ({"separate_preview_directory": r"C:\previews"}, "separate_preview_directory", "whole path"),
        ({"table_name": "no table"}, "table_name", "such as VEGBILDER"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_right(
    tmp_path: Path, values: dict[str, Any], key: str, message: str
) -> None:
    found = problems(tmp_path, **SHIPPED | values)
    assert set(found) == {key}
    assert message in found[key]


def test_a_county_in_quotes_is_recorded_as_written(tmp_path: Path) -> None:
    for given, county in ((34, "34"), ("34", "34"), ("03", "03"), ("0301", "0301"), ("None", None)):
        found = load(tmp_path, **SHIPPED | {"fylkesnummer": given})
        assert RecordContext.from_settings(found, input_root=tmp_path, version="X").county == county
    assert load(tmp_path, **SHIPPED | {"fylkesnummer": "08", "force_fylke": True}).force_fylke
    assert set(problems(tmp_path, **SHIPPED | {"fylkesnummer": "None", "force_fylke": True})) == {"force_fylke"}


def test_none_for_the_table_is_null(tmp_path: Path) -> None:
    found = load(tmp_path, **SHIPPED | {"table_name": "None", "table_primary_key": "None", "data_eier": "None"})
    assert (found.record_form, found.table_name, found.db_table) == (2022, None, "PICTURES")
    assert (found.table_primary_key, found.data_eier) == (None, None)


def test_what_that_version_does_not_use_may_have_any_value(tmp_path: Path) -> None:
    unused = {"preview_dim": None, "preview_center": None, "cutout_step_factor": [700, 700], "use_cutouts": False}
    found = load(tmp_path, **SHIPPED | unused | {"cutout_dim_downscale": [2, 2]})
    assert (found.preview_dim, found.preview_center) == ((2520, 1400), (0.45, 0.5))


def test_the_deprecated_reader_knows_the_main_parcel(tmp_path: Path) -> None:
    found = load(tmp_path, **SHIPPED | {"record_reader": "deprecated", "exif_mappenavn": "{hp}"})
    assert found.exif_mappenavn == "{hp}"


def test_a_preview_is_wanted_where_one_of_its_switches_is_on(tmp_path: Path) -> None:
    for change in (
        {"remote_preview": True}, {"local_preview": True}, {"separate_preview_directory": "/previews"},
        {"archive_preview": True, "remote_preview": True},
    ):  # fmt: skip
        assert load(tmp_path, **SHIPPED | change).has_previews
    assert not load(tmp_path, **SHIPPED).has_previews
