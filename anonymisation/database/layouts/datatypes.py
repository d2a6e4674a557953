"""Oracle's data types in table layouts, and the values that each type takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from types import NoneType
from typing import Final

from anonymisation.database.layouts.geometry import Point

MAX_VARCHAR: Final = 4000  # Oracle's limit without MAX_STRING_SIZE=EXTENDED
MAX_PRECISION: Final = 38  # Oracle's limit for NUMBER(p)
NUMBER_EXPONENT: Final = 126  # Oracle's NUMBER holds magnitudes below 1e126

_DTYPE: Final = re.compile(r"(?P<name>[A-Z0-9_]+)\s*(?:\(\s*(?P<first>[0-9]+)\s*(?:,\s*(?P<second>[0-9]+)\s*)?\))?")


class Kind(Enum):
    """The kind of a column's values."""

    TEXT = "VARCHAR"
    NUMBER = "NUMBER"
    TIME = "DATE"
    LONG_TEXT = "CLOB"
    GEOMETRY = "SDO_GEOMETRY"


_USUAL_TYPES: Final[dict[Kind, frozenset[type]]] = {
    Kind.TEXT: frozenset((str, NoneType)),
    Kind.LONG_TEXT: frozenset((str, NoneType)),
    Kind.NUMBER: frozenset((int, float, NoneType)),
    Kind.TIME: frozenset((datetime, NoneType)),
    Kind.GEOMETRY: frozenset((NoneType,)),  # a point may still be of another reference system
}
_KINDS: Final = {kind.value: kind for kind in Kind} | {"VARCHAR2": Kind.TEXT}


@dataclass(frozen=True, slots=True)
class DataType:
    """A column's type: `length` in bytes for text, `precision` and `scale` in decimal digits for numbers."""

    kind: Kind
    length: int | None = None
    precision: int | None = None
    scale: int = 0

    @property
    def limit(self) -> int:
        """A number's magnitude must stay below ten to this power."""
        return NUMBER_EXPONENT if self.precision is None else self.precision - self.scale

    @property
    def usual_types(self) -> frozenset[type]:
        """The exact types of the values that columns of this kind take, and of NULL."""
        return _USUAL_TYPES[self.kind]

    def accepts(self, value: object) -> bool:
        """Whether `value` (not None) has the Python type that columns of this kind take."""
        match self.kind:
            case Kind.TEXT | Kind.LONG_TEXT:
                return isinstance(value, str)
            case Kind.NUMBER:
                return isinstance(value, (int, float)) and not isinstance(value, bool)
            case Kind.TIME:
                return isinstance(value, datetime)
            case Kind.GEOMETRY:
                return isinstance(value, Point)


def parse_dtype(text: str) -> DataType:
    """Read VARCHAR(n), VARCHAR2(n), NUMBER, NUMBER(p), NUMBER(p, s), DATE, CLOB or SDO_GEOMETRY.

    Raises:
        ValueError: the text is none of these.
    """
    match = _DTYPE.fullmatch(text.strip().upper())
    kind = _KINDS.get(match["name"]) if match else None
    if match is None or kind is None:
        raise ValueError(f"unknown type {text!r}, expected VARCHAR(n), NUMBER, DATE, CLOB or SDO_GEOMETRY")
    first, second = (None if part is None else int(part) for part in match.group("first", "second"))
    if kind is Kind.TEXT:
        if first is None or second is not None or not 1 <= first <= MAX_VARCHAR:
            raise ValueError(f"expected VARCHAR(n) with n from 1 to {MAX_VARCHAR} bytes, got {text!r}")
        return DataType(kind, length=first)
    if kind is Kind.NUMBER and first is not None:
        if not 1 <= first <= MAX_PRECISION or (second or 0) > first:
            raise ValueError(f"expected NUMBER(p, s) with p from 1 to {MAX_PRECISION} and s up to p, got {text!r}")
        return DataType(kind, precision=first, scale=second or 0)
    if first is not None:
        raise ValueError(f"{kind.value} takes no length, got {text!r}")
    return DataType(kind)
