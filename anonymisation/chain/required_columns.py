"""The verdict on a record before its picture is published: every NOT NULL column of a table must have a value."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from anonymisation.core.errors import ImageError
from anonymisation.core.settings import Settings
from anonymisation.database.layouts.columns import empty_columns
from anonymisation.metadata.forms.form_2022 import FORM_2022
from anonymisation.workspace.required_layout import required_layout

_OWNER: Final = "Dataeier"


class RecordIncompleteError(ImageError):
    """The record lacks what the table needs, so the picture is not published."""

    lasting = True

    def __init__(self, message: str, record: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.record = record


class RequiredColumns:
    """The columns of the layout that `table_name` names, and the key that `table_primary_key` names."""

    def __init__(self, settings: Settings) -> None:
        self._layout = required_layout(settings)
        self._name = settings.table_name
        self._key = settings.table_primary_key
        self._warn_of_missing_owner(settings)

    def check(self, record: Mapping[str, Any]) -> None:
        """Do nothing where every column has a value.

        Raises:
            RecordIncompleteError: one has none; names each.
        """
        if self._layout is None:
            return
        if problems := empty_columns(self._layout, record, self._key):
            raise RecordIncompleteError(
                f"its record lacks what table layout {self._name} needs (table_name): {'; '.join(problems)}; neither "
                "the record nor a picture is written",
                record,
            )

    def _warn_of_missing_owner(self, settings: Settings) -> None:
        """Log at the start that no picture can pass, where the table needs an owner and the settings give none."""
        if settings.data_eier is not None or settings.record_form != FORM_2022.name or self._layout is None:
            return
        if any(column.formatter == _OWNER and self._layout.requires(column) for column in self._layout.columns):
            message = "data_eier is null, and table layout %s needs it: every picture will fail; set data_eier"
            logging.getLogger(__name__).warning(message, self._name)
