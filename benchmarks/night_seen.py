"""What people see of a night: the operations page in a browser, and the mails as a mail program shows them.

Written as WebP below a folder. Without Playwright or a browser only the mails' own files are.
"""

from __future__ import annotations

import base64
import importlib.util
import io
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

from PIL import Image

from scripts.airflow_stack import USER, AirflowStack

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LOOK: Final[dict[str, Any]] = {"viewport": {"width": 1400, "height": 900}, "reduced_motion": "reduce"}
PATIENCE_MS: Final = 120_000
WEBP_QUALITY: Final = 82


@dataclass(frozen=True, slots=True)
class Seen:
    """The operations page of a running Airflow after the run `run_id`; pictures go to `folder`."""

    stack: AirflowStack
    folder: Path
    run_id: str

    def look(self, captures: Sequence[str]) -> list[str]:
        """The list of nights, the run, what of it failed, and the pictures of these capture folders.

        Returns:
            The pages that did not come.
        """
        with browser() as chromium:
            if chromium is None:
                return []
            window = chromium.new_context(**LOOK).new_page()
            window.set_default_timeout(PATIENCE_MS)
            self._sign_in(window)
            pages = {"nights": "", "run": f"runs/{self.run_id}"}
            wrong = [name for name, address in pages.items() if not self._page(window, address, name)]
            for number, capture in enumerate(captures, start=1):
                window.goto(f"{self.stack.url}/anonymisation/folders?find={capture}")
                window.get_by_role("link", name=capture).click()
                window.wait_for_load_state("networkidle")
                self._keep(window, f"folder_{number}")
        return wrong

    def _page(self, window: Any, address: str, name: str) -> bool:
        answer = window.goto(f"{self.stack.url}/anonymisation/{address}", wait_until="networkidle")
        self._keep(window, name)
        return bool(answer.ok)

    def _keep(self, window: Any, name: str) -> None:
        keep(window.screenshot(full_page=True), self.folder / f"{self.run_id}_{name}.webp")

    def _sign_in(self, window: Any) -> None:
        window.goto(f"{self.stack.url}/auth/login")
        window.fill("input[name=username]", USER)
        window.fill("input[name=password]", self.stack.password())
        window.click("button[type=submit]")
        window.wait_for_url(lambda url: "/auth/login" not in url, wait_until="commit")


def write_mails(mails: Sequence[EmailMessage], folder: Path) -> None:
    """Each mail as it came, its text, its HTML with the pictures in it, and how that looks."""
    folder.mkdir(parents=True, exist_ok=True)
    with browser() as chromium:
        for number, mail in enumerate(mails, start=1):
            path = folder / f"mail_{number}"
            path.with_suffix(".eml").write_bytes(mail.as_bytes())
            path.with_suffix(".txt").write_text(f"{mail['Subject']}\n\n{text_of(mail)}", encoding="utf-8")
            path.with_suffix(".html").write_text(html_of(mail), encoding="utf-8")
            if chromium is not None:
                window = chromium.new_page(viewport={"width": 900, "height": 700})
                window.goto(path.with_suffix(".html").absolute().as_uri())
                keep(window.screenshot(full_page=True), path.with_suffix(".webp"))
                window.close()


def text_of(mail: EmailMessage) -> str:
    """What the mail says as plain text."""
    body = mail.get_body(("plain",))
    return str(body.get_content()) if body else ""


def html_of(mail: EmailMessage) -> str:
    """What it says as HTML, with the pictures that come along in the place of their names."""
    body = mail.get_body(("html",))
    html = str(body.get_content()) if body else ""
    for part in mail.walk():
        name, content = part["Content-ID"], part.get_payload(decode=True)
        if name and isinstance(content, bytes):
            data = base64.b64encode(content).decode()
            html = html.replace(f"cid:{name.strip('<>')}", f"data:{part.get_content_type()};base64,{data}")
    return html


def keep(png: bytes, path: Path) -> None:
    """Write a picture of the screen as WebP."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.open(io.BytesIO(png)).convert("RGB").save(path, quality=WEBP_QUALITY, method=6)


@contextmanager
def browser() -> Iterator[Any]:
    """A browser, None where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None or importlib.util.find_spec("playwright") is None:
        yield None
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # As root, and in containers without user namespaces, it does not start with its own sandbox.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        chromium = playwright.chromium.launch(executable_path=found, args=arguments)
        try:
            yield chromium
        finally:
            chromium.close()
