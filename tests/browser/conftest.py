"""A real Chromium before Airflow's real API server with its UI and the page; brought up once for all tests here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scripts.airflow_stack import PASSWORD_FILE, AirflowStack, stop_group
from tests.conftest import REPOSITORY

START_SECONDS = 300.0
PATIENCE = 180_000  # milliseconds; a busy machine takes a minute to send Airflow's own pages
ROLES = {"admin": "admin", "operator": "user", "viewer": "viewer"}
# Debian's browser, and what others call it.
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CONFIG = "remote_mask: True\nmask_color: [0, 0, 255]\nblur: null\nmodel_type: {model}\n"


def expect(what: Any) -> Any:
    """Playwright's assertions of a locator or page, which wait for what they say as long as everything here does."""
    from playwright import sync_api

    sync_api.expect.set_options(timeout=PATIENCE)
    return sync_api.expect(what)


@dataclass
class Deployment:
    """The running Airflow and its folders; `as_user` opens a browser window in which that user has signed in."""

    stack: AirflowStack
    root: Path
    as_user: Callable[[str], Any] = field(init=False)

    @property
    def output(self) -> Path:
        return self.root / "output"

    @property
    def state(self) -> Path:
        return self.root / "output_state"

    @property
    def page(self) -> str:
        """Where the page is when it is not framed."""
        return f"{self.stack.url}/anonymisation"

    def password(self, user: str) -> str:
        return str(json.loads((self.stack.home / PASSWORD_FILE).read_text())[user])


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser; skipped where there is none. Not kept for longer: it has an event loop running in this thread."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"needs a browser, one of {', '.join(BROWSERS)} (see scripts/install_test_services.sh)")
    with sync_api.sync_playwright() as playwright:
        # As root, and in containers without user namespaces, it does not start with its own sandbox.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def airflow(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The API server over what `prepare` makes. Nothing is to run here, so no scheduler and no worker is started."""
    root = tmp_path_factory.mktemp("page")
    (root / "model").mkdir()
    (root / "model" / "saved_model.pb").write_bytes(b"scripted")
    (root / "config.yml").write_text(CONFIG.format(model=root / "model"), encoding="utf-8")
    stack = AirflowStack(root / "airflow", _environment(root))
    environment = stack._full_environment()
    prepare = [sys.executable, "-m", "tests.browser.prepare", str(root)]
    subprocess.run(prepare, env=environment, cwd=REPOSITORY, check=True)
    with _serving(stack, environment):
        deployment = Deployment(stack, root)
        with _windows(chromium, deployment):
            yield deployment


@contextmanager
def _serving(stack: AirflowStack, environment: dict[str, str]) -> Iterator[None]:
    command = [sys.executable, "-m", "airflow", "api-server"]
    with stack.log_file.open("ab") as log:
        server = subprocess.Popen(
            command, env=environment, cwd=stack.home, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not stack.api.health():
            assert server.poll() is None, stack.log_file.read_text()
            assert time.monotonic() < deadline, f"no answer within {START_SECONDS:.0f} s"
            time.sleep(0.5)
        stack.api.password = stack.password()
        yield
    finally:
        stop_group(server.pid, stack.home, server)


@contextmanager
def _windows(chromium: Any, deployment: Deployment) -> Iterator[None]:
    """One window for each user, which keeps it: closing a window while Airflow's own page loads in it may never end,
    and no time limit holds for that. All end with the browser."""
    windows: dict[str, Any] = {}

    def as_user(user: str) -> Any:
        if user not in windows:
            look = {"viewport": {"width": 1400, "height": 900}, "locale": "en-GB", "reduced_motion": "reduce"}
            windows[user] = chromium.new_context(**look).new_page()
            windows[user].set_default_timeout(PATIENCE)
            if user in ROLES:
                _sign_in(windows[user], deployment, user)
        windows[user].goto("about:blank")  # Airflow's own pages ask the server for news as long as they are open
        return windows[user]

    deployment.as_user = as_user
    yield


def _sign_in(window: Any, deployment: Deployment, user: str) -> None:
    window.goto(f"{deployment.stack.url}/auth/login")
    window.fill("input[name=username]", user)
    window.fill("input[name=password]", deployment.password(user))
    window.click("button[type=submit]")
    window.wait_for_url(lambda url: "/auth/login" not in url)


def _environment(root: Path) -> dict[str, str]:
    places = {"INPUT": "input", "OUTPUT": "output", "ARCHIVE": "archive", "CONFIG": "config.yml"}
    return {
        **{f"ANONYMISATION_{name}": str(root / place) for name, place in places.items()},
        "ANONYMISATION_SCHEDULE": "none",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in ROLES.items()),
    }
