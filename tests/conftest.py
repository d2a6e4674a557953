"""What every test may use."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from anonymisation.core.text import encodable
from tests.drawn import DRAWN
from tests.drawn.cases import write_cases
from tests.golden_2022 import Golden
from tests.sources import SHARED, sources

REPOSITORY = Path(__file__).resolve().parent.parent
# Set before any test can import Airflow, which reads it once for a whole process and would otherwise keep the tests'
# runs in the home of whoever starts them, where the next run of the tests would meet them.
AIRFLOW_HOME = Path(tempfile.mkdtemp(prefix="anonymisation-tests-airflow-"))
os.environ |= {"AIRFLOW_HOME": str(AIRFLOW_HOME), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}

# The files that take longest, from the longest on. They come first, so that no process works alone at the end.
LONGEST = (
    "dags/test_real_scheduler.py",
    "browser/test_operations_page.py",
    "masking/models/test_factory.py",
    "masking_builtin/test_builtin_model.py",
    "privacy/test_identification.py",
    "faults/test_deadly_pictures.py",
    "cli/test_exit_codes.py",
    "plugins/operations/test_who_may.py",
    "plugins/test_tasks.py",
    "faults/test_disks.py",
    "training/test_export.py",
    "database/test_faults.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-db", action="store_true", help="run the database tests on a real Oracle as well")
    parser.addoption("--run-slow", action="store_true", help="run what takes minutes as well, such as 100 kills")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes minutes all together, and runs with --run-slow alone")
    config.addinivalue_line("markers", "db: needs a real Oracle, and runs with --run-db alone")
    # The ordinary run tries the same examples on every machine, so that a failure is always the change's own;
    # --run-slow looks for new ones. No deadline: how fast a machine is says nothing about what is right.
    searches = bool(config.getoption("--run-slow"))
    hypothesis.settings.register_profile("project", derandomize=not searches, deadline=None, print_blob=True)
    hypothesis.settings.load_profile("project")


def pytest_report_header() -> str:
    return f"real pictures: {SHARED}" if SHARED.is_dir() else f"real pictures: none, without {SHARED}; drawn ones alone"


def pytest_unconfigure() -> None:
    shutil.rmtree(AIRFLOW_HOME, ignore_errors=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    reasons = {"db": "needs an Oracle: see docker/oracle/README.md, then --run-db", "slow": "needs --run-slow"}
    for marker, reason in reasons.items():
        if not config.getoption(f"--run-{marker}"):
            for item in items:
                if item.get_closest_marker(marker):
                    item.add_marker(pytest.mark.skip(reason=reason))
    places = {REPOSITORY / "tests" / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Make what a test printed fit to be sent to the main process of pytest-xdist: names of files may be no Unicode."""
    report = yield
    report.sections = [(name, encodable(text)) for name, text in report.sections]
    return report


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real pictures and reference results; tests that have nothing to replace it skip without it."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the pictures and reference results in {SHARED}, which is not there")
    return SHARED


@pytest.fixture(scope="session", params=sources())
def references(request: pytest.FixtureRequest) -> Path:
    """Captures with the records and rows that are right for them: the drawn ones, and the real ones where they are."""
    if request.param == "drawn":
        return DRAWN
    shared: Path = request.getfixturevalue("shared")
    return shared


@pytest.fixture(scope="session", params=sources())
def golden(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Golden:
    """Pictures with their records and rows of the 2022 form."""
    target = tmp_path_factory.mktemp("captures") / "captures"
    if request.param == "drawn":
        return Golden.draw(target)
    return Golden.copy(request.getfixturevalue("shared"), target)


@pytest.fixture(scope="session", params=sources())
def cases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small inputs on which the software was wrong once: pictures with what is right, and records."""
    if request.param == "drawn":
        return write_cases(tmp_path_factory.mktemp("cases"))
    shared: Path = request.getfixturevalue("shared")
    return shared / "cases"
