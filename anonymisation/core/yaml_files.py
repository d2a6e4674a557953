"""YAML files that people write: keys and values, each key once."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final

import yaml

from anonymisation.core.errors import ConfigProblem, ConfigurationError

MAX_BYTES: Final = 1_000_000  # people write a few kB; YAML takes seconds for a MB


class _UniqueKeys(yaml.SafeLoader):
    """YAML that refuses duplicate keys; the safe loader would silently keep the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for name, _ in node.value:
            key = self.construct_object(name, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(None, None, "a key is a list or a mapping", name.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is given twice", name.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read_mapping(path: Path) -> dict[str, Any]:
    """The keys and values of a file; empty for an empty file.

    Raises:
        ConfigurationError: the file cannot be read, is not YAML, is larger than 1 MB, has a key twice, or holds no keys
            and values.
    """
    return parse_mapping(read_bytes(path), str(path))


def read_bytes(path: Path) -> bytes:
    """The bytes of a file of at most 1 MB.

    Raises:
        ConfigurationError: the file cannot be read, or is larger.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise _refused(str(path), f"cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise _refused(str(path), f"is larger than {MAX_BYTES} bytes")
    return data


def parse_mapping(data: bytes, source: str) -> dict[str, Any]:
    """The keys and values in `data`; `source` names the file in messages.

    Raises:
        ConfigurationError: as `read_mapping`.
    """
    try:
        content = yaml.load(data.decode("utf-8"), Loader=_UniqueKeys)  # noqa: S506 - a safe loader
    except UnicodeDecodeError as error:
        raise _refused(source, f"cannot be read: {error}") from error
    except RecursionError as error:
        raise _refused(source, "is nested too deeply") from error
    except yaml.MarkedYAMLError as error:
        raise _refused(source, f"is not valid YAML: {_where(error)}") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date or a number that does not exist
        raise _refused(source, f"is not valid YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise _refused(source, f"expected keys and values, got a {type(content).__name__}")
    return {str(key): value for key, value in content.items()}


def _where(error: yaml.MarkedYAMLError) -> str:
    """Line, column and fault, in one line; YAML's own message has five and quotes the file."""
    fault = error.problem or "cannot be understood"
    if "'\\t'" in fault:
        fault = "a tab; indent with spaces"
    mark, start = error.problem_mark, error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    return f"{place}{fault}{f' ({error.context}, from line {start.line + 1})' if error.context and start else ''}"


def _refused(source: str, message: str) -> ConfigurationError:
    return ConfigurationError([ConfigProblem(source, "", message)])
