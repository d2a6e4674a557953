"""Every type of Oracle that a layout may name, read, and stored in each kind of database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from anonymisation.database.layouts.datatypes import DataType, Kind, parse_dtype
from anonymisation.database.layouts.formatters import FORMATTERS
from anonymisation.database.layouts.tables import TableLayout, load_layout
from anonymisation.database.loading.loader import LoadLimits, SourceRecord, load_records
from anonymisation.database.schema import ddl
from tests.database.sites import Site

# The text of a layout, and what Oracle's CREATE TABLE takes.
SPELLED = {
    "VARCHAR(255)": "VARCHAR2(255 BYTE)",
    "varchar2( 31 )": "VARCHAR2(31 BYTE)",
    "VARCHAR2(20 CHAR)": "VARCHAR2(20 CHAR)",
    "VARCHAR2 (20 byte)": "VARCHAR2(20 BYTE)",
    "CHARACTER VARYING(9)": "VARCHAR2(9 BYTE)",
    "NVARCHAR2(40)": "NVARCHAR2(40)",
    "NATIONAL CHARACTER VARYING (40)": "NVARCHAR2(40)",
    "CHAR": "CHAR(1 BYTE)",
    "CHAR(3)": "CHAR(3 BYTE)",
    "CHARACTER(3 CHAR)": "CHAR(3 CHAR)",
    "NCHAR(2)": "NCHAR(2)",
    "NUMBER": "NUMBER",
    "NUMBER(*)": "NUMBER",
    "NUMBER(5)": "NUMBER(5, 0)",
    "NUMBER(10,2)": "NUMBER(10, 2)",
    "NUMBER(*, 2)": "NUMBER(38, 2)",
    "NUMBER(5, -2)": "NUMBER(5, -2)",
    "NUMBER(3, 4)": "NUMBER(3, 4)",
    "DECIMAL(8, 2)": "NUMBER(8, 2)",
    "NUMERIC": "NUMBER(38, 0)",
    "INTEGER": "INTEGER",
    "int": "INTEGER",
    "SMALLINT": "SMALLINT",
    "FLOAT": "FLOAT(126)",
    "FLOAT(24)": "FLOAT(24)",
    "REAL": "FLOAT(63)",
    "DOUBLE  PRECISION": "FLOAT(126)",
    "BINARY_FLOAT": "BINARY_FLOAT",
    "BINARY_DOUBLE": "BINARY_DOUBLE",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP(6)",
    "TIMESTAMP(3)": "TIMESTAMP(3)",
    "timestamp with time zone": "TIMESTAMP(6) WITH TIME ZONE",
    "TIMESTAMP (9) WITH LOCAL TIME ZONE": "TIMESTAMP(9) WITH LOCAL TIME ZONE",
    "CLOB": "CLOB",
    "NCLOB": "NCLOB",
    "BLOB": "BLOB",
    "RAW(16)": "RAW(16)",
    "SDO_GEOMETRY": "MDSYS.SDO_GEOMETRY",
    "MDSYS.SDO_GEOMETRY": "MDSYS.SDO_GEOMETRY",
}
REFUSED = (
    "CLOB(3)", "DATE(1)", "NUMBER(3, 128)", "NUMBER(0)", "VARCHAR(5001)", "VARCHAR(1, 2)", "X Y", "RAW", "RAW(2001)",
    "LONG", "XMLTYPE", "INTEGER(3)", "TIMESTAMP(10)", "DATE WITH TIME ZONE", "NVARCHAR2(3 CHAR)", "NUMBER(3 CHAR)",
    "FLOAT(127)", "VARCHAR(*)", "", "VARCHAR(3) NOT NULL", "REAL(3)",
)  # fmt: skip


@pytest.mark.parametrize("text", SPELLED)
def test_oracle_types_are_read_and_created_as_oracle_has_them(text: str) -> None:
    assert parse_dtype(text).oracle == SPELLED[text]


def test_lengths_and_digits_are_those_of_the_text() -> None:
    assert parse_dtype("VARCHAR(31)") == DataType(Kind.TEXT, length=31)
    assert parse_dtype("NUMBER(10, 2)") == DataType(Kind.NUMBER, precision=10, scale=2)
    assert [parse_dtype(text).limit for text in ("NUMBER", "NUMBER(5, -2)", "NUMBER(3, 4)", "INTEGER")] == [
        126, 7, -1, 38,
    ]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_other_types_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_dtype(text)


# What a formatter gives, and what each database then has.
WHEN = datetime(2021, 5, 1, 10, 0, 0, 250000, UTC)
VALUES: dict[str, tuple[Any, Any]] = {
    "VARCHAR2(4 CHAR)": ("ØÅÆ€", "ØÅÆ€"),
    "NVARCHAR2(4)": ("ØÅÆ€", "ØÅÆ€"),
    "CHAR(4)": ("ab", "ab"),
    "NCHAR(4)": ("ØÅ", "ØÅ"),
    "NUMBER(7, 2)": (12345.5, 12345.5),
    "NUMBER(*, 2)": (1.25, 1.25),
    "INTEGER": (12, 12),
    "SMALLINT": (7, 7),
    "FLOAT(60)": (0.5, 0.5),
    "REAL": (0.25, 0.25),
    "BINARY_FLOAT": (0.75, 0.75),
    "BINARY_DOUBLE": (2e200, 2e200),
    "TIMESTAMP(6)": (WHEN, WHEN),
    "TIMESTAMP WITH TIME ZONE": (WHEN, WHEN),
    "TIMESTAMP(3) WITH LOCAL TIME ZONE": (WHEN, WHEN),
    "NCLOB": ("long" * 3000, "long" * 3000),
    "BLOB": (b"\0\xff" * 3000, b"\0\xff" * 3000),
    "RAW(4)": (b"\0\1\2\3", b"\0\1\2\3"),
}
TOO_MUCH: dict[str, Any] = {
    "VARCHAR2(4 CHAR)": "12345",
    "VARCHAR2(4 BYTE)": "ØØØ",
    "NVARCHAR2(4)": "12345",
    "CHAR(4)": "ØØØ",
    "NUMBER(3, 1)": 100,
    "RAW(4)": b"12345",
}


def layout_of(folder: Path, values: dict[str, Any]) -> TableLayout:
    """A layout with a column of each type, whose formatter gives the value."""
    (folder / "types").mkdir(exist_ok=True)
    lines = ["pk_column: ID", "columns:", "  - {name: ID, dtype: VARCHAR(90), formatter: ID}"]
    lines += [f"  - {{name: c{number}, dtype: '{text}', formatter: f{number}}}" for number, text in enumerate(values)]
    (folder / "types/every_type.yml").write_text("\n".join(lines), "utf-8")
    given = {f"f{number}": lambda _, value=value: value for number, value in enumerate(values.values())}
    return load_layout("every_type", None, {**FORMATTERS, **given}, folder / "types")


def plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, str) and value[:5] == "2021-":
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, memoryview):
        return bytes(value)
    return value.rstrip(" ") if isinstance(value, str) else value  # only Oracle pads


def test_a_value_of_every_type_is_stored_in_each_database(
    site: Site, tmp_path: Path, state: Path, limits: LoadLimits
) -> None:
    layout = layout_of(tmp_path, {text: given for text, (given, _) in VALUES.items()})
    target = site.target(layout)
    for _ in range(2):  # inserted, then updated
        report = load_records([SourceRecord("a.jpg", {"bildeid": "a"})], target, state, limits)
        assert report.failed == ()
    columns = ", ".join(f'"{target.dialect.identifier(column.name)}"' for column in layout.columns[1:])
    [stored] = site.ask(f'SELECT {columns} FROM "{target.dialect.identifier(layout.name)}"')
    found = dict(zip(VALUES, map(plain, stored), strict=True))
    assert found == {text: kept for text, (_, kept) in VALUES.items()}


@pytest.mark.parametrize("text", TOO_MUCH)
def test_what_oracle_refuses_is_refused_by_each_database(
    text: str, site: Site, tmp_path: Path, state: Path, limits: LoadLimits, make_records: Callable[..., Any]
) -> None:
    target = site.target(layout_of(tmp_path, {text: TOO_MUCH[text]}))
    report = load_records(make_records(1), target, state, limits)
    assert len(report.failed) == 1


@pytest.mark.parametrize("kind", ["oracle", "postgresql", "sqlite"])
def test_the_table_of_every_type_can_be_printed(kind: str, tmp_path: Path) -> None:
    layout = layout_of(tmp_path, {text: None for text, name in SPELLED.items() if "SDO" not in name})
    assert ddl(kind, layout).lower().count('"c') >= len(layout.columns) - 1
