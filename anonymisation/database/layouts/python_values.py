"""Values of formatters of one's own in the plain types of Python that the databases' drivers know."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from anonymisation.database.layouts.datatypes import Kind
from anonymisation.database.layouts.geometry import Point

_FLOATS: Final = frozenset((float,))


def in_plain_types(kind: Kind, value: Any) -> Any:
    """`value` for a column of this kind: NumPy's numbers as Python's, a Decimal or bool as a number (True is 1), and a
    date as its midnight, in UTC as all times of a table. A value of a subclass (an IntEnum, a DateTime of pendulum) is
    one of Python's own class, and the coordinates of a point are floats. Other values stay as they are.
    """
    if type(value).__module__ == "numpy" and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if kind is Kind.NUMBER and isinstance(value, bool):
        return int(value)
    if kind is Kind.NUMBER and isinstance(value, Decimal):
        whole = value.is_finite() and value == value.to_integral_value()
        return int(value) if whole else float(value)
    if kind is Kind.TIME and isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return _of_own_class(value)


def has_floats(point: Point) -> bool:
    """Whether the coordinates are Python's own floats."""
    return _FLOATS.issuperset(map(type, point.coordinates))


def _of_own_class(value: Any) -> Any:
    """The drivers differ in the subclasses that they take."""
    match value:
        case bool():
            return value
        case str() if type(value) is not str:
            return str.__str__(value)
        case int() if type(value) is not int:
            return int.__int__(value)
        case float() if type(value) is not float:
            return float.__float__(value)
        case bytes() if type(value) is not bytes:
            return bytes(value)
        case datetime() if type(value) is not datetime:
            return datetime.combine(value.date(), value.timetz())
        case Point() if not has_floats(value):
            return Point(value.srid, tuple(map(float, value.coordinates)), value.own_srid)
    return value
