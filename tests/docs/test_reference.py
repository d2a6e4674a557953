"""The pages of the reference that are made from the code say what the code says, and describe all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from anonymisation.core.settings import Settings
from anonymisation.metadata.record import RECORD_KEYS
from scripts.docs_site import records
from scripts.docs_site.__main__ import made_pages, outdated
from scripts.docs_site.environment import environment_variables
from scripts.docs_site.runbook import problems, read_problem, runbook
from scripts.docs_site.settings import configuration


@pytest.fixture(scope="module")
def wanted() -> dict[Path, str]:
    """Every made page as the code and the pages of the runbook have it now."""
    return made_pages()


def test_every_page_is_up_to_date(wanted: dict[Path, str]) -> None:
    assert [path.name for path in outdated(wanted)] == [], "run `make docs-reference` and commit what it writes"


def test_a_page_that_was_changed_by_hand_or_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "same.md").write_text("as made\n", encoding="utf-8")
    (tmp_path / "changed.md").write_text("by hand\n", encoding="utf-8")
    pages = {tmp_path / name: "as made\n" for name in ("same.md", "changed.md", "gone.md")}
    found = outdated(pages | runbook())
    assert [path.name for path in found] == ["changed.md", "gone.md"]


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


_PAGE = "# Share away\n\n## Message\n\n`a | b`\n\n## What to do\n\nMount it.\n"


def test_the_list_of_the_runbook_has_title_and_message_of_each_page(tmp_path: Path) -> None:
    (tmp_path / "share-away.md").write_text(_PAGE, encoding="utf-8")
    ((file, text),) = runbook(tmp_path, {"Shares": ("share-away",)}).items()
    assert file == tmp_path / "index.md"
    assert "## Shares\n" in text
    assert "| [Share away](share-away.md) | `a \\| b` |" in text
    assert "\nshare-away\n```" in text


@pytest.mark.parametrize("groups", [{}, {"A": ("share-away", "gone")}, {"A": ("share-away",), "B": ("share-away",)}])
def test_a_page_of_the_runbook_in_no_group_or_in_two_is_refused(
    tmp_path: Path, groups: dict[str, tuple[str, ...]]
) -> None:
    (tmp_path / "share-away.md").write_text(_PAGE, encoding="utf-8")
    with pytest.raises(ValueError, match=r"share-away|gone"):
        runbook(tmp_path, groups)


@pytest.mark.parametrize("text", ["## What to do\n\nMount it.\n", "# Share away\n\n## Message\n\n`a`\n"])
def test_a_page_of_the_runbook_without_title_or_advice_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "page.md").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"page\.md: expected a title and a section"):
        read_problem(tmp_path / "page.md")


def test_the_runbook_has_a_page_for_each_problem() -> None:
    assert len(problems()) > 30
