"""YAML files that people write: keys and values, each key once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from anonymisation.core.errors import ConfigProblem, ConfigurationError


class _UniqueKeys(yaml.SafeLoader):
    """YAML that refuses duplicate keys; the safe loader would silently keep the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                mark = node.value[index][0].start_mark
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is given twice", mark)
        return super().construct_mapping(node, deep=deep)


def read_mapping(path: Path) -> dict[str, Any]:
    """The keys and values of a file; empty for an empty file.

    Raises:
        ConfigurationError: the file cannot be read, is not YAML, has a key twice, or holds no keys and values.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)  # noqa: S506 - a safe loader
    except (OSError, UnicodeDecodeError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise ConfigurationError([ConfigProblem(str(path), "", f"cannot be read: {reason}")]) from error
    except yaml.YAMLError as error:
        raise ConfigurationError([ConfigProblem(str(path), "", f"is not valid YAML: {error}")]) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        problem = ConfigProblem(str(path), "", f"expected keys and values, got a {type(content).__name__}")
        raise ConfigurationError([problem])
    return {str(key): value for key, value in content.items()}
