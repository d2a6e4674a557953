"""Oracle's SQL as far as loading needs it, read with sqlglot's grammar, and what its column types refuse."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlglot
from sqlglot import exp

# sqlglot's grammar does not know INDEXTYPE.
SPATIAL_INDEX = re.compile(r'CREATE INDEX "(\w+)" ON "(\w+)" \("(\w+)"\) INDEXTYPE IS MDSYS\.SPATIAL_INDEX_V2')


class RowError(Exception):
    """One row is refused."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = f"ORA-{code:05d}: {message}"


@dataclass(frozen=True)
class Column:
    """A column as CREATE TABLE declared it."""

    name: str
    kind: str
    sizes: tuple[int, ...]
    required: bool
    in_characters: bool = False

    def store(self, value: Any, table: str) -> Any:
        if value == "":
            value = None
        if value is None:
            return None
        if self.kind in {"VARCHAR2", "CHAR", "NVARCHAR2", "NCHAR", "RAW"}:
            length = len(value.encode("utf-8") if isinstance(value, str) and not self.in_characters else value)
            if length > self.sizes[0]:
                place = f'"ME"."{table}"."{self.name}"'
                raise RowError(
                    12899, f"value too large for column {place} (actual: {length}, maximum: {self.sizes[0]})"
                )
        if self.kind == "NUMBER" and self.sizes and abs(value) >= 10 ** (self.sizes[0] - self.sizes[1]):
            raise RowError(1438, "value larger than specified precision allowed for this column")
        if self.kind == "DATE":
            return value.replace(microsecond=0, tzinfo=None)
        if self.kind in {"CHAR", "NCHAR"}:
            return value.ljust(self.sizes[0])
        return copy.deepcopy(value)


@dataclass(frozen=True)
class Merge:
    """A MERGE of one row: which bind goes where. Column → bind."""

    table: str
    key_bind: str
    updates: Mapping[str, str]
    values: Mapping[str, str]


@lru_cache(maxsize=32)
def parse(sql: str) -> exp.Expr:
    """The one statement, by sqlglot's Oracle grammar; what it cannot make sense of is an error, not passed over."""
    [tree] = sqlglot.parse(sql, dialect="oracle", error_level=sqlglot.ErrorLevel.RAISE)
    assert tree is not None
    assert not isinstance(tree, exp.Command), sql
    return tree


@lru_cache(maxsize=32)
def read_merge(sql: str) -> Merge:
    tree = parse(sql)
    assert isinstance(tree, exp.Merge)
    assert tree.args["using"].name.upper() == "DUAL"
    on = tree.args["on"].unnest()
    updates: dict[str, str] = {}
    values: dict[str, str] = {}
    for when in tree.args["whens"].expressions:
        then = when.args["then"]
        if isinstance(then, exp.Update):
            updates = {item.this.name: item.expression.name for item in then.expressions}
        else:
            names = [column.name for column in then.this.expressions]
            values = dict(zip(names, (bind.name for bind in then.expression.expressions), strict=True))
    assert on.this.name not in updates, "ORA-38104: columns referenced in the ON clause cannot be updated"
    return Merge(tree.this.name, on.expression.name, updates, values)


def read_column(item: exp.ColumnDef) -> Column:
    kind = item.args["kind"]
    spelled = kind.sql(dialect="oracle")
    name = re.sub(r"\([^)]*\)", "", spelled)
    if name == "FLOAT" and not kind.expressions:
        name = "BINARY_FLOAT"  # which the grammar takes for FLOAT, as BINARY_DOUBLE for DOUBLE PRECISION
    sizes = tuple(int(size.this.name) for size in kind.expressions)
    required = any(isinstance(rule.kind, exp.NotNullColumnConstraint) for rule in item.constraints)
    return Column(item.name, name, sizes, required, " CHAR)" in spelled or name.startswith("N"))
