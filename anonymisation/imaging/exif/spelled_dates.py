"""Dates with English names of months, as `ctime`, `date` and mail programs write them, turned into numbers."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

_MONTHS: Final = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_WEEKDAYS: Final = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_WEEKDAY: Final = rf"(?:(?P<weekday>{'|'.join(_WEEKDAYS)})[a-z]*[.,]? )?"
_MONTH: Final = rf"(?P<month>{'|'.join(_MONTHS)})[a-z]*\.?"
_DAY: Final = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR: Final = r"(?P<year>\d{4})"
_REST: Final = r"(?:[ T]?,? ?(?P<rest>\d.*))?"
_FORMS: Final = tuple(
    re.compile(form, re.ASCII | re.IGNORECASE)
    for form in (
        rf"{_WEEKDAY}{_MONTH} {_DAY} (?P<rest>\d\S*(?: [ap]m)?(?: [a-z]+| ?[+\-]\d{{4}})?) {_YEAR}",  # ctime, date
        rf"{_WEEKDAY}{_DAY}[ .\-/]{{1,2}}{_MONTH}[ .\-/]{{1,2}}{_YEAR}{_REST}",  # mail
        rf"{_WEEKDAY}{_MONTH} {_DAY},? {_YEAR}{_REST}",
        rf"{_YEAR}[ :.\-/]{_MONTH}[ :.\-/]{_DAY}{_REST}",
    )
)


def in_numbers(text: str) -> str:
    """`text` with single spaces, as `YYYY:MM:DD <rest>` if it names a month; otherwise as it is.

    Raises:
        ValueError: the date does not exist, or its day of the week is another.
    """
    match = next((found for form in _FORMS if (found := form.fullmatch(text))), None)
    if match is None:
        return text
    parts = match.groupdict()
    day = date(int(parts["year"]), _MONTHS.index(parts["month"].lower()) + 1, int(parts["day"]))
    weekday = parts.get("weekday")
    if weekday is not None and _WEEKDAYS[day.weekday()] != weekday.lower():
        raise ValueError("its day of the week is another")
    return f"{day.year:04d}:{day:%m:%d} {parts['rest'] or ''}".strip()
