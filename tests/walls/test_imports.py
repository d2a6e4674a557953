"""The walls of the design, from the syntax trees of all modules and from what importing them loads."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.walls.contract import FORBIDDEN

PACKAGE = REPOSITORY / "anonymisation"
PIXELS = ("numpy", "cv2", "PIL", "tensorflow", "keras", "simplejpeg", "anonymisation.imaging")

# The modules that work with TensorFlow and OpenCV, and those that put them to work.
USE_TENSORFLOW = ("anonymisation.masking.saved_model",)
USE_OPENCV = (
    *(f"anonymisation.masking.{name}" for name in ("rendering", "geometry", "tiling", "merging", "saved_model")),
    "anonymisation.masking.views", "anonymisation.masking.second_look",
    *(f"anonymisation.masking.panoramas.{name}" for name in ("looks", "mapping", "joining", "search")),
    *(f"anonymisation.masking.{name}" for name in ("backdrop", "marked", "shared_blocks", "tones")),
    "anonymisation.chain.image_worker", "anonymisation.chain.mask", "anonymisation.chain.run", "anonymisation.cli",
    "anonymisation.api", "anonymisation.review.apply", "anonymisation.review.comparison.shadow",
    "anonymisation.evaluation",
)  # fmt: skip


def sources(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.py"))
    assert found, f"{folder} holds no module"
    return found


def module_name(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports anywhere, and every name it takes from one, as dotted names."""
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def offences(folder: Path, forbidden: tuple[str, ...]) -> list[str]:
    return [
        f"{path.relative_to(REPOSITORY)} imports {name}"
        for path in sources(folder)
        for name in imported(path)
        if any(name == banned or name.startswith(f"{banned}.") for banned in forbidden)
    ]


@pytest.mark.parametrize("room", FORBIDDEN)
def test_no_room_knows_what_it_must_not_know(room: str) -> None:
    """However deep inside a function; import-linter says the same (test_contract.py)."""
    assert offences(PACKAGE / room, tuple(f"anonymisation.{other}" for other in FORBIDDEN[room])) == []


def test_the_package_knows_no_airflow() -> None:
    assert offences(PACKAGE, ("airflow",)) == []


@pytest.mark.parametrize("folder", ["dags", "plugins"])
def test_airflow_s_side_knows_no_pixels(folder: str) -> None:
    assert offences(REPOSITORY / folder, PIXELS) == []


def test_the_search_finds_what_is_there() -> None:
    assert offences(PACKAGE / "masking", ("cv2",))
    assert offences(PACKAGE, ("anonymisation.imaging.exif.read",))


def test_configuration_is_data_only() -> None:
    assert list((REPOSITORY / "config").rglob("*.py")) == []


def loaded_by_importing(modules: list[str]) -> set[str]:
    """The top-level names in `sys.modules` of a fresh interpreter that imported these modules."""
    program = (
        "import importlib, json, sys\n"
        "for name in json.loads(sys.argv[1]): importlib.import_module(name)\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(modules)], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def modules_without(users: tuple[str, ...]) -> list[str]:
    names = [module_name(path) for path in sources(PACKAGE) if path.name != "__main__.py"]
    return [name for name in names if not any(name == user or name.startswith(f"{user}.") for user in users)]


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = {"tensorflow", "keras", "cv2", "airflow", "numpy", "PIL", "sqlalchemy"}
    assert loaded_by_importing(["anonymisation"]) & heavy == set()


def test_importing_everything_loads_tensorflow_nowhere_but_where_it_is_used() -> None:
    modules = modules_without(USE_TENSORFLOW)
    assert len(modules) > 40
    assert loaded_by_importing(modules) & {"tensorflow", "keras", "airflow"} == set()


def test_importing_what_does_not_redact_loads_no_opencv() -> None:
    modules = modules_without((*USE_TENSORFLOW, *USE_OPENCV))
    assert {"anonymisation.chain.discover", "anonymisation.chain.release", "anonymisation.workspace.workspace"} <= set(
        modules
    )
    assert loaded_by_importing(modules) & {"cv2", "tensorflow", "keras", "airflow"} == set()
