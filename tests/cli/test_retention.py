"""`anonymise retention` says what it removed, or why nothing was old enough."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result

from anonymisation.chain import retention
from anonymisation.chain.retention import retention_log
from tests.captures import FOLDER, Site
from tests.cli.conftest import invoke

Retain = Callable[..., Result]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """One archived original that was released, and a copy of a failed picture."""
    site = Site(tmp_path)
    site.fill(1)
    site.put("torn.jpg", b"torn")
    site.run(site.workspace(archive=True, delete_input=True, remote_json=True))
    return site


@pytest.fixture
def retain(site: Site) -> Retain:
    """The verb, with a configuration and, unless it is left out, the archive."""

    def call(*, archive: bool = True, **settings: Any) -> Result:
        config = site.root / "config.yml"
        config.write_text(yaml.safe_dump({"delete_input": archive, "remote_json": True, **settings}))
        flags = ["-i", str(site.input), "-o", str(site.output), "-k", str(config)]
        return invoke("retention", *flags, *(["-a", str(site.archive)] if archive else []))

    return call


def test_where_nothing_is_old_enough_it_says_so_and_names_no_log(retain: Retain) -> None:
    result = retain(archive_retention_days=1, error_retention_days=30)
    assert result.exit_code == 0
    assert result.stdout == (
        "Nothing is removed: no archived original is older than 1 day, and no failed picture is older than 30 days.\n"
    )


def test_what_was_removed_is_counted_and_its_log_named(
    site: Site, retain: Retain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_DAY", 0.0)  # ctime cannot be set
    result = retain(archive_retention_days=1, error_retention_days=1)
    log = retention_log(site.state)
    assert result.stdout == (f"1 archived original and 2 files of the error folder removed; each is named in {log}\n")
    assert len(log.read_text().splitlines()) == 3


def test_what_has_to_stay_is_named_and_nothing_else_is_promised(
    site: Site, retain: Retain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_DAY", 0.0)
    os.truncate(site.output / FOLDER / "p000.jpg", 100)
    result = retain(archive_retention_days=1)
    assert result.exit_code == 1
    assert result.stdout.startswith("Nothing is removed.\n")
    assert "p000.jpg: stays in the archive" in result.stdout


def test_originals_are_not_passed_over_where_the_archive_is_not_given(retain: Retain) -> None:
    result = retain(archive=False, archive_retention_days=1, error_retention_days=30)
    assert result.exit_code == 2
    assert "archive_retention_days: is 1, and no archive folder is given; give it with -a" in result.stderr
