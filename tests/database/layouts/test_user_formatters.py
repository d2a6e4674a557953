"""Formatters of one's own, from a file or a module, in a layout of one's own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from anonymisation.core.errors import ConfigurationError
from anonymisation.core.settings import load_settings
from anonymisation.database.layouts.columns import row_from_record
from anonymisation.database.layouts.formatters import FORMATTERS
from anonymisation.database.layouts.tables import load_layout
from anonymisation.database.layouts.user_formatters import effective_layout, layout_of, load_formatters

MODULE = """
from pathlib import Path


def uuid(record):
    return f"u-{record['bildeid']}"


def Meter(record):
    return 7


def _hidden(record):
    return None
"""
LAYOUT = """
pk_column: UUID
columns:
  - {name: UUID, dtype: VARCHAR(255), formatter: uuid, extra: PRIMARY KEY}
  - {name: Meter, dtype: NUMBER, formatter: Meter}
  - {name: Lane, dtype: VARCHAR(8), formatter: Feltkode}
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "my formatters.py"
    path.write_text(MODULE, "utf-8")
    return path


def test_a_layout_uses_the_functions_of_a_file_and_the_shipped_ones(module: Path, tmp_path: Path) -> None:
    (tmp_path / "db_tables").mkdir()
    (tmp_path / "db_tables/mine.yml").write_text(LAYOUT, "utf-8")
    settings = load_settings(overrides={"db_table": "mine", "db_formatters_module": str(module)}).settings
    layout = effective_layout(settings, tmp_path)
    record = {"bildeid": "x", "exif_meter": "12", "exif_feltkode": "1"}
    assert row_from_record(layout, record) == {"UUID": "u-x", "Meter": 7, "Lane": "1"}


def test_only_functions_of_the_module_itself_are_formatters(module: Path) -> None:
    formatters = load_formatters(str(module))
    assert set(formatters) == set(FORMATTERS) | {"uuid"}


def test_a_module_is_found_by_its_name(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module.rename(module.with_name("formatters_of_one_test.py"))
    monkeypatch.syspath_prepend(module.parent)
    assert load_formatters("formatters_of_one_test")["uuid"]({"bildeid": "y"}) == "u-y"


def test_without_a_module_the_shipped_formatters_are_in_force() -> None:
    assert effective_layout(load_settings().settings).formatters == load_layout("PICTURES").formatters


@pytest.mark.parametrize(
    ("text", "said"),
    [("1 +", "SyntaxError"), ("x = 1\n", "no function"), ("raise RuntimeError('broken')", "RuntimeError: broken")],
)
def test_a_module_that_cannot_be_used_is_named_with_the_reason(text: str, said: str, module: Path) -> None:
    module.write_text(text, "utf-8")
    with pytest.raises(ConfigurationError, match=said) as caught:
        load_formatters(str(module))
    assert str(module) in str(caught.value)


@pytest.mark.parametrize("name", ["/nowhere/at_all.py", "no_such_module_anywhere", "", ".."])
def test_a_module_that_is_not_there_is_refused(name: str) -> None:
    if not name:
        assert load_formatters(name) is FORMATTERS
        return
    with pytest.raises(ConfigurationError, match="cannot be imported"):
        load_formatters(name)


VALUES = """
import numpy
from datetime import datetime, timedelta, timezone


def key(record): return "k"
def naive(record): return datetime.fromisoformat("2021-05-02T10:00:00")
def offset(record): return datetime(2021, 5, 2, 12, tzinfo=timezone(timedelta(hours=2)))
def numpy_float(record): return numpy.float64(1.5)
def nan(record): return float("nan")
def infinite(record): return float("inf")
def blank(record): return ""
"""
OF_VALUES = """
pk_column: key
columns:
  - {name: key, dtype: VARCHAR(9), formatter: key, extra: PRIMARY KEY}
  - {name: naive, dtype: DATE, formatter: naive}
  - {name: offset, dtype: TIMESTAMP, formatter: offset}
  - {name: numpy_float, dtype: NUMBER, formatter: numpy_float}
  - {name: nan, dtype: BINARY_DOUBLE, formatter: nan}
  - {name: infinite, dtype: BINARY_DOUBLE, formatter: infinite}
  - {name: blank, dtype: VARCHAR(9), formatter: blank}
"""


def test_what_a_formatter_returns_is_the_same_for_every_database(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A time without zone is the camera's, whatever the zone of this machine."""
    (tmp_path / "values.py").write_text(VALUES, "utf-8")
    (tmp_path / "of_values.yml").write_text(OF_VALUES, "utf-8")
    row = row_from_record(layout_of("of_values", str(tmp_path), "values.py"), {"bildeid": "p"})
    ten = datetime(2021, 5, 2, 10, tzinfo=UTC)
    assert row == {
        "key": "k", "naive": ten, "offset": ten, "numpy_float": 1.5, "nan": None, "infinite": None, "blank": None
    }  # fmt: skip
    assert type(row["numpy_float"]) is float
    assert "infinite (expected a finite number, got inf)" in caplog.text
