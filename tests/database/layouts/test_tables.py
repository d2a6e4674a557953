"""Table layouts: the shipped ones, and every mistake that one can hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from anonymisation.core.errors import ConfigurationError
from anonymisation.database.layouts.columns import row_from_record
from anonymisation.database.layouts.datatypes import DataType, Kind
from anonymisation.database.layouts.formatters import FORMATTERS
from anonymisation.database.layouts.tables import TableLayout, load_layout

POSITION = """
  - name: Position
    dtype: SDO_GEOMETRY
    formatter: Posisjon_2d
    extra:
    spatial_metadata:
      dimension: 2
      srid: 4326
      dim_elements:
        - {name: Longitude, min: -180, max: 180, tol: 0.5}
        - {name: Latitude, min: -90, max: 90, tol: 0.5}
"""
GOOD = f"""
pk_column: UUID
columns:
  - name: UUID
    dtype: VARCHAR(255)
    formatter: ID
    extra: PRIMARY KEY
  - name: Timestamp
    dtype: DATE
    formatter: Tidspunkt
    extra: NOT NULL
{POSITION}
"""


def load(tmp_path: Path, text: str) -> TableLayout:
    folder = tmp_path / "db_tables"
    folder.mkdir(exist_ok=True)
    (folder / "my_table.yml").write_text(text, encoding="utf-8")
    return load_layout("my_table", tmp_path)


def test_the_seed_documents_example_is_read(tmp_path: Path) -> None:
    layout = load(tmp_path, GOOD)
    assert layout.pk_column == "UUID"
    assert [column.name for column in layout.columns] == ["UUID", "Timestamp", "Position"]
    assert layout.columns[0].dtype == DataType(Kind.TEXT, length=255)
    assert [layout.requires(column) for column in layout.columns] == [True, True, False]
    spatial = layout.columns[2].spatial_metadata
    assert spatial is not None
    assert (spatial.srid, spatial.dimension, spatial.dim_elements[1].max) == (4326, 2, 90)


@pytest.mark.parametrize(
    ("old", "new", "key", "said"),
    [
        ("formatter: ID", "formatter: uuid", "UUID.formatter", "unknown formatter 'uuid'"),
        ("formatter: ID", "formatter: __class__", "UUID.formatter", "unknown formatter"),
        ("    formatter: ID\n", "", "UUID.formatter", "is missing"),
        ("VARCHAR(255)", "VARCHAR", "UUID.dtype", "from 1 to 4000 bytes"),
        ("VARCHAR(255)", "VARCHAR(0)", "UUID.dtype", "from 1 to 4000 bytes"),
        ("VARCHAR(255)", "NUMBER", "UUID.dtype", "a primary key is a VARCHAR"),
        ("VARCHAR(255)", "CHAR(36)", "UUID.dtype", "padded with blanks"),
        ("dtype: DATE", "dtype: DATES", "Timestamp.dtype", "unknown type 'DATES'"),
        ("dtype: DATE", "dtype: 7", "Timestamp.dtype", "got 7"),
        ("dtype: DATE", "dtype: NUMBER(40)", "Timestamp.dtype", "p from 1 to 38"),
        ("extra: NOT NULL", "extra: DEFAULT 1", "Timestamp.extra", "expected any of"),
        ("extra: NOT NULL", "extra: NOT NULL); DROP TABLE x; --", "Timestamp.extra", "expected any of"),
        ("extra: NOT NULL", "extra: PRIMARY KEY", "Timestamp.extra", "pk_column names UUID"),
        ("extra: NOT NULL", "extras: NOT NULL", "Timestamp.extras", "unknown key"),
        ("name: Timestamp", "name: 'a\"; DROP TABLE x'", 'a"; DROP TABLE x.name', "letters, digits or _"),
        ("name: Timestamp", f"name: {'a' * 64}", f"{'a' * 64}.name", "up to 63"),
        ("name: Timestamp", "name: 7", "columns[1].name", "got 7"),
        ("name: Timestamp", "name: uuid", "uuid", "duplicate column, UUID"),
        ("  - name: Timestamp", "  - text\n  - name: Timestamp", "columns[1]", "got 'text'"),
        ("    extra: NOT NULL", "    extra: NOT NULL\n    extra: UNIQUE", "", "'extra' is given twice"),
        ("pk_column: UUID", "", "pk_column", "is missing"),
        ("pk_column: UUID", "pk_column: ID", "pk_column", "no column is named 'ID'"),
        ("pk_column: UUID", "pk_column: UUID\nindex: x", "index", "unknown key"),
        (POSITION, POSITION.split("    spatial")[0], "Position.spatial_metadata", "is missing"),
        ("SDO_GEOMETRY", "CLOB", "Position.spatial_metadata", "only a column of type SDO_GEOMETRY"),
        ("      srid: 4326\n", "", "Position.spatial_metadata.srid", "is missing"),
        ("srid: 4326", "srid: -1", "Position.spatial_metadata.srid", "greater than 0"),
        ("      dimension: 2\n", "", "Position.spatial_metadata.dimension", "is missing"),
        ("dimension: 2", "dimension: 4", "Position.spatial_metadata.dimension", "2 or 3"),
        ("dimension: 2", "dimension: 3", "Position.spatial_metadata.dim_elements", "expected 3 elements"),
        ("min: -180", "min: 180", "Position.spatial_metadata.dim_elements.0", "not below"),
        (", tol: 0.5}", "}", "Position.spatial_metadata.dim_elements.0.tol", "is missing"),
    ],
)
def test_a_mistake_is_named_with_file_and_column(tmp_path: Path, old: str, new: str, key: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, GOOD.replace(old, new))
    [problem] = [problem for problem in caught.value.problems if problem.key == key]
    assert said in problem.message
    assert problem.source.endswith("my_table.yml")


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    text = (
        GOOD.replace("formatter: ID", "formatter: x").replace("dtype: DATE", "dtype: y").replace("srid: 4326", "s: 1")
    )
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text.replace("pk_column: UUID", "pk_column: z"))
    assert {problem.key for problem in caught.value.problems} == {
        "UUID.formatter",
        "Timestamp.dtype",
        "Position.spatial_metadata.srid",
        "Position.spatial_metadata.s",
        "pk_column",
    }


@pytest.mark.parametrize("text", ["", "- a\n- b", "pk_column: [", "columns:\n  a: 1\npk_column: a", "pk_column: A"])
def test_a_file_that_is_no_layout_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"my_table\.yml"):
        load(tmp_path, text)


@pytest.mark.parametrize("name", ["../default_config", "NOTHERE", "", "a/b", "VEGBILDER.yml"])
def test_a_layout_that_is_not_there_is_named_with_those_that_are(name: str) -> None:
    with pytest.raises(ConfigurationError, match="PICTURES, VEGBILDER"):
        load_layout(name)


def test_vegbilder_is_the_production_table() -> None:
    layout = load_layout("VEGBILDER")
    required = {column.name for column in layout.columns if layout.requires(column)}
    assert required == {
        "ID", "Tidspunkt", "FylkeNummer", "Vegkategori", "Vegstatus", "Vegnummer", "Meter", "Mappenavn", "Filnavn",
        "JsonData", "Aar", "Feltkode",
    }  # fmt: skip
    lengths = {column.name: column.dtype.length for column in layout.columns if column.dtype.kind is Kind.TEXT}
    assert lengths == {
        "ID": 256, "Vegkategori": 8, "Vegstatus": 8, "Feltkode": 8, "Mappenavn": 256, "Filnavn": 64, "VegIdentitet": 64,
        "Versjon": 31,
    }  # fmt: skip
    assert {column.name: column.formatter for column in layout.columns if column.formatter != column.name} == {
        "Posisjon": "Posisjon_2d",
        "PosisjonHoyde": "Hoyde",
        "SenterlinjePosisjon": "SenterlinjePosisjon_2d",
    }


def test_pictures_has_the_columns_of_vegbilder_and_requires_four() -> None:
    pictures, production = load_layout("PICTURES"), load_layout("VEGBILDER")
    assert [column.name for column in pictures.columns] == [column.name for column in production.columns]
    assert [column.formatter for column in pictures.columns] == [column.formatter for column in production.columns]
    required = {column.name for column in pictures.columns if pictures.requires(column)}
    assert required == {"ID", "Tidspunkt", "Filnavn", "JsonData"}


def test_a_layout_may_use_formatters_of_ones_own(tmp_path: Path) -> None:
    folder = tmp_path / "db_tables"
    folder.mkdir()
    (folder / "mine.yml").write_text(GOOD.replace("formatter: ID", "formatter: mine"), encoding="utf-8")
    layout = load_layout("mine", tmp_path, {**FORMATTERS, "mine": lambda record: f"x{record['n']}"})
    assert row_from_record(layout, {"n": 7})["UUID"] == "x7"
