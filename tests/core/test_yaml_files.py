"""YAML files that people write."""

from __future__ import annotations

from pathlib import Path

import pytest

from anonymisation.core.errors import ConfigurationError
from anonymisation.core.yaml_files import read_mapping


def written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "file.yml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_keys_and_values_are_read(tmp_path: Path) -> None:
    assert read_mapping(written(tmp_path, "blur: 5\n3: [a, b]\n")) == {"blur": 5, "3": ["a", "b"]}
    assert read_mapping(written(tmp_path, "# nothing\n")) == {}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("blur: 5\ngray_blur: true\nblur: 3\n", "the key 'blur' is given twice"),
        ("columns:\n  - {name: A, name: B}\n", "the key 'name' is given twice"),
        ("- a\n- b\n", "expected keys and values, got a list"),
        (
            "a: [1\n",
            "is not valid YAML: line 2, column 1: expected ',' or ']', but got '<stream end>' "
            "(while parsing a flow sequence, from line 1)",
        ),
        ("a:\n\tb: 1\n", "is not valid YAML: line 2, column 1: a tab; indent with spaces"),
        ("a: b: c\n", "is not valid YAML: line 1, column 5: mapping values are not allowed here"),
        ("a: \x01\n", "is not valid YAML: unacceptable character #x0001"),
        (b"a: \xff\n", "cannot be read"),
        ("a: 2021-13-45\n", "is not valid YAML"),
        (f"a: {'1' * 5000}\n", "is not valid YAML"),
        ("[" * 5000, "is nested too deeply"),
        ("[a, b]: c\n", "a key is a list or a mapping"),
        ("a: b\n" + "# \n" * 400_000, "is larger than 1000000 bytes"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, content: str | bytes, problem: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(ConfigurationError) as refused:
        read_mapping(path)
    assert problem in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        read_mapping(tmp_path / "none.yml")
