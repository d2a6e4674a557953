"""The pages of the reference that are made from the code say what the code says, and describe all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from anonymisation.core.settings import Settings
from anonymisation.metadata.record import RECORD_KEYS
from scripts.docs_site import records
from scripts.docs_site.__main__ import FOLDER, PAGES, main, outdated
from scripts.docs_site.environment import environment_variables
from scripts.docs_site.settings import configuration


def test_every_page_is_up_to_date() -> None:
    assert [path.name for path in outdated()] == [], "run `make docs-reference` and commit what it writes"


def test_a_page_that_was_changed_by_hand_or_is_missing_is_named(tmp_path: Path) -> None:
    for name in PAGES:
        (tmp_path / name).write_text((FOLDER / name).read_text(encoding="utf-8"), encoding="utf-8")
    assert outdated(tmp_path) == []
    (tmp_path / "record.md").write_text("by hand\n", encoding="utf-8")
    (tmp_path / "exif.md").unlink()
    assert sorted(path.name for path in outdated(tmp_path)) == ["exif.md", "record.md"]


def test_check_writes_nothing() -> None:
    before = {name: (FOLDER / name).stat().st_mtime_ns for name in PAGES}
    assert main(["--check"]) == 0
    assert {name: (FOLDER / name).stat().st_mtime_ns for name in PAGES} == before


def test_every_setting_has_a_heading() -> None:
    headings = [line for line in configuration().splitlines() if line.startswith("### ")]
    named = {key for heading in headings for key in heading.removeprefix("### ").split(", ")}
    assert named == set(Settings.model_fields)


def test_every_variable_of_the_deployment_is_listed() -> None:
    page = environment_variables()
    for name in ("ANONYMISATION_INPUT", "ANONYMISATION_STALL_MINUTES", "ORACLE_KEY", "CAPTURES_FOLDER"):
        assert f"| `{name}` |" in page
    assert "(default:" not in page.split("## Airflow")[1].split("## Docker")[0]


def test_a_record_key_without_a_meaning_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "RECORD_KEYS", (*RECORD_KEYS, "exif_nytt"))
    with pytest.raises(ValueError, match="exif_nytt"):
        records.record_keys()
