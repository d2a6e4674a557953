"""Messages about values of settings that are refused: what is expected, and what was given."""

from __future__ import annotations

import reprlib
from collections.abc import Collection, Mapping
from typing import Any, Final

from pydantic import ValidationError

from anonymisation.core.errors import ConfigProblem
from anonymisation.core.text import did_you_mean

# Messages for keys with a complex type; for the others the message of pydantic is used.
_EXPECTED: Final[Mapping[str, str]] = {
    "jpeg_quality": "expected keep or a whole number from 1 to 100",
    "hidden_classes": "expected a list of at least one of person, bicycle, car, motorcycle, bus, truck",
    "camera_regions": "expected a list of mappings with folders, camera, hide and ignore; hide and ignore are lists of "
    "polygons, each a list of 3 to 100 corners [x, y] from 0 to 1",
    "mask_color": "expected null or a list of three whole numbers from 0 to 255, such as [50, 50, 50]",
    "blur": "expected null or a number from 1 to 100",
    "db_table": "expected the name of a table layout: a letter, then letters, digits or _",
    "error_output_mode": 'expected octal digits in quotes that leave the owner every right, such as "0700" or "0750"',
    "preview_dim": "expected [width, height] in pixels, two whole numbers from 2 to 65535, such as [2520, 1400]",
    "preview_center": "expected [height, width] as shares from 0 to 1, such as [0.45, 0.5]",
    "fylkesnummer": "expected null or a whole number from 0 to 9999",
    "data_eier": "expected null or a name in quotes of 1 to 64 characters",
    "image_type": 'expected text of 1 to 64 characters without / and \\, such as Planar or "360"',
    "table_name": "expected null or the name of a table layout, such as VEGBILDER, without .yml",
    "table_primary_key": "expected null or a key of the records, such as bildeid",
    "email_to_addresses": "expected a list of addresses, such as [someone@example.org]",
}


# YAML's references make a value of a few bytes that takes gigabytes to write out.
_short: Final = reprlib.Repr()
_short.maxlevel, _short.maxlist, _short.maxstring, _short.maxother, _short.maxlong = 2, 10, 200, 200, 60


def _in_words(message: str) -> str:
    words = message.removeprefix("Value error, ").replace("Input should be", "must be")
    return words.replace("a valid boolean", "True or False, without quotes")


def _as_written(key: str, value: object) -> str:
    octal = f" ({value:04o} in octal digits)" if key == "error_output_mode" and type(value) is int else ""
    return f"{_short.repr(value)}{octal}"


def field_problems(
    error: ValidationError, known: Collection[str], values: Mapping[str, Any], sources: Mapping[str, str]
) -> list[ConfigProblem]:
    """Each refused key once, with all reasons. `known` are all keys, `sources` says where each value comes from."""
    messages: dict[str, list[str]] = {}
    for item in error.errors(include_url=False):
        key, unknown = str(item["loc"][0]), len(item["loc"]) == 1 and item["type"] == "extra_forbidden"
        text = f"unknown key{did_you_mean(key, known)}" if unknown else _EXPECTED.get(key) or _in_words(item["msg"])
        texts = messages.setdefault(key, [])
        if text not in texts:
            texts.append(text)
    problems = []
    for key, texts in messages.items():
        got = "" if texts[0].startswith("unknown key") else f", got {_as_written(key, values.get(key))}"
        problems.append(ConfigProblem(sources.get(key, "default"), key, " or ".join(texts) + got))
    return problems
