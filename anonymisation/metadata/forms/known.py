"""The forms by the settings that ask for them, and by the keys of a record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from anonymisation.metadata.forms.context import RecordContext
from anonymisation.metadata.forms.form_2020 import FORM_2020
from anonymisation.metadata.forms.form_2022 import FORM_2022, FORM_2022_DEPRECATED
from anonymisation.metadata.forms.reading import RecordForm

_FORMS: Final[Mapping[tuple[int, str], RecordForm[Any]]] = {
    (2020, "default"): FORM_2020,
    (2020, "deprecated"): FORM_2020,  # it has one reader
    (2022, "default"): FORM_2022,
    (2022, "deprecated"): FORM_2022_DEPRECATED,
}


def form_for(context: RecordContext) -> RecordForm[Any]:
    """The form that the settings ask for."""
    return _FORMS[context.form, context.reader]


def keys_of(form: int) -> tuple[str, ...]:
    """The keys of the records of a form, 2020 or 2022, in order."""
    return _FORMS[form, "default"].keys


def form_of(keys: Iterable[str]) -> RecordForm[Any] | None:
    """The form of a record with exactly `keys`, in any order; None for another file."""
    found = set(keys)
    return next((form for form in (FORM_2020, FORM_2022) if form.fits(found)), None)


def differing_keys(keys: Iterable[str]) -> set[str]:
    """The keys that a record lacks or has too many, compared with the form that it is nearest to; none: it is one."""
    found = set(keys)
    return min((found ^ form.sources.keys() for form in (FORM_2020, FORM_2022)), key=len)
