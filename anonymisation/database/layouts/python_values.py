"""Values of formatters of one's own in the plain types of Python that the databases' drivers know."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from anonymisation.database.layouts.datatypes import Kind


def in_plain_types(kind: Kind, value: Any) -> Any:
    """`value` for a column of this kind: NumPy's numbers as Python's, a Decimal or bool as a number (True is 1), and a
    date as its midnight, in UTC as all times of a table. Other values stay as they are.
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
    return value
