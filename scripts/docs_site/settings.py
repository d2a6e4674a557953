"""The page of the configuration: every key of config/default_config.yml with its comment, type and bounds."""

from __future__ import annotations

import re
from typing import Any, Final

from anonymisation.core.settings import ALIASES, DEFAULT_CONFIG_NAME, PICTURE_KEYS, Settings
from scripts.docs_site.markdown import page
from scripts.docs_site.paths import ROOT

FILE: Final = ROOT / "config" / DEFAULT_CONFIG_NAME
_TITLE: Final = re.compile(r"# --- (.+?) -+")
_KEY: Final = re.compile(r"([a-z_]+):(.*)")

INTRODUCTION: Final = """\
The configuration is one YAML file, given with `-k` (in Airflow: `ANONYMISATION_CONFIG`). It holds only the keys that
it changes; all others have their defaults. Unknown keys, wrong values and impossible combinations are reported
together, before any file is touched, and end the command with exit code 2. `anonymise config show -k FILE` prints
every value with its source.

A picture that failed is tried again when one of the keys marked ↻ changes. Pictures that are masked already stay as
they are, whatever changes; `--force-remask` masks them again."""


def configuration() -> str:
    """The page: the sections of the file, and in each a heading for every key."""
    parts = [INTRODUCTION]
    comment: list[str] = []
    keys: list[tuple[str, str]] = []
    seen: set[str] = set()
    for line in [*FILE.read_text(encoding="utf-8").splitlines(), ""]:
        if title := _TITLE.fullmatch(line):
            parts.append(f"## {title[1].strip()}")
            comment = []
        elif line.startswith("#"):
            comment.append(line.removeprefix("#").strip())
        elif found := _KEY.fullmatch(line):
            keys.append((found[1], found[2].strip()))
        else:
            if keys:
                parts += _section(keys, " ".join(comment))
                seen |= {key for key, _ in keys}
            elif comment and len(parts) > 1:
                parts.append(" ".join(comment))
            comment, keys = [], []
    if missing := set(Settings.model_fields) - seen:
        raise ValueError(f"expected every key in {FILE}, {sorted(missing)} are missing")
    return page("Configuration", *parts)


def _section(keys: list[tuple[str, str]], comment: str) -> list[str]:
    text = re.sub(r"\s*Defaults?: .*$", "", comment)
    return ["### " + ", ".join(key for key, _ in keys), text, *(_facts(key, value) for key, value in keys)]


def _facts(key: str, value: str) -> str:
    """The default, type and bounds of a key, its other name, and whether it changes pictures."""
    schema = Settings.model_json_schema(by_alias=False)["properties"][key]
    parts = [f"Default: `{key}: {value}`."]
    if kinds := _kinds(schema):
        parts.append(f"{kinds}.")
    parts += [f"Other name: `{other}`." for other, name in ALIASES.items() if name == key]
    if key in PICTURE_KEYS:
        parts.append("↻")
    return " ".join(parts)


_KINDS: Final = {"boolean": "True or False", "integer": "Whole number", "number": "Number", "null": "null"}


def _kinds(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return "One of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "anyOf" in schema:
        return " or ".join(kinds for part in schema["anyOf"] if (kinds := _kinds(part)))
    if schema.get("type") in {"array", "object"}:
        return "List" if schema["type"] == "array" else "Mapping"
    if schema.get("type") not in _KINDS:
        return ""
    bounds = [f"at least {schema['minimum']:g}"] if "minimum" in schema else []
    bounds += [f"at most {schema['maximum']:.15g}"] if "maximum" in schema else []
    return _KINDS[schema["type"]] + (f", {' and '.join(bounds)}" if bounds else "")
