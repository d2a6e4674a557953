"""The compose file as Docker Compose would read it, with the values of the example for its variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

from scripts.airflow_stack import ROOT

DOCKER: Final = ROOT / "docker"
# ${NAME}, ${NAME:-default}, ${NAME:?message}, and $$ for a dollar sign.
_VARIABLE: Final = re.compile(r"\$(?:(\$)|\{([A-Z_]+)(?::([-?])([^}]*))?\})")


def example_values() -> dict[str, str]:
    """What `docker/.env.example` gives."""
    text = (DOCKER / ".env.example").read_text(encoding="utf-8")
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE))


def read_compose(given: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The file with its anchors merged; its variables filled in from `given`, or left as they stand without it."""
    raw = yaml.safe_load((DOCKER / "compose.yml").read_text(encoding="utf-8"))
    return dict(raw if given is None else _filled(raw, given))


def _filled(value: Any, given: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, given) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, given) for item in value]
    return _VARIABLE.sub(lambda match: _value(match, given), value) if isinstance(value, str) else value


def _value(match: re.Match[str], given: Mapping[str, str]) -> str:
    dollar, name, kind, rest = match.groups()
    if dollar:
        return "$"
    value = given.get(name, "")
    if not value and kind == "?":
        raise KeyError(f"{name}: {rest}")
    return value or (rest if kind == "-" else "")
