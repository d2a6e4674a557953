"""JSON for machines: msgspec's codec, which takes a sixth of the time of the standard library's."""

from __future__ import annotations

import json
from typing import Any

import msgspec


def encode(value: object) -> bytes:
    """JSON on one line, in UTF-8; times in ISO 8601.

    Text with half a surrogate pair, as names of files may hold, is no UTF-8: all is then escaped to ASCII.

    Raises:
        TypeError, ValueError, OverflowError: a value has no form in JSON.
    """
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, default=str).encode("ascii")


def to_text(value: object) -> str:
    """JSON on one line as the standard library spaces it, Unicode unescaped; NaN, for which JSON has no word, as null.

    Raises:
        TypeError, ValueError, OverflowError: a value has no form in JSON.
    """
    try:
        return msgspec.json.format(msgspec.json.encode(value), indent=0).decode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair, which the database refuses
        return json.dumps(value, ensure_ascii=False)


def decode(data: bytes) -> Any:
    """What `encode` made JSON of.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return msgspec.json.decode(data)
    except ValueError:
        return json.loads(data)  # half a surrogate pair, escaped
