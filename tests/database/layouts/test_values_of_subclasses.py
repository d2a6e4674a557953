"""What formatters of one's own return is stored in each kind of database alike, also if it is of a subclass."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from anonymisation.database.layouts.formatters import FORMATTERS
from anonymisation.database.layouts.geometry import Point
from anonymisation.database.layouts.tables import TableLayout, load_layout
from anonymisation.database.loading.loader import LoadLimits, SourceRecord, load_records
from tests.database.sites import Site

Make = Callable[..., list[SourceRecord]]


class DateTime(datetime):
    """As pendulum's, which Airflow uses."""


class Number(int):
    """As constants of a library."""


class Lane(IntEnum):
    OWN = 1


class Text(str):
    """As markup of a library."""

    def __str__(self) -> str:
        return "shown"


class Road(str, Enum):  # noqa: UP042 - older code has these
    EUROPEAN = "E"


TEN = datetime(2021, 5, 1, 10, tzinfo=UTC)
VALUES: list[tuple[str, Any, Any]] = [
    ("Tidspunkt", DateTime(2021, 5, 1, 10, tzinfo=UTC), TEN),
    ("Tidspunkt", DateTime(2021, 5, 1, 10), TEN),
    ("Tidspunkt", DateTime(2021, 5, 1, 12, tzinfo=ZoneInfo("Europe/Oslo")), TEN),
    ("Retning", Number(7), 7),
    ("Retning", Lane.OWN, 1),
    ("Vegkategori", Text("V"), "V"),
    ("Vegkategori", Road.EUROPEAN, "E"),
    ("Posisjon", Point(4326, (np.float64(9.5), np.float64(59.25))), (4326, [9.5, 59.25])),
    ("Posisjon", Point(4326, (np.float32(9.5), np.float32(59.25))), (4326, [9.5, 59.25])),  # type: ignore[arg-type]
    ("Posisjon", Point(4326, (9, 59)), (4326, [9.0, 59.0])),
]


def layout_with(column: str, value: Any) -> TableLayout:
    formatters = {**FORMATTERS}
    shipped = load_layout("PICTURES")
    [name] = [known.formatter for known in shipped.columns if known.name == column]
    formatters[name] = lambda _: value
    return load_layout("PICTURES", formatters=formatters)


@pytest.mark.parametrize(("column", "value", "stored"), VALUES)
def test_a_value_of_a_subclass_is_stored_as_its_own_class(
    column: str, value: Any, stored: Any, site: Site, state: Path, make_records: Make
) -> None:
    layout = layout_with(column, value)
    report = load_records(make_records(1), site.target(layout), state, LoadLimits())
    assert report.failed == ()
    [row] = site.rows(layout)
    assert row[column] == stored
