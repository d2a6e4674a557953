"""From a record to the row of a table."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from anonymisation.database.layouts.datatypes import Kind
from anonymisation.database.layouts.formatters import Value, as_number, in_utc
from anonymisation.database.layouts.geometry import Point, same_coordinates
from anonymisation.database.layouts.python_values import in_plain_types
from anonymisation.database.layouts.tables import ColumnLayout, TableLayout

Row = dict[str, Value]
_NOTHING: Final[Mapping[str, Value]] = MappingProxyType({})


def row_from_record(layout: TableLayout, record: Mapping[str, Any], given: Mapping[str, Value] = _NOTHING) -> Row:
    """The row of `layout` for `record`: column name → value, in the layout's order. Columns in `given` are not made.

    A column becomes None (NULL) if its formatter fails or returns a value of the wrong type; one warning per row names
    these columns. Older records lack whole keys: a row whose columns are empty for this reason alone gets no warning of
    its own, but one for all rows that lack the same. The database itself checks lengths and NOT NULL.
    """
    row: Row = layout.empty_row.copy()
    problems: dict[str, str] = {}
    absent: list[str] = []
    quick = layout.quick.values(record)
    if quick is not None:
        row.update(zip(layout.quick.names, quick, strict=True))
    row.update(given)
    for name, formatter, types, column in layout.plan if quick is None else layout.others:
        if name in given:
            continue
        try:
            value = formatter(record)
            row[name] = value if type(value) in types else _fitted(column, value)
        except KeyError as error:
            problems[name] = f"the record has no {error}"
            absent.append(name)
        except Exception as error:  # noqa: BLE001 - a user's formatter may raise anything; it costs one value
            problems[name] = str(error)
    if len(absent) < len(problems):
        columns = "; ".join(f"{name} ({reason})" for name, reason in problems.items())
        label = record.get("bildeid") or record.get("exif_filnavn")
        logging.getLogger(__name__).warning("%s: left empty in table %s: %s", label, layout.name, columns)
    elif absent:
        _warn_of_older_records(layout.name, tuple(absent))
    return row


def key_from_record(layout: TableLayout, record: Mapping[str, Any]) -> Value:
    """The primary key of the row of `record`, which costs a fraction of the row; None if its formatter fails."""
    formatter = next(formatter for name, formatter, _, _ in layout.plan if name == layout.pk_column)
    try:
        return formatter(record)
    except Exception:  # noqa: BLE001 - a user's formatter may raise anything; loading the row says what
        return None


def empty_columns(layout: TableLayout, record: Mapping[str, Any], key: str | None = None) -> list[str]:
    """What NOT NULL columns of `layout` lack in `record`, one text per column; `key` of the record must be there, too.

    Only null and empty text count as missing, and values that the column cannot hold; 0 is a value.
    """
    problems = [] if key is None or record.get(key) not in (None, "") else [f"its key {key} is empty"]
    for name, formatter, _, column in layout.plan:
        if not layout.requires(column):
            continue
        try:
            found = _fitted(column, formatter(record))
        except Exception as error:  # noqa: BLE001 - a user's formatter may raise anything
            problems.append(f"column {name} cannot be filled ({error})")
        else:
            if found is None or found == "":
                problems.append(f"column {name} would be empty")
    return problems


@lru_cache(maxsize=64)  # once for all records of a form, of which there may be a million
def _warn_of_older_records(table: str, columns: tuple[str, ...]) -> None:
    message = "table %s: some records, probably older ones, lack the keys of %s; these columns are left empty for them"
    logging.getLogger(__name__).warning(message, table, ", ".join(columns))


def _fitted(column: ColumnLayout, value: Value) -> Value:
    """The value in the form in which the column takes it.

    Raises:
        ValueError: the column cannot hold it.
    """
    if value is None:
        return None
    spatial = column.spatial_metadata
    if type(value) is Point and spatial is not None and spatial.fits(value):
        return value
    value = in_plain_types(column.dtype.kind, value)
    if column.dtype.kind is Kind.NUMBER and isinstance(value, str):
        value = as_number(value)  # as Oracle does
        if value is None:
            return None
    if not column.dtype.accepts(value):
        raise ValueError(f"a {column.dtype.oracle} cannot hold {type(value).__name__} {value!r}")
    if not isinstance(value, Point) or spatial is None:
        return _plain(value)
    if value.dimension != spatial.dimension:
        raise ValueError(f"expected a point of {spatial.dimension} dimensions, got {value.ewkt()}")
    if value.srid == spatial.srid:
        return value
    if not same_coordinates(value, spatial.srid):
        raise ValueError(
            f"expected SRID and dimension {(spatial.srid, spatial.dimension)}, got {(value.srid, value.dimension)}"
        )
    return Point(spatial.srid, value.coordinates, own_srid=value.srid)


def _plain(value: Value) -> Value:
    """The value in the same form for every database. Drivers differ in NaN, empty text, NumPy's floats and times
    without a zone.

    Raises:
        ValueError: it is an infinite number.
    """
    if isinstance(value, float):
        if math.isinf(value):
            raise ValueError(f"expected a finite number, got {value!r}")
        return None if math.isnan(value) else float(value)
    if isinstance(value, datetime):
        return in_utc(value)
    return str(value) or None if isinstance(value, str) else value
