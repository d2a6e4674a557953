"""Table layouts: one YAML file per table. All mistakes of a file are reported together, with file and column."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SkipValidation, ValidationError, ValidationInfo

from anonymisation.core.errors import ConfigProblem, ConfigurationError
from anonymisation.core.settings import config_dir as shipped_config_dir
from anonymisation.core.text import did_you_mean
from anonymisation.core.yaml_files import MAX_BYTES, parse_mapping, read_bytes
from anonymisation.database.layouts.datatypes import DataType, Kind, parse_dtype
from anonymisation.database.layouts.formatters import FORMATTERS, Formatter, as_json
from anonymisation.database.layouts.geometry import Point

MAX_IDENTIFIER: Final = 63  # PostgreSQL's limit, the smallest of the supported databases (Oracle 12.2: 128)
_IDENTIFIER: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_KEY_TYPES: Final = ("VARCHAR2", "NVARCHAR2")
_EXTRAS: Final = ("PRIMARY KEY", "NOT NULL", "UNIQUE")
_EXTRA: Final = re.compile(rf"\s*(?:(?:{'|'.join(_EXTRAS)})\s*)*")


def is_identifier(text: str) -> bool:
    """Whether `text` can name a table, column or schema in every supported database."""
    return bool(_IDENTIFIER.fullmatch(text)) and len(text) <= MAX_IDENTIFIER


def _identifier(value: object) -> object:
    if isinstance(value, str) and not is_identifier(value):
        raise ValueError(f"expected a letter, then letters, digits or _, up to {MAX_IDENTIFIER}; got {value!r}")
    return value


def _dtype(value: object) -> object:
    return parse_dtype(value) if isinstance(value, str) else value


def _extra(value: object) -> object:
    if value is None:
        return ()
    text = " ".join(str(value).upper().split())
    if not _EXTRA.fullmatch(text):
        raise ValueError(f"expected any of {', '.join(_EXTRAS)}; got {value!r}")
    return tuple(extra for extra in _EXTRAS if extra in text)


def _known_formatter(value: object, info: ValidationInfo) -> object:
    known = (info.context or {}).get("formatters", FORMATTERS)
    if isinstance(value, str) and value not in known:
        near, all_of_them = did_you_mean(value, known), ", ".join(sorted(known))
        raise ValueError(
            f"unknown formatter {value!r}{near}, expected one of {all_of_them}, or a function of your own in the file "
            "that db_formatters_module names"
        )
    return value


Identifier = Annotated[str, BeforeValidator(_identifier)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)


class DimElement(_Frozen):
    """One axis of a geometry column: bounds and tolerance in the axis' unit (metres of tolerance for degrees)."""

    name: Identifier
    min: Annotated[float, Field(allow_inf_nan=False)]
    max: Annotated[float, Field(allow_inf_nan=False)]
    tol: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class SpatialMetadata(_Frozen):
    """The description of a geometry column for a database; `dim_elements` has one element per dimension."""

    dimension: Literal[2, 3]
    srid: Annotated[int, Field(gt=0)]
    dim_elements: Annotated[tuple[DimElement, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)]

    def fits(self, point: Point) -> bool:
        """Whether the column takes the point as it is."""
        return point.srid == self.srid and point.dimension == self.dimension


class ColumnLayout(_Frozen):
    """One column; `extra` holds its constraints (PRIMARY KEY, NOT NULL, UNIQUE)."""

    name: Identifier
    dtype: Annotated[DataType, BeforeValidator(_dtype)]
    formatter: Annotated[str, BeforeValidator(_known_formatter)]
    extra: Annotated[tuple[str, ...], BeforeValidator(_extra)] = ()
    spatial_metadata: SpatialMetadata | None = None


Step = tuple[str, Formatter, frozenset[type], ColumnLayout]


class TableLayout(_Frozen):
    """A table: its name, its columns in order, its primary key, and its formatters by name."""

    name: Identifier
    pk_column: Identifier
    columns: tuple[ColumnLayout, ...]
    formatters: SkipValidation[Mapping[str, Formatter]] = Field(default=FORMATTERS, repr=False)

    @cached_property
    def plan(self) -> tuple[Step, ...]:
        """Per column: name, formatter, and the exact types of values that need no further check. Computed once.

        Values of a user's own formatter are always checked: it may return NaN, empty text or a time without a zone.
        """
        return tuple((column.name, *self._formatter(column), column) for column in self.columns)

    @cached_property
    def record_columns(self) -> tuple[str, ...]:
        """The long texts that hold the whole record as JSON."""
        return tuple(
            name for name, formatter, types, column in self.plan
            if formatter is as_json and types and column.dtype.kind is Kind.LONG_TEXT
        )  # fmt: skip

    def _formatter(self, column: ColumnLayout) -> tuple[Formatter, frozenset[type]]:
        formatter = self.formatters[column.formatter]
        shipped = formatter is FORMATTERS.get(column.formatter)
        return formatter, column.dtype.usual_types if shipped else frozenset()

    def requires(self, column: ColumnLayout) -> bool:
        """Whether the column takes no NULL."""
        return column.name == self.pk_column or bool({"NOT NULL", "PRIMARY KEY"} & set(column.extra))


def require_layout(name: str, config_dir: Path | None = None, own: Path | None = None) -> Path:
    """The file of the layout `name`: `<own>/<name>.yml`, or else `<config_dir>/db_tables/<name>.yml`.

    `own` is the user's folder, None: there is none. `config_dir` None means the shipped configuration.

    Raises:
        ConfigurationError: there is no such file; lists those that there are.
    """
    shipped = (config_dir or shipped_config_dir()) / "db_tables"
    folders = (shipped,) if own is None else (own, shipped)
    found = [folder / f"{name}.yml" for folder in folders] if is_identifier(name) else []
    path = next((path for path in found if path.is_file()), None)
    if path is None:
        known = sorted({file.stem for folder in folders for file in folder.glob("*.yml") if _is_layout(file)})
        message = f"no such table layout{did_you_mean(name, known)}; there are: {', '.join(known) or 'none'}"
        message += "" if own else "; db_tables_dir in the configuration (-k) names the folder of your own"
        raise ConfigurationError([ConfigProblem(" and ".join(map(str, folders)), name, message)])
    return path


def _is_layout(path: Path) -> bool:
    """Whether a file is probably a layout: the user's folder may hold the configuration as well."""
    try:
        if not path.is_file():  # reading a pipe would wait for ever
            return False
        with path.open("rb") as stream:
            return b"pk_column" in stream.read(MAX_BYTES)
    except OSError:
        return False


def load_layout(
    name: str,
    config_dir: Path | None = None,
    formatters: Mapping[str, Formatter] = FORMATTERS,
    own: Path | None = None,
) -> TableLayout:
    """Read the file that `require_layout` finds. `formatters` are the functions that the layout may name.

    The table has the name of the layout, unless the file has another one under `table`. A file that has not changed is
    parsed once per process.

    Raises:
        ConfigurationError: there is no such file, or it has mistakes; lists each with its file and column.
    """
    path = require_layout(name, config_dir, own)
    table, pk_column, columns = _parsed_file(str(path), read_bytes(path), _Same(formatters))
    return TableLayout(name=table or name, pk_column=pk_column, columns=columns, formatters=formatters)


class _Same:
    """Formatters as part of a key: equal only to the very same ones."""

    def __init__(self, formatters: Mapping[str, Formatter]) -> None:
        self.formatters = formatters

    def __hash__(self) -> int:
        return id(self.formatters)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.formatters is self.formatters


@lru_cache(maxsize=16)  # by the file's content, so that a change is seen at once
def _parsed_file(source: str, data: bytes, same: _Same) -> tuple[str | None, str, tuple[ColumnLayout, ...]]:
    content = parse_mapping(data, source)
    problems: list[ConfigProblem] = []
    columns = _columns(content, source, same.formatters, problems)
    problems += _table_problems(content, source)
    if problems:
        raise ConfigurationError(problems)
    return content.get("table"), content["pk_column"], tuple(columns)


def _columns(
    content: Mapping[str, Any], source: str, formatters: Mapping[str, Formatter], problems: list[ConfigProblem]
) -> list[ColumnLayout]:
    columns = []
    for index, raw in enumerate(_raw_columns(content)):
        label = _label(index, raw)
        try:
            columns.append(ColumnLayout.model_validate(raw, context={"formatters": formatters}))
        except ValidationError as error:
            problems += [_problem(source, label, item) for item in error.errors(include_url=False)]
        if isinstance(raw, dict):
            problems += [ConfigProblem(source, f"{label}.{key}", text) for key, text in _spatial_problems(raw)]
    return columns


def _problem(source: str, label: str, item: Any) -> ConfigProblem:
    key = ".".join([label, *(str(part) for part in item["loc"])])
    match item["type"]:
        case "missing":
            message = "is missing"
        case "extra_forbidden":
            message = "unknown key"
        case "value_error":
            message = str(item["ctx"]["error"])
        case _:
            message = f"{item['msg']}, got {item['input']!r}"
    return ConfigProblem(source, key, message)


def _spatial_problems(raw: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Mistakes that concern several keys of one column."""
    dtype = _parsed(raw)
    if dtype is None:
        return []
    geometry = dtype.kind is Kind.GEOMETRY
    spatial = raw.get("spatial_metadata")
    if geometry and spatial is None:
        return [("spatial_metadata", "is missing, a column of type SDO_GEOMETRY needs it")]
    if not geometry and spatial is not None:
        return [("spatial_metadata", "only a column of type SDO_GEOMETRY has it")]
    elements = spatial.get("dim_elements") if isinstance(spatial, dict) else None
    if not isinstance(spatial, dict) or not isinstance(elements, list):
        return []
    problems = []
    if spatial.get("dimension") in (2, 3) and len(elements) != spatial["dimension"]:
        text = f"expected {spatial['dimension']} elements, one per dimension, got {len(elements)}"
        problems.append(("spatial_metadata.dim_elements", text))
    for index, element in enumerate(elements):
        low, high = (element.get(key) if isinstance(element, dict) else None for key in ("min", "max"))
        if isinstance(low, (int, float)) and isinstance(high, (int, float)) and low >= high:
            problems.append((f"spatial_metadata.dim_elements.{index}", f"min {low} is not below max {high}"))
    return problems


def _table_problems(content: Mapping[str, Any], source: str) -> list[ConfigProblem]:
    """Mistakes of the whole table: unknown keys, its name, no columns, columns of the same name, the primary key."""
    known = {"table", "pk_column", "columns"}
    problems = [ConfigProblem(source, str(key), "unknown key") for key in content.keys() - known]
    table = content.get("table")
    if table is not None and not (isinstance(table, str) and is_identifier(table)):
        message = f"expected a letter, then letters, digits or _, up to {MAX_IDENTIFIER}; got {table!r}"
        problems.append(ConfigProblem(source, "table", message))
    raws = _raw_columns(content)
    if not raws:
        problems.append(ConfigProblem(source, "columns", "expected a list of columns"))
    seen: dict[str, str] = {}
    for index, raw in enumerate(raws):
        label = _label(index, raw)
        # Databases ignore the case of column names.
        if (earlier := seen.setdefault(label.lower(), label)) is not label:
            problems.append(ConfigProblem(source, label, f"duplicate column, {earlier} is there already"))
    return problems + [ConfigProblem(source, key, text) for key, text in _key_problems(content, raws)]


def _key_problems(content: Mapping[str, Any], raws: list[Any]) -> list[tuple[str, str]]:
    name = content.get("pk_column")
    if name is None:
        return [("pk_column", "is missing, a table needs a primary key")]
    column = next((raw for raw in raws if isinstance(raw, dict) and raw.get("name") == name), None)
    if column is None:
        return [("pk_column", f"no column is named {name!r}, so the table has no primary key")]
    problems = []
    dtype = _parsed(column)
    if dtype is not None and dtype.name not in _KEY_TYPES:
        message = f"a primary key is a VARCHAR2 or NVARCHAR2 (a CHAR is padded with blanks), got {column['dtype']!r}"
        problems.append((f"{name}.dtype", message))
    for index, raw in enumerate(raws):
        if raw is not column and isinstance(raw, dict) and "PRIMARY KEY" in str(raw.get("extra")).upper():
            problems.append((f"{_label(index, raw)}.extra", f"PRIMARY KEY, but pk_column names {name}"))
    return problems


def _raw_columns(content: Mapping[str, Any]) -> list[Any]:
    columns = content.get("columns")
    return columns if isinstance(columns, list) else []


def _parsed(raw: Mapping[str, Any]) -> DataType | None:
    """The type of a column as the file has it; None where it is refused, which its own problem says."""
    try:
        return parse_dtype(raw["dtype"]) if isinstance(raw.get("dtype"), str) else None
    except ValueError:
        return None


def _label(index: int, raw: object) -> str:
    name = raw.get("name") if isinstance(raw, dict) else None
    return name if isinstance(name, str) and name else f"columns[{index}]"
