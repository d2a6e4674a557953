"""From a record to the row of a table."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from anonymisation.database.layouts.datatypes import Kind
from anonymisation.database.layouts.formatters import Value
from anonymisation.database.layouts.geometry import Point
from anonymisation.database.layouts.tables import ColumnLayout, TableLayout

Row = dict[str, Value]


def row_from_record(layout: TableLayout, record: Mapping[str, Any]) -> Row:
    """The row of `layout` for `record`: column name → value, in the layout's order.

    A column becomes None (NULL) if its formatter fails or returns a value of the wrong type; one warning per row names
    these columns. The database itself checks lengths and NOT NULL.
    """
    row: Row = {}
    problems = []
    for name, formatter, types, column in layout.plan:
        try:
            row[name] = value = formatter(record)
            if type(value) not in types:
                _check(column, value)
        except Exception as error:  # noqa: BLE001 - a user's formatter may raise anything; it costs one value
            reason = f"the record has no {error}" if isinstance(error, KeyError) else str(error)
            problems.append(f"{name} ({reason})")
            row[name] = None
    if problems:
        identifier, columns = record.get("bildeid"), "; ".join(problems)
        logging.getLogger(__name__).warning("%s: left empty in table %s: %s", identifier, layout.name, columns)
    return row


def _check(column: ColumnLayout, value: Value) -> None:
    if value is None:
        return
    if not column.dtype.accepts(value):
        raise ValueError(f"a {column.dtype.kind.value} cannot hold {type(value).__name__} {value!r}")
    spatial = column.spatial_metadata
    if column.dtype.kind is Kind.GEOMETRY and spatial is not None and isinstance(value, Point):
        expected = (spatial.srid, spatial.dimension)
        if (value.srid, value.dimension) != expected:
            raise ValueError(f"expected SRID and dimension {expected}, got {(value.srid, value.dimension)}")
