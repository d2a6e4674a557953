"""Kubernetes objects checked against the types of the official Python client, which are made from its OpenAPI schema.

The client's own reading passes over what it does not know; this one does not: a field in the wrong place is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from kubernetes import client

_SCALARS: Final[dict[str, tuple[type, ...]]] = {"str": (str,), "int": (int,), "bool": (bool,), "object": (object,)}


def problems(value: Any, kind: str, where: str = "") -> Iterator[str]:
    """What does not fit the type `kind` of the client (`V1Pod`, `list[str]`, `dict[str, str]` …), with its place."""
    if several := re.fullmatch(r"list\[(.+)\]", kind):
        if not isinstance(value, list):
            yield f"{where}: expected a list, got {value!r}"
            return
        for number, item in enumerate(value):
            yield from problems(item, several[1], f"{where}[{number}]")
    elif mapping := re.fullmatch(r"dict[\[(]str, (.+)[\])]", kind):
        if not isinstance(value, dict):
            yield f"{where}: expected a mapping, got {value!r}"
            return
        for key, item in value.items():
            yield from problems(item, mapping[1], f"{where}.{key}")
    elif kind in _SCALARS:
        if not isinstance(value, _SCALARS[kind]) or (kind == "int" and isinstance(value, bool)):
            yield f"{where}: expected {kind}, got {value!r}"
    else:
        yield from _object_problems(value, getattr(client, kind), where)


def _object_problems(value: Any, model: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: expected the fields of {model.__name__}, got {value!r}"
        return
    fields = {name: model.openapi_types[attribute] for attribute, name in model.attribute_map.items()}
    for name, item in value.items():
        if name not in fields:
            yield f"{where}.{name}: no field of {model.__name__}"
        else:
            yield from problems(item, fields[name], f"{where}.{name}")
    given = {attribute: value.get(name) for attribute, name in model.attribute_map.items()}
    try:
        model(**given)  # refuses where what it requires is missing
    except ValueError as error:
        yield f"{where}: {error}"
