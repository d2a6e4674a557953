"""From a record to the row of a table."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from anonymisation.database.layouts.datatypes import Kind
from anonymisation.database.layouts.formatters import NumberOf, TextOf, Value, as_number, in_utc
from anonymisation.database.layouts.geometry import Point, same_coordinates
from anonymisation.database.layouts.python_values import has_floats, in_plain_types
from anonymisation.database.layouts.tables import ColumnLayout, Step, TableLayout

Row = dict[str, Value]
Columns = dict[str, list[Value]]
Failures = dict[int, dict[str, Exception]]  # number of the record → column → why it is empty
_NOTHING: Final[Mapping[str, list[Value]]] = MappingProxyType({})


def row_from_record(layout: TableLayout, record: Mapping[str, Any]) -> Row:
    """The row of `layout` for `record`: column name → value, in the layout's order; see `columns_from_records`."""
    return {name: values[0] for name, values in columns_from_records(layout, [record]).items()}


def rows_of(columns: Columns) -> list[Row]:
    """The rows that `columns` consist of."""
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def columns_from_records(
    layout: TableLayout, records: Sequence[Mapping[str, Any]], given: Mapping[str, list[Value]] = _NOTHING
) -> Columns:
    """The rows of `layout` for `records`: column name → the value of each record, in the layout's order.

    Columns in `given` are taken from there. Values are made column by column, which takes a third of the time of row by
    row. Only a user's own formatters take one record after the other, each once: those of one record may share what
    one of them has found. A value becomes None (NULL) if its formatter fails or returns a value of the wrong type; one
    warning per row names these columns. Older records lack whole keys: a row whose columns are empty for this reason
    alone gets no warning of its own, but one for all rows that lack the same. The database itself checks lengths and
    NOT NULL.
    """
    failures: Failures = {}
    columns: Columns = {name: given.get(name) or [] for name, *_ in layout.plan}
    missing = [step for step in layout.plan if not columns[step[0]]]
    for step in missing:
        if step[2]:
            columns[step[0]] = _column(step, records, failures)
    own = [step for step in missing if not step[2]]
    for number, record in enumerate(records if own else ()):
        for step in own:
            columns[step[0]].append(_value(step, number, record, failures))
    for number, reasons in sorted(failures.items()):
        _warn(layout.name, records[number], {name: reasons[name] for name in columns if name in reasons})
    return columns


def _column(step: Step, records: Sequence[Mapping[str, Any]], failures: Failures) -> list[Value]:
    """The column of a shipped formatter. Adds to `failures`, for each record without a value, why it has none."""
    _, formatter, types, column = step
    with suppress(Exception):
        made = formatter.column(records) if isinstance(formatter, (TextOf, NumberOf)) else map(formatter, records)
        values = list(made)
        if types.issuperset(map(type, values)):
            return values
        return [value if type(value) in types else _fitted(column, value) for value in values]
    return [_value(step, number, record, failures) for number, record in enumerate(records)]


def _value(step: Step, number: int, record: Mapping[str, Any], failures: Failures) -> Value:
    """One value; None if there is none, with the reason added to `failures`."""
    name, formatter, types, column = step
    try:
        value = formatter(record)
        return value if type(value) in types else _fitted(column, value)
    except Exception as error:  # noqa: BLE001 - a user's formatter may raise anything; it costs one value
        failures.setdefault(number, {})[name] = error
        return None


def _warn(table: str, record: Mapping[str, Any], failures: Mapping[str, Exception]) -> None:
    if all(isinstance(error, KeyError) for error in failures.values()):
        _warn_of_older_records(table, tuple(failures))
        return
    columns = "; ".join(f"{name} ({_reason(error)})" for name, error in failures.items())
    label = record.get("bildeid") or record.get("exif_filnavn")
    logging.getLogger(__name__).warning("%s: left empty in table %s: %s", label, table, columns)


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"the record has no {error}"
    try:
        return str(error) or type(error).__name__
    except Exception:  # noqa: BLE001 - of a user's own class
        return type(error).__name__


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
    if type(value) is Point and spatial is not None and spatial.fits(value) and has_floats(value):
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
    """The value in the same form for every database. Drivers differ in NaN, empty text and times without a zone.

    Raises:
        ValueError: it is an infinite number.
    """
    if isinstance(value, float):
        if math.isinf(value):
            raise ValueError(f"expected a finite number, got {value!r}")
        return None if math.isnan(value) else value
    if isinstance(value, datetime):
        return in_utc(value)
    return value or None if isinstance(value, str) else value
