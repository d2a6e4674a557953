"""Single EXIF values: readers that accept every type that holds the value, and writers of the standard's types."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from anonymisation.imaging.exif.tiff import Entry

_MAX_UNSIGNED: Final = 0xFFFFFFFF  # numerator and denominator of a RATIONAL
_MAX_SIGNED: Final = 0x7FFFFFFF  # of an SRATIONAL
_MAX_DENOMINATOR: Final = 1_000_000
_MAX_LETTERS: Final = 64  # the longest word that is read is "magnetic north"
_HARMLESS: Final = re.compile(r"[0-9TZ :/.,+\-]{1,32}")


@dataclass(frozen=True, slots=True)
class TagProblem:
    """A value that is there and is not used: the tag's name, and what happened to it."""

    tag: str
    reason: str


def require_readable(entry: Entry) -> None:
    """Raise ValueError for a value that is there and lies outside the EXIF, or is of an unknown type."""
    if not entry.is_readable:
        raise ValueError("its value lies outside the EXIF, or is of an unknown type")


def reals(entry: Entry) -> tuple[float, ...]:
    """The numbers of an entry of any numeric type, with rationals divided.

    Raises:
        ValueError: it holds text, cannot be read, a denominator is zero, or a number is not finite.
    """
    require_readable(entry)
    if any(below == 0 for _, below in entry.ratios):
        raise ValueError("a denominator is zero")
    numbers = tuple(above / below for above, below in entry.ratios) or tuple(float(n) for n in entry.numbers)
    if not numbers:
        raise ValueError("expected numbers, got text")
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a number is not finite")
    return numbers


def real(entry: Entry) -> float:
    """The only number of an entry. Raises ValueError as `reals` does, and for several numbers."""
    numbers = reals(entry)
    if len(numbers) != 1:
        raise ValueError(f"expected one number, got {len(numbers)}")
    return numbers[0]


def letters(entry: Entry) -> str:
    """The letters of a text in lower case, without spaces, NULs and punctuation; a whole number counts as a code."""
    raw = entry.raw
    if raw is None:
        raw = bytes(n for n in entry.numbers if isinstance(n, int) and 0 <= n < 128)
    return "".join(filter(str.isalpha, raw[:_MAX_LETTERS].decode("latin-1"))).casefold()


def is_blank(entry: Entry) -> bool:
    """Whether a value holds nothing but spaces, NULs or zeros, as cameras fill tags that they do not set."""
    if entry.raw is not None:
        return not entry.raw.strip(b"\0 ")
    return entry.is_readable and not any(entry.numbers) and not any(above for above, _ in entry.ratios)


def shown(text: str) -> str:
    """`text` for a message, if it is short and looks like a date or a number; other text may name a person."""
    return repr(text) if _HARMLESS.fullmatch(text) else f"other text of {len(text)} characters"


def decimal_ratio(number: float | Fraction, places: int) -> tuple[int, int]:
    """A number of 0 or more as numerator and denominator, rounded to `places` decimal places and reduced."""
    return Fraction(round(Fraction(number) * 10**places), 10**places).as_integer_ratio()


def near_ratio(number: float, *, signed: bool) -> tuple[int, int]:
    """The nearest fraction that a RATIONAL holds, or an SRATIONAL if `signed`.

    Raises:
        ValueError: the number is too large, or negative where it must not be.
    """
    above, below = Fraction(number).limit_denominator(_MAX_DENOMINATOR).as_integer_ratio()
    if abs(above) > (_MAX_SIGNED if signed else _MAX_UNSIGNED) or (above < 0 and not signed):
        raise ValueError(f"{number:g} is out of range")
    return above, below


def whole(entry: Entry) -> int:
    """The only whole number of an entry of any type, also as digits of a text (ASCII "1") or as a single byte.

    Raises:
        ValueError: it holds none of these.
    """
    raw = entry.raw
    if raw is None:
        number = real(entry)
        if number != int(number):
            raise ValueError(f"expected a whole number, got {number:g}")
        return int(number)
    digits = raw.split(b"\0", 1)[0].strip()
    if 0 < len(digits) < 10 and digits.isdigit():
        return int(digits)
    if not raw or raw[1:].strip(b"\0"):
        raise ValueError(f"expected one number, got {len(raw)} bytes")
    return raw[0]
