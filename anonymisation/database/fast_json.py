"""Fast JSON: msgspec's codec takes a sixth of the time of the standard library's."""

from __future__ import annotations

import json
from typing import Any

import msgspec


def encode(value: object) -> bytes:
    """JSON on one line, in UTF-8; times in ISO 8601.

    Text with half a surrogate pair, possible in file names, is not valid UTF-8: the whole JSON is then escaped to
    ASCII.

    Raises:
        TypeError, ValueError, OverflowError: a value has no form in JSON.
    """
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, default=str).encode("ascii")


def encode_or_none(value: object) -> bytes | None:
    """As `encode`; None for text with half a surrogate pair, whose JSON is not that of `to_text`."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return None


def spaced(encoded: bytes) -> bytes:
    """The JSON of `encode_or_none` as `to_text` writes it, in UTF-8."""
    return msgspec.json.format(encoded, indent=0)


def to_text(value: object) -> str:
    """JSON on one line, spaced as by the standard library, Unicode unescaped; NaN becomes null.

    Raises:
        TypeError, ValueError, OverflowError: a value has no form in JSON.
    """
    try:
        return msgspec.json.format(msgspec.json.encode(value), indent=0).decode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair, which the database refuses
        return json.dumps(value, ensure_ascii=False)


def decode(data: bytes) -> Any:
    """The inverse of `encode`.

    Raises:
        ValueError: the data is not JSON.
    """
    try:
        return msgspec.json.decode(data)
    except ValueError:
        return json.loads(data)  # half a surrogate pair, escaped
