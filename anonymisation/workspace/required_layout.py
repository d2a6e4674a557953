"""What every record must fill before its picture is published: the layout of a table, and a key of the record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from anonymisation.core.errors import ConfigProblem, ConfigurationError
from anonymisation.core.settings import Settings
from anonymisation.core.text import did_you_mean
from anonymisation.database.layouts.tables import TableLayout
from anonymisation.database.layouts.user_formatters import layout_of
from anonymisation.metadata.forms.known import keys_of

USED_KEYS: Final = frozenset(
    ("table_name", "table_primary_key", "record_form", "db_tables_dir", "db_formatters_module")
)
"""The settings that `layout_in` reads."""


def required_layout(settings: Settings) -> TableLayout | None:
    """The layout whose NOT NULL columns every record must fill (`table_name`); None where none is named.

    Raises:
        ConfigurationError: the layout cannot be used, or `table_primary_key` is no key of the records.
    """
    return layout_in(settings.model_dump(include=set(USED_KEYS)))


def layout_in(values: Mapping[str, Any]) -> TableLayout | None:
    """The same from the values of `USED_KEYS`; raises as `required_layout`."""
    if values["table_name"] is None:
        return None
    layout = layout_of(values["table_name"], values["db_tables_dir"], values["db_formatters_module"])
    form, key = values["record_form"], values["table_primary_key"]
    known = keys_of(form)
    if key is None or key in known:
        return layout
    message = (
        f"{key} is no key of a record of {form}{did_you_mean(key, known)}, so every picture would fail; the ID is "
        "under bildeid"
    )
    raise ConfigurationError([ConfigProblem("configuration", "table_primary_key", message)])
