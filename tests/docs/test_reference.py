"""The pages of the reference that are made from the code say what the code says, and describe all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from anonymisation.core.settings import Settings
from anonymisation.metadata.record import RECORD_KEYS
from scripts.docs_site import records
from scripts.docs_site.__main__ import made_pages, outdated
from scripts.docs_site.environment import environment_variables
from scripts.docs_site.runbook import problems
from scripts.docs_site.runbook import runbook as made_pages_of_runbook
from scripts.docs_site.settings import configuration


@pytest.fixture(scope="module")
def wanted() -> dict[Path, str]:
    """Every made page as the code and the production guide have it now."""
    return made_pages()


def test_every_page_is_up_to_date(wanted: dict[Path, str]) -> None:
    assert [path.name for path in outdated(wanted)] == [], "run `make docs-reference` and commit what it writes"


def test_a_page_that_was_changed_by_hand_or_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "same.md").write_text("as made\n", encoding="utf-8")
    (tmp_path / "changed.md").write_text("by hand\n", encoding="utf-8")
    pages = {tmp_path / name: "as made\n" for name in ("same.md", "changed.md", "gone.md")}
    found = outdated(pages | made_pages_of_runbook())
    assert [path.name for path in found] == ["changed.md", "gone.md"]


def test_a_page_of_a_problem_that_is_gone_is_named() -> None:
    pages = made_pages_of_runbook()
    left = next(path for path in pages if path.name != "index.md")
    assert outdated({path: text for path, text in pages.items() if path != left}) == [left]


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


_TABLE = (
    "# Guide\n\n## When something fails\n\n| problem | message | automatic reaction | what to do |\n|---|---|---|---|\n"
)


def test_each_row_of_the_table_of_problems_is_read() -> None:
    row = "| **Share away** (all) | `a` | – | mount it, see [the shares](#the-shares) |\n"
    (found,) = problems(_TABLE + row)
    assert (found.title, found.more, found.reaction) == ("Share away", "(all)", "–")
    assert found.to_do == "mount it, see [the shares](#the-shares)"
    assert found.file.name == "share-away.md"


@pytest.mark.parametrize("rows", ["| **a** | b | c |\n", "| **A b** | c | d | e |\n| **a-b** | c | d | e |\n"])
def test_a_table_that_makes_no_pages_is_refused(rows: str) -> None:
    with pytest.raises(ValueError, match=r"expected a row|same title"):
        problems(_TABLE + rows)


def test_the_runbook_has_a_page_for_each_problem_and_links_between_them() -> None:
    pages = {path.name: text for path, text in made_pages_of_runbook().items()}
    assert len(pages) > 30
    assert "[Share away](share-away.md)" in pages["disk-full.md"]
    assert "](../../production.md#housekeeping)" in pages["disk-full.md"]
    assert "as above" not in "".join(pages.values())
