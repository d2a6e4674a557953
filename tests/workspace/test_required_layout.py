"""The layout that records must fill is checked at the start, whether rows are loaded or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from anonymisation.core.errors import ConfigurationError
from anonymisation.core.settings import load_settings
from anonymisation.workspace.required_layout import required_layout
from anonymisation.workspace.workspace import load_configuration
from tests.captures import Site

WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"table_name": "NO_SUCH"}, "NO_SUCH", "no such table layout"),
    ({"table_name": "VEGBILDER_2022", "table_primary_key": "ID"}, "table_primary_key", "bildeid"),
    ({"table_name": "VEGBILDER", "table_primary_key": "exif_speed_ms", "record_form": 2020}, "table_primary_key",
     "did you mean exif_speed"),
]  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize("loads", [True, False])
@pytest.mark.parametrize(("values", "key", "message"), WRONG)
def test_a_layout_that_no_record_can_fill_is_refused_at_the_start(
    site: Site, loads: bool, values: dict[str, Any], key: str, message: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        site.workspace(**{"record_form": 2022, "write_exif_to_db": loads, **values})
    [problem] = caught.value.problems
    assert problem.key == key
    assert message in problem.message


def test_one_layout_is_blamed_once(site: Site) -> None:
    for loads in (True, False):
        with pytest.raises(ConfigurationError) as caught:
            site.workspace(table_name="NO_SUCH", db_table="NO_SUCH", write_exif_to_db=loads)
        assert [problem.key for problem in caught.value.problems] == ["NO_SUCH"]


def test_the_command_that_shows_the_configuration_checks_it_too(tmp_path: Path) -> None:
    (tmp_path / "k.yml").write_text("table_name: NO_SUCH\n")
    with pytest.raises(ConfigurationError, match="no such table layout"):
        load_configuration(tmp_path / "k.yml")


def test_without_a_name_there_is_nothing_to_check() -> None:
    assert required_layout(load_settings(None, {"table_primary_key": "ID"}).settings) is None
    for key in (None, "exif_camera", "bildeid"):
        values = {"record_form": 2022, "table_name": "VEGBILDER_2022", "table_primary_key": key}
        layout = required_layout(load_settings(None, values).settings)
        assert layout is not None
        assert len(layout.columns) == 51
