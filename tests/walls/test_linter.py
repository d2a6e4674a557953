"""The linter holds the walls by itself: each forbidden import, written into each room, is refused."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY
from tests.walls.contract import FORBIDDEN

PACKAGE = "anonymisation"
ROOMS = ("masking", "metadata", "database", "imaging")  # those whose walls ruff holds as well


def refusals(path: str, code: str) -> list[str]:
    """The rules that ruff finds broken in `code`, as if it stood in the repository's file `path`."""
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--output-format", "json", "--stdin-filename", path, "-"],
        input=code, cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in {0, 1}, done.stderr
    return [finding["code"] for finding in json.loads(done.stdout)]


def module(*lines: str) -> str:
    return '"""A module."""\n\nfrom __future__ import annotations\n\n' + "\n".join(lines) + "\n"


@pytest.mark.parametrize("room", ROOMS)
def test_forbidden_imports_are_refused_in_each_room(room: str) -> None:
    middle = [f"anonymisation.{other}" for other in FORBIDDEN[room] if other in {*ROOMS, "cli"}]
    for banned in (*middle, "airflow"):
        code = module(f"import {banned}.something", "", f"print_it = {banned}.something")
        assert "TID251" in refusals(f"{PACKAGE}/{room}/wrong.py", code), banned
        within = module("", "def later() -> object:", f"    from {banned} import something", "", "    return something")
        assert "TID251" in refusals(f"{PACKAGE}/{room}/wrong.py", within), banned


@pytest.mark.parametrize("room", ROOMS)
def test_the_rules_of_the_whole_house_hold_in_each_room(room: str) -> None:
    assert "TID252" in refusals(f"{PACKAGE}/{room}/wrong.py", module("from . import other", "", "it = other"))
    assert "TID253" in refusals(f"{PACKAGE}/{room}/wrong.py", module("import cv2", "", "it = cv2"))
    assert "E501" in refusals(f"{PACKAGE}/{room}/wrong.py", module(f"it = '{'x' * 120}'"))
    allowed = module("from anonymisation.core.errors import ImageError", "", "it = ImageError")
    assert refusals(f"{PACKAGE}/{room}/right.py", allowed) == []


@pytest.mark.parametrize("path", ["wrong.py", "cli/wrong.py"])
def test_airflow_is_refused_in_the_package(path: str) -> None:
    assert "TID251" in refusals(f"{PACKAGE}/{path}", module("import airflow", "", "it = airflow"))


@pytest.mark.parametrize(
    ("path", "banned"),
    [
        ("dags/wrong.py", "anonymisation.chain.run"),
        ("dags/wrong.py", "tensorflow"),
        ("plugins/anonymisation_airflow/wrong.py", "anonymisation.imaging.jpeg.codec"),
        ("plugins/anonymisation_airflow/wrong.py", "cv2"),
    ],
)
def test_pixels_are_refused_in_the_dag_and_the_plugin(path: str, banned: str) -> None:
    within = module("def later() -> object:", f"    from {banned} import something", "", "    return something")
    assert "TID251" in refusals(path, within)
    allowed = "airflow.sdk" if path.startswith("dags") else "anonymisation.chain.run"
    assert "TID251" not in refusals(path, within.replace(banned, allowed))
