"""import-linter holds the layers of the rooms: every import that goes up or sideways breaks the contract."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.walls.contract import FORBIDDEN, LAYERS

LINT = Path(sys.executable).with_name("lint-imports")
PAIRS = [(room, other) for room, others in FORBIDDEN.items() for other in others]


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    """A package with the same rooms and nothing in them, under the same contract."""
    for room in FORBIDDEN:
        folder = tmp_path / "anonymisation" / room
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
    (tmp_path / "anonymisation" / "__init__.py").touch()
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    return tmp_path


def lint(folder: Path) -> tuple[int, str]:
    done = subprocess.run([LINT, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_the_rooms_are_those_on_disk() -> None:
    found = {path.name for path in (REPOSITORY / "anonymisation").iterdir() if (path / "__init__.py").exists()}
    assert found == {room for layer in LAYERS for room in layer}
    assert len(found) == 13


def test_imports_downwards_keep_the_contract(rooms: Path) -> None:
    for index, layer in enumerate(LAYERS):
        for room in layer:
            lines = [f"import anonymisation.{other}\n" for below in LAYERS[index + 1 :] for other in below]
            (rooms / "anonymisation" / room / "down.py").write_text("".join(lines))
    assert lint(rooms)[0] == 0


def test_each_import_upwards_or_sideways_breaks_it(rooms: Path) -> None:
    for room, other in PAIRS:
        planted = rooms / "anonymisation" / room / f"into_{other}.py"
        planted.write_text(
            f"def later() -> object:\n    import anonymisation.{other}\n\n    return anonymisation.{other}\n"
        )
    code, output = lint(rooms)
    assert code == 1
    named = set(re.findall(r"anonymisation\.(\w+)\.into_\w+ -> anonymisation\.(\w+)", output))
    assert named == set(PAIRS)


def test_a_room_that_the_contract_does_not_know_breaks_it(rooms: Path) -> None:
    (rooms / "anonymisation" / "attic").mkdir()
    (rooms / "anonymisation" / "attic" / "__init__.py").touch()
    code, output = lint(rooms)
    assert code == 1
    assert "attic" in output
