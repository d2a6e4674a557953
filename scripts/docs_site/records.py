"""The pages of the record and of the tables. What the Norwegian names mean in English stands in meanings.yml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from anonymisation.database.layouts.formatters import FORMATTERS
from anonymisation.database.layouts.tables import load_layout
from anonymisation.metadata.forms.form_2022 import FORM_2022
from anonymisation.metadata.record import RECORD_KEYS
from scripts.docs_site.markdown import code, page, table
from scripts.docs_site.paths import ROOT

MEANINGS: Final = Path(__file__).with_name("meanings.yml")
LAYOUTS: Final = ROOT / "config" / "db_tables"


_RECORD: Final = """\
A record is a JSON file next to a picture (`remote_json`, `local_json`, `archive_json`), and the column `JsonData` of
its row. It is UTF-8, indented by four. Every record has all keys, in this order. A value is text or `null`; only
`detekterte_objekter` maps text to text. The keys are those of the original program, in Norwegian; keys with `exif_`
come from the picture's EXIF or, where it has none, from its path."""
_SOURCES: Final = """\
1. **Tag 40055** (`ImageProperties`, XML of the survey car) and tag 40056 (`ReflinkInfo`). With tag
   40055, a value that it lacks is `null`.
2. **Standard EXIF tags**, for pictures without tag 40055, such as those of a phone: time, position and heading.
3. **The path** below `exif_top_dir`, for pictures without tag 40055: county, road, section, metre, lane.
4. **The file's time**, where no other time is known. The older of the times of change and of status counts; the ID then
   begins with a checksum of the picture.

[Place and time](../place-and-time.md) has the rules: which tags, which forms, what a value that cannot be read costs.
Driver, car and comment in the vendor's XML are replaced by `FJERNET` (removed)."""
_RECORD_2022: Final = """\
With `record_form: 2022`, records have these keys, in this order: [Records of 2022](../how-to/records-of-2022.md). The
keys of a record say which form it is of, and a state folder or a table may hold both."""
_TABLES: Final = """\
The columns of the layouts that are included, and the formatters that layouts may name. The types are Oracle's;
`anonymise db create-table --print --dialect postgresql` prints the statements for another database. How to write a
layout of your own: [Own table layout](../how-to/table-layout.md)."""
_FORMATTERS: Final = """\
A column's formatter makes its value from the record. Text that is empty, and a number that is NaN, become NULL. A
formatter that fails gives NULL and a warning."""


def record_keys() -> str:
    """The page: every key of a record, in order, with its meaning."""
    meanings = _meanings()["record"]
    _require_equal("record", set(RECORD_KEYS), set(meanings))
    keys = table(("key", "meaning"), [(code(key), meanings[key]) for key in RECORD_KEYS])
    newer = _meanings()["record_2022"]
    _require_equal("record_2022", set(FORM_2022.keys), set(newer))
    keys_2022 = table(("key", "meaning"), [(code(key), newer[key]) for key in FORM_2022.keys])
    sources = ("## Where values come from", _SOURCES)
    return page("Record", _RECORD, keys, *sources, "## The 2022 form", _RECORD_2022, keys_2022)


def table_layouts() -> str:
    """The page: the columns of each shipped layout, and the formatters that a layout may name."""
    meanings = _meanings()
    parts = []
    for file in sorted(LAYOUTS.glob("*.yml")):
        layout = load_layout(file.stem)
        columns = meanings["columns"]
        _require_known(file.stem, {column.name for column in layout.columns}, set(columns))
        raw = {column["name"]: column for column in yaml.safe_load(file.read_text(encoding="utf-8"))["columns"]}
        rows = [(code(c.name), columns[c.name], code(_dtype(raw[c.name])), code(c.formatter)) for c in layout.columns]
        parts += [f"## {file.stem}", meanings["layouts"][file.stem]]
        parts.append(table(("column", "meaning", "Oracle's type", "formatter"), rows))
    _require_equal("formatters", set(FORMATTERS), set(meanings["formatters"]))
    formatters = [(code(name), meanings["formatters"][name]) for name in FORMATTERS]
    listed = table(("formatter", "value"), formatters)
    return page("Tables", _TABLES, *parts, "## Formatters", _FORMATTERS, listed)


def _dtype(column: Mapping[str, Any]) -> str:
    return " ".join(str(part) for part in (column["dtype"], column.get("extra")) if part)


def _meanings() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = yaml.safe_load(MEANINGS.read_text(encoding="utf-8"))
    return found


def _require_equal(what: str, names: set[str], described: set[str]) -> None:
    _require_known(what, names, described)
    if described - names:
        raise ValueError(f"{MEANINGS.name}, {what}: {sorted(described - names)} do not exist; remove them")


def _require_known(what: str, names: set[str], described: set[str]) -> None:
    if names - described:
        raise ValueError(f"{MEANINGS.name}, {what}: expected a meaning for each of {sorted(names - described)}")
