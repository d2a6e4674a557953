"""Oracle's data types in table layouts, and the values that each type takes.

Source: Oracle Database SQL Language Reference, "Data Types" (the built-in types, and the names of ANSI SQL that Oracle
takes for them), https://docs.oracle.com/en/database/oracle/oracle-database/23/sqlrf/Data-Types.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from types import NoneType
from typing import Final

from anonymisation.database.layouts.geometry import Point

MAX_VARCHAR: Final = 4000  # Oracle's limit without MAX_STRING_SIZE=EXTENDED
MAX_CHAR: Final = 2000
MAX_RAW: Final = 2000
MAX_PRECISION: Final = 38  # Oracle's limit for NUMBER(p)
MAX_BITS: Final = 126  # of FLOAT(b)
MAX_FRACTION: Final = 9  # digits of a second in TIMESTAMP(p)
NUMBER_EXPONENT: Final = 126  # Oracle's NUMBER holds magnitudes below 1e126

_SCALES: Final = range(-84, 128)  # of NUMBER(p, s)
_DOUBLE_EXPONENT: Final = 308  # BINARY_DOUBLE holds magnitudes up to 1.8e308
_SINGLE_EXPONENT: Final = 38  # BINARY_FLOAT holds magnitudes up to 3.4e38

_DTYPE: Final = re.compile(
    r"(?P<name>[A-Z][A-Z0-9_.]*(?: [A-Z]+)*?)"
    r"(?: ?\( ?(?P<first>[0-9]{1,5}|\*) ?(?:, ?(?P<second>-?[0-9]{1,5}) ?)?(?P<unit> ?BYTE| ?CHAR)? ?\))?"
    r"(?P<zone> WITH TIME ZONE| WITH LOCAL TIME ZONE)?"
)
_READ: Final = (
    "VARCHAR2(n), VARCHAR2(n CHAR), NVARCHAR2(n), CHAR(n), NCHAR(n), NUMBER, NUMBER(p, s), INTEGER, SMALLINT, FLOAT, "
    "BINARY_FLOAT, BINARY_DOUBLE, DATE, TIMESTAMP(p), TIMESTAMP WITH TIME ZONE, TIMESTAMP WITH LOCAL TIME ZONE, CLOB, "
    "NCLOB, BLOB, RAW(n) or SDO_GEOMETRY"
)


class Kind(Enum):
    """The kind of a column's values."""

    TEXT = "VARCHAR"
    NUMBER = "NUMBER"
    TIME = "DATE"
    LONG_TEXT = "CLOB"
    BINARY = "BLOB"
    GEOMETRY = "SDO_GEOMETRY"


_USUAL_TYPES: Final[dict[Kind, frozenset[type]]] = {
    Kind.TEXT: frozenset((str, NoneType)),
    Kind.LONG_TEXT: frozenset((str, NoneType)),
    Kind.NUMBER: frozenset((int, float, NoneType)),
    Kind.TIME: frozenset((datetime, NoneType)),
    Kind.BINARY: frozenset((bytes, NoneType)),
    Kind.GEOMETRY: frozenset((NoneType,)),  # a point may still be of another reference system
}
# The names of ANSI SQL, and Oracle's own name for each.
_SYNONYMS: Final = {
    "VARCHAR": "VARCHAR2", "CHARACTER VARYING": "VARCHAR2", "CHAR VARYING": "VARCHAR2",
    "CHARACTER": "CHAR",
    "NATIONAL CHARACTER": "NCHAR", "NATIONAL CHAR": "NCHAR",
    "NCHAR VARYING": "NVARCHAR2", "NATIONAL CHARACTER VARYING": "NVARCHAR2", "NATIONAL CHAR VARYING": "NVARCHAR2",
    "DECIMAL": "NUMBER", "DEC": "NUMBER", "NUMERIC": "NUMBER",
    "INT": "INTEGER",
    "MDSYS.SDO_GEOMETRY": "SDO_GEOMETRY",
}  # fmt: skip
_INTEGERS: Final = frozenset(("INTEGER", "SMALLINT"))  # both are NUMBER(38)
_EXACT_ANSI: Final = frozenset(("DECIMAL", "DEC", "NUMERIC"))  # without digits they hold whole numbers, unlike NUMBER
_PLAIN: Final = {"CLOB": Kind.LONG_TEXT, "NCLOB": Kind.LONG_TEXT, "BLOB": Kind.BINARY, "SDO_GEOMETRY": Kind.GEOMETRY}
_FLOATS: Final = {"DOUBLE PRECISION": MAX_BITS, "REAL": 63}  # as FLOAT(b)
_EXPONENTS: Final = {"BINARY_DOUBLE": _DOUBLE_EXPONENT, "BINARY_FLOAT": _SINGLE_EXPONENT}


@dataclass(frozen=True, slots=True)
class DataType:
    """A column's type.

    `name` is Oracle's own name of it. `length` counts bytes of text or data, or with `characters` the characters of a
    text. `precision` and `scale` count decimal digits of a number; for a FLOAT, `precision` is None and `bits` are
    the binary digits. `fraction` are the digits of a second; `zone` is the time zone clause of a TIMESTAMP.
    """

    kind: Kind
    length: int | None = None
    precision: int | None = None
    scale: int = 0
    name: str = ""
    characters: bool = False
    bits: int | None = None
    fraction: int | None = None
    zone: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", "VARCHAR2" if self.kind is Kind.TEXT else self.kind.value)

    @property
    def limit(self) -> int:
        """A number's magnitude must stay below ten to this power."""
        if self.precision is not None:
            return self.precision - self.scale
        return _EXPONENTS.get(self.name, NUMBER_EXPONENT)

    @property
    def is_float(self) -> bool:
        """Whether the numbers are binary floating-point numbers."""
        return self.name == "FLOAT" or self.name in _EXPONENTS

    @property
    def oracle(self) -> str:
        """The type as Oracle's CREATE TABLE takes it."""
        match self.name:
            case "VARCHAR2" | "CHAR":
                return f"{self.name}({self.length} {'CHAR' if self.characters else 'BYTE'})"
            case "NVARCHAR2" | "NCHAR" | "RAW":
                return f"{self.name}({self.length})"
            case "NUMBER" if self.precision is not None:
                return f"NUMBER({self.precision}, {self.scale})"
            case "FLOAT":
                return f"FLOAT({self.bits})"
            case "TIMESTAMP":
                return f"TIMESTAMP({self.fraction}){self.zone}"
            case "SDO_GEOMETRY":
                return "MDSYS.SDO_GEOMETRY"
            case _:
                return self.name

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
            case Kind.BINARY:
                return isinstance(value, bytes)
            case Kind.GEOMETRY:
                return isinstance(value, Point)


def parse_dtype(text: str) -> DataType:
    """Read one of Oracle's types; `_READ` lists them, the names of ANSI SQL are read as well.

    Raises:
        ValueError: the text is none of these.
    """
    match = _DTYPE.fullmatch(" ".join(text.upper().split()))
    if match is None:
        raise ValueError(f"unknown type {text!r}, expected {_READ}")
    parts = _Parts(text, match)
    name = _SYNONYMS.get(parts.written, parts.written)
    if parts.zone and name != "TIMESTAMP":
        raise parts.refused("only TIMESTAMP has a time zone")
    if parts.unit and name not in {"VARCHAR2", "CHAR"}:
        raise parts.refused("only VARCHAR2 and CHAR count in BYTE or CHAR")
    match name:
        case "VARCHAR2" | "NVARCHAR2" | "CHAR" | "NCHAR":
            return _text(name, parts)
        case "NUMBER":
            return _number(parts)
        case "FLOAT" | "DOUBLE PRECISION" | "REAL":
            bits = _FLOATS[name] if name in _FLOATS else parts.single(range(1, MAX_BITS + 1), MAX_BITS)
            parts.no_length(only_if=name in _FLOATS)
            return DataType(Kind.NUMBER, name="FLOAT", bits=bits)
        case "TIMESTAMP":
            return DataType(
                Kind.TIME, name=name, fraction=parts.single(range(MAX_FRACTION + 1), 6), zone=parts.zone or ""
            )
        case "RAW":
            return DataType(Kind.BINARY, name=name, length=parts.single(range(1, MAX_RAW + 1), None))
    kinds = {**_PLAIN, "DATE": Kind.TIME, **dict.fromkeys((*_INTEGERS, *_EXPONENTS), Kind.NUMBER)}
    if name not in kinds:
        raise ValueError(f"unknown type {text!r}, expected {_READ}")
    parts.no_length()
    return DataType(kinds[name], name=name, precision=MAX_PRECISION if name in _INTEGERS else None)


class _Parts:
    """The parts of a type's text."""

    def __init__(self, text: str, match: re.Match[str]) -> None:
        self.text = text
        self.written = match["name"]
        self.first = match["first"]
        self.second = None if match["second"] is None else int(match["second"])
        self.unit = (match["unit"] or "").strip()
        self.zone = match["zone"]

    def refused(self, expected: str) -> ValueError:
        return ValueError(f"{expected}; got {self.text!r}")

    def no_length(self, *, only_if: bool = True) -> None:
        if only_if and self.first is not None:
            raise self.refused(f"{self.written} takes no length")

    def single(self, allowed: range, default: int | None) -> int:
        """The one number in parentheses."""
        number = default if self.first is None else int(self.first) if self.first != "*" else None
        if number is None or self.second is not None or number not in allowed:
            raise self.refused(f"expected {self.written}(n) with n from {allowed[0]} to {allowed[-1]}")
        return number


def _text(name: str, parts: _Parts) -> DataType:
    most = MAX_CHAR if name in {"CHAR", "NCHAR"} else MAX_VARCHAR
    characters = parts.unit == "CHAR" or name.startswith("N")
    try:
        length = parts.single(range(1, most + 1), 1 if name in {"CHAR", "NCHAR"} else None)
    except ValueError:
        unit = "characters" if characters else "bytes"
        raise parts.refused(f"expected {parts.written}(n) with n from 1 to {most} {unit}") from None
    return DataType(Kind.TEXT, name=name, length=length, characters=characters)


def _number(parts: _Parts) -> DataType:
    if parts.first is None:
        return DataType(Kind.NUMBER, precision=MAX_PRECISION if parts.written in _EXACT_ANSI else None)
    if parts.first == "*" and parts.second is None:
        return DataType(Kind.NUMBER)
    precision = MAX_PRECISION if parts.first == "*" else int(parts.first)
    scale = parts.second or 0
    if not 1 <= precision <= MAX_PRECISION or scale not in _SCALES:
        raise parts.refused(
            f"expected {parts.written}(p, s) with p from 1 to {MAX_PRECISION} and s from {_SCALES[0]} to {_SCALES[-1]}"
        )
    return DataType(Kind.NUMBER, precision=precision, scale=scale)
