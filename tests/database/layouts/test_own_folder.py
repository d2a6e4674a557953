"""Layouts of one's own, in a folder where the user keeps configuration."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from anonymisation.core.errors import ConfigurationError
from anonymisation.core.settings import Settings, load_settings
from anonymisation.database.layouts.columns import row_from_record
from anonymisation.database.layouts.geometry import Point
from anonymisation.database.layouts.tables import ColumnLayout, DimElement, SpatialMetadata, TableLayout
from anonymisation.database.layouts.user_formatters import FOLDER_VARIABLE, effective_layout, own_folder
from anonymisation.database.loading.loader import LoadLimits, SourceRecord, load_records
from anonymisation.database.schema import ddl
from anonymisation.workspace.workspace import load_configuration
from tests.conftest import REPOSITORY
from tests.database.sites import Site
from tests.sources import sources

Make = Callable[..., list[SourceRecord]]

LAYOUT = """
pk_column: UUID
columns:
  - {name: UUID, dtype: VARCHAR2(255), formatter: uuid, extra: PRIMARY KEY}
  - {name: Road, dtype: NUMBER, formatter: Vegnummer}
"""
FORMATTERS = """
from anonymisation.database.formatters import FORMATTERS

def uuid(record):
    return FORMATTERS["ID"](record)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of the user's, with a layout, its formatters and the configuration."""
    made = tmp_path / "my configuration"
    made.mkdir()
    (made / "mine.yml").write_text(LAYOUT, "utf-8")
    (made / "formatters_mine.py").write_text(FORMATTERS, "utf-8")
    return made


@pytest.fixture(autouse=True)
def no_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))


def named(folder: Path, **more: Any) -> Settings:
    values = {"db_table": "mine", "db_tables_dir": str(folder), "db_formatters_module": "formatters_mine.py"}
    return load_settings(overrides={**values, **more}).settings


@pytest.fixture(params=sources("documented"))
def example(request: pytest.FixtureRequest, tmp_path: Path) -> TableLayout:
    """The example of the documentation, and that of the seed document where it is."""
    if request.param == "documented":
        folder = write_example(tmp_path / "example")
    else:
        folder = request.getfixturevalue("shared") / "cases"
    return effective_layout(named(folder, db_table="my_table", db_formatters_module="formatters_own.py"))


def write_example(folder: Path) -> Path:
    """The layout and the formatters that docs/table_layouts.md shows."""
    folder.mkdir()
    text = (REPOSITORY / "docs/table_layouts.md").read_text("utf-8")
    for name, kind in (("my_table.yml", "yaml"), ("formatters_own.py", "python")):
        found = re.search(rf"```{kind}\n(.*?)```", text, re.DOTALL)
        assert found is not None
        (folder / name).write_text(found[1], "utf-8")
    return folder


def test_the_example_layout_works_from_a_folder_of_the_users(
    example: TableLayout, site: Site, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    layout = example
    records = make_records(2, exif_gpsposisjon="srid=4326;POINT Z( 10.75 59.9 12.5 )")
    target = site.target(layout)
    for expected in ((2, 0), (0, 2)):
        report = load_records(records, target, state, limits)
        assert (report.inserted, report.updated, report.failed) == (*expected, ())
    stored = sorted(site.rows(layout), key=lambda row: str(row["UUID"]))
    assert [row["UUID"] for row in stored] == sorted(str(item.record["bildeid"]) for item in records)
    assert {row["Position"] for row in map(_comparable, stored)} == {(4326, (10.75, 59.9))}
    assert all(row["Timestamp"] is not None for row in stored)


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    srid, coordinates = row["Position"]
    return {**row, "Position": (srid, tuple(coordinates))}


def test_the_example_layout_as_oracle_creates_it(example: TableLayout) -> None:
    text = " ".join(ddl("oracle", example).split())
    for part in ('"UUID" VARCHAR2(255 BYTE) NOT NULL', '"TIMESTAMP" DATE NOT NULL', '"POSITION" MDSYS.SDO_GEOMETRY'):
        assert part in text
    assert 'PRIMARY KEY ("UUID")' in text


def test_the_reference_names_every_key_and_its_example_works(tmp_path: Path) -> None:
    text = (REPOSITORY / "docs/table_layouts.md").read_text("utf-8")
    for model in (TableLayout, ColumnLayout, SpatialMetadata, DimElement):
        for key in set(model.model_fields) - {"formatters"}:
            assert re.search(rf"`[\w.…\[\]]*\b{key}`", text), key
    folder = write_example(tmp_path / "example")
    layout = effective_layout(named(folder, db_table="my_table", db_formatters_module="formatters_own.py"))
    record = {"bildeid": "a", "exif_tid": "2021-05-01T10:00:00", "exif_gpsposisjon": "srid=4326;POINT Z( 10 60 1 )"}
    row = row_from_record(layout, record)
    assert (row["UUID"], row["Position"]) == ("a", Point(4326, (10.0, 60.0)))


def test_the_folder_is_that_of_the_key_else_of_the_variable_else_the_users(folder: Path, tmp_path: Path) -> None:
    default = tmp_path / "home/image-anonymisation/db_tables"
    assert own_folder("", {}) is None
    default.mkdir(parents=True)
    assert own_folder("", {}) == default
    assert own_folder("", {FOLDER_VARIABLE: str(folder)}) == folder
    assert own_folder(str(default), {FOLDER_VARIABLE: str(folder)}) == default


def test_the_variable_names_the_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    settings = named(folder, db_tables_dir="")
    assert [column.name for column in effective_layout(settings).columns] == ["UUID", "Road"]


def test_a_relative_folder_is_next_to_the_configuration_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    (folder / "tables").mkdir()
    (folder / "mine.yml").rename(folder / "tables/mine.yml")
    (folder / "formatters_mine.py").rename(folder / "tables/formatters_mine.py")
    config = folder / "config.yml"
    values = {"db_table": "mine", "db_tables_dir": "tables", "db_formatters_module": "formatters_mine.py"}
    config.write_text(yaml.safe_dump(values), "utf-8")
    settings = load_configuration(config).settings
    assert settings.db_tables_dir == str(folder / "tables")
    assert effective_layout(settings).pk_column == "UUID"


def test_a_layout_of_ones_own_goes_before_a_shipped_one_of_its_name(folder: Path) -> None:
    (folder / "mine.yml").rename(folder / "PICTURES.yml")
    assert len(effective_layout(named(folder, db_table="PICTURES")).columns) == 2
    assert len(effective_layout(named(folder, db_table="VEGBILDER")).columns) > 2


@pytest.mark.parametrize("key", [True, False])
def test_a_folder_that_is_not_there_is_a_mistake(key: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "nowhere"
    if not key:
        monkeypatch.setenv(FOLDER_VARIABLE, str(missing))
    with pytest.raises(ConfigurationError, match="there is no such folder") as caught:
        effective_layout(named(missing if key else Path(), **({} if key else {"db_tables_dir": ""})))
    assert caught.value.problems[0].source == ("db_tables_dir" if key else FOLDER_VARIABLE)
    assert str(missing) in str(caught.value)


def test_an_unknown_table_is_named_with_all_that_there_are(folder: Path) -> None:
    (folder / "config.yml").write_text("db_table: mine\n", "utf-8")
    with pytest.raises(
        ConfigurationError, match=r"did you mean mine\?.*there are: PICTURES, VEGBILDER, VEGBILDER_2022, mine$"
    ) as caught:
        effective_layout(named(folder, db_table="mines"))
    assert str(folder) in str(caught.value)


def test_a_layout_is_parsed_once_until_it_or_its_formatters_change(folder: Path) -> None:
    first = effective_layout(named(folder))
    again = effective_layout(named(folder))
    assert all(one is other for one, other in zip(first.columns, again.columns, strict=True))
    (folder / "mine.yml").write_text(LAYOUT.replace("Road", "Rode"), "utf-8")
    second = effective_layout(named(folder))
    assert [column.name for column in second.columns] == ["UUID", "Rode"]
    (folder / "formatters_mine.py").write_text(FORMATTERS.replace('FORMATTERS["ID"](record)', '"changed"'), "utf-8")
    assert effective_layout(named(folder)).formatters["uuid"]({"bildeid": "x"}) == "changed"
    assert second.formatters["uuid"]({"bildeid": "x"}) == "x"
