"""Values on their way to Oracle: objects of its types, the binds that a column takes, and what the driver checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import oracledb

from tests.database.oracle_errors import driver_error, raised
from tests.database.oracle_sql import Column

if TYPE_CHECKING:
    from tests.database.fake_oracle import FakeConnection


class FakeObject:
    """An object of a database type; it has the attributes of its type and no others."""

    kind: FakeObjectType

    def __init__(self, kind: FakeObjectType) -> None:
        object.__setattr__(self, "kind", kind)
        for name in kind.attributes:
            object.__setattr__(self, name, None)

    def __setattr__(self, name: str, value: object) -> None:
        if name not in self.kind.attributes:
            raise AttributeError(f"{self.kind.name} has no attribute {name}")
        wanted = self.kind.attributes[name]
        if not isinstance(value, wanted):
            raise TypeError(f"DPY-3013: {self.kind.name}.{name} takes {wanted}, got {value!r}")
        object.__setattr__(self, name, value)


@dataclass(frozen=True)
class FakeObjectType:
    """As given by `Connection.gettype`, bound to the connection that gave it."""

    name: str
    connection: FakeConnection
    attributes: Mapping[str, Any]

    def newobject(self) -> FakeObject:
        return FakeObject(self)

    def __deepcopy__(self, memo: object) -> FakeObjectType:
        return self


_POINT = dict.fromkeys("XYZ", (int, float))
_GEOMETRY = {"SDO_GTYPE": int, "SDO_SRID": int, "SDO_POINT": FakeObject, "SDO_ELEM_INFO": (), "SDO_ORDINATES": ()}
OBJECT_TYPES: dict[str, Mapping[str, Any]] = {"MDSYS.SDO_GEOMETRY": _GEOMETRY, "MDSYS.SDO_POINT_TYPE": _POINT}


# Column types, as the grammar spells them, that take values of another name's bind.
_BOUND_AS = {
    "INT": "NUMBER", "SMALLINT": "NUMBER", "FLOAT": "NUMBER", "DOUBLE PRECISION": "BINARY_DOUBLE",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP_TZ", "TIMESTAMPLTZ": "TIMESTAMP_TZ",
    "NCHAR": "NVARCHAR", "NVARCHAR2": "NVARCHAR",
}  # fmt: skip
_TIMES = (oracledb.DB_TYPE_DATE, oracledb.DB_TYPE_TIMESTAMP, oracledb.DB_TYPE_TIMESTAMP_TZ)
_BYTES = (oracledb.DB_TYPE_BLOB, oracledb.DB_TYPE_RAW)
_NUMBERS = (oracledb.DB_TYPE_NUMBER, oracledb.DB_TYPE_BINARY_FLOAT, oracledb.DB_TYPE_BINARY_DOUBLE)
_PYTHON_TYPES: dict[Any, tuple[type, ...]] = {
    **dict.fromkeys(_NUMBERS, (int, float)), **dict.fromkeys(_TIMES, (datetime,)), **dict.fromkeys(_BYTES, (bytes,))
}  # fmt: skip


def fits(declared: Any, column: Column) -> bool:
    match column.kind:
        case "VARCHAR2" | "CHAR":
            return declared in (oracledb.DB_TYPE_VARCHAR, None)
        case "MDSYS.SDO_GEOMETRY":
            return isinstance(declared, FakeObjectType) and declared.name == column.kind
        case _:
            name = _BOUND_AS.get(column.kind, column.kind)
            return declared is getattr(oracledb, f"DB_TYPE_{name}")


def check_value(declared: Any, value: Any, connection: FakeConnection) -> None:
    """What the driver checks on its side, for the whole call."""
    if value is None:
        return
    if isinstance(declared, FakeObjectType):
        if not (isinstance(value, FakeObject) and value.kind.name == declared.name):
            raise TypeError(f"DPY-3013: expected {declared.name}, got {value!r}")
        if value.kind.connection is not connection:
            raise raised(driver_error(2999, "DPY-2999: object of another connection", prefix="DPY"))
        return
    kinds = _PYTHON_TYPES.get(declared, (str,))
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise TypeError(f"DPY-3013: unsupported Python type {type(value).__name__} for database type {declared}")
    if isinstance(value, str):
        value.encode("utf-8")  # UnicodeEncodeError for half a surrogate pair
    if isinstance(value, (int, float)) and declared is oracledb.DB_TYPE_NUMBER and abs(value) >= 10**126:
        raise raised(driver_error(4003, "DPY-4003: value cannot be represented as a number", prefix="DPY"))
