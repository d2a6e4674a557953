"""The wheel, as a stranger gets it: built, installed into a folder of its own, and used outside of the repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from anonymisation import __version__
from tests.captures import FOLDER, capture, files_below
from tests.conftest import REPOSITORY

# What the package needs at run time and is no code, and where the wheel has it.
DATA: Final = (
    "anonymisation/py.typed", "anonymisation/config/default_config.yml", "anonymisation/config/db_tables/VEGBILDER.yml",
    "anonymisation/config/db_tables/PICTURES.yml", "anonymisation/reporting/templates/folder.html.j2",
    "anonymisation/masking/builtin/MODEL_CARD.md", "anonymisation/masking/builtin/saved_model/saved_model.pb",
)  # fmt: skip
# One process, since the model is loaded once in it: the functions for programs, all in the folder where it runs.
STRANGER: Final = """
import sys
from pathlib import Path
import anonymisation
from anonymisation import ImageError, Masker, read_record

assert not Path(anonymisation.__file__).is_relative_to(sys.argv[1]), anonymisation.__file__
masker = Masker(settings={"remote_json": True, "write_exif_to_db": True})
report = masker.mask_folder("captures", "masked", archive="archive")
assert report.succeeded, report
assert report.total("mask", "masked") == report.total("load", "inserted") == 2, report
masked = masker.mask_picture(sys.argv[2], "one.jpg")
assert masked.jpeg == (Path("masked") / Path(sys.argv[2]).relative_to("captures")).read_bytes()
written = read_record(next(Path("masked").rglob("p000.json")))
assert {key for key, value in written.items() if masked.record[key] != value} <= {"mappenavn"}, masked.record
Path("broken.jpg").write_bytes(masked.jpeg[:2000])
try:
    masker.mask_picture("broken.jpg", "never.jpg")
except ImageError as error:
    print(error)
assert not Path("never.jpg").exists()
"""


def environment(installed: Path, home: Path) -> Mapping[str, str]:
    """That of a stranger: no variable of this project or of Airflow, a home of its own, the wheel's folder first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANONYMISATION_", "AIRFLOW"))}
    return {**kept, "PYTHONPATH": str(installed), "HOME": str(home), "COLUMNS": "120"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `make dist` has built, or one of its own."""
    if built := os.environ.get("ANONYMISATION_WHEEL"):
        return (REPOSITORY / built).resolve()
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    [found] = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel installed by pip; what it needs comes from the environment of the tests."""
    folder = tmp_path_factory.mktemp("site")
    options = ["--no-deps", "--no-index", "--no-compile", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(folder), str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def test_the_wheel_has_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    assert set(DATA) <= names
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "anonymisation", "config"]
    listed = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    expected = {name.replace("config/", "anonymisation/config/", 1) if name.startswith("config/") else name
                for name in listed.stdout.split() if not name.endswith("ruff.toml")}  # fmt: skip
    metadata = f"image_anonymisation-{__version__}.dist-info/"
    assert {name for name in names if not name.startswith(metadata)} == expected
    assert {f"{metadata}licenses/LICENSE", f"{metadata}licenses/NOTICE"} <= names


def test_the_wheel_names_its_version_its_licence_and_no_package_host(wheel: Path) -> None:
    metadata = zipfile.ZipFile(wheel).read(f"image_anonymisation-{__version__}.dist-info/METADATA").decode()
    head = metadata.split("\n\n")[0].splitlines()
    assert {f"Version: {__version__}", "License-Expression: Apache-2.0", "Requires-Python: <3.14,>=3.11"} <= set(head)
    assert [line for line in head if line.startswith("Requires-Dist:") and "://" in line] == []
    assert any(line.startswith("Requires-Dist: tensorflow") for line in head)


def test_a_stranger_masks_pictures_with_the_wheel(installed: Path, tmp_path: Path) -> None:
    here = tmp_path / "a stranger's folder"
    folder = here / "captures" / FOLDER
    folder.mkdir(parents=True)
    for number in (0, 1):
        (folder / f"p{number:03d}.jpg").write_bytes(capture(number))
    variables = environment(installed, tmp_path)

    def run(*arguments: str) -> str:
        command = [sys.executable, "-P", *arguments]
        done = subprocess.run(command, cwd=here, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    said = run("-c", STRANGER, str(REPOSITORY), f"captures/{FOLDER}/p000.jpg")
    assert "truncated" in said
    before = {path: path.read_bytes() for path in files_below(here / "masked")}
    again = run("-m", "anonymisation", "run", "-i", "captures", "-o", "masked", "-a", "archive")
    assert "skipped as done" in again
    assert {path: path.read_bytes() for path in files_below(here / "masked")} == before
    status = run("-m", "anonymisation", "db", "status", "--state", "masked_state")
    assert re.search(r"rows\W+2\b", status), status
    assert "Built-in" in run("-m", "anonymisation", "models", "list")
    assert __version__ in run("-m", "anonymisation", "--version")
