"""Settings and folders are checked together, and every problem is reported before anything is touched."""

from __future__ import annotations

import shutil
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from anonymisation.core.errors import ConfigurationError, ModelUnavailableError, ShareUnavailableError
from anonymisation.workspace.roots import MARKER
from anonymisation.workspace.workspace import open_workspace
from tests.captures import FOLDER, CountingDetector, Site, checksums


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_every_problem_is_reported_at_once_and_nothing_is_touched(tmp_path: Path) -> None:
    config = tmp_path / "mine.yml"
    config.write_text("no_such_key: 1\njpeg_quality: 101\narchive_json: True\n")
    with pytest.raises(ConfigurationError) as caught:
        open_workspace(
            input_dir=tmp_path / "in",
            output_dir=tmp_path / "in" / "out",
            config=config,
            overrides={"delete_input": True, "max_num_async_workers": 0, "write_exif_to_db": True},
        )
    found = {(problem.source, problem.key) for problem in caught.value.problems}
    assert found >= {
        (str(config), "no_such_key"),
        (str(config), "jpeg_quality"),
        (str(config), "archive_json"),
        ("command line", "max_num_async_workers"),
        ("folders", "input folder"),
        ("command line", "delete_input"),
    }
    assert caught.value.exit_code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.yml"]


@pytest.mark.parametrize(
    "settings",
    [{"database": "nonsense"}, {"database": "martian://host/db"}, {"database": "sqlite://"}, {"db_table": "NO_SUCH"}],
)
def test_a_database_that_cannot_be_used_is_refused(site: Site, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        site.workspace(write_exif_to_db=True, **settings)


@pytest.mark.parametrize("database", ["martian://u:hemmelig-7@host/db", "no such connection"])
@pytest.mark.parametrize("table", ["NO_SUCH", "not a name"])
def test_problems_of_table_database_and_keys_are_reported_together(site: Site, database: str, table: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        site.workspace(write_exif_to_db=True, database=database, db_table=table, no_such_key=1, delete_input=True)
    keys = [problem.key for problem in caught.value.problems]
    assert sorted(set(keys) & {"no_such_key", "delete_input"}) == ["delete_input", "no_such_key"]
    assert len(keys) == 4, caught.value  # the two above, one of the table and one of the database
    assert ("NO_SUCH" if table == "NO_SUCH" else "db_table") in keys
    assert "hemmelig" not in str(caught.value)


def test_values_of_a_wrong_type_are_reported_once(site: Site) -> None:
    with pytest.raises(ConfigurationError) as caught:
        site.workspace(write_exif_to_db=True, database=5, db_table=7, db_formatters_module=[1])
    keys = sorted(problem.key for problem in caught.value.problems)
    assert keys == ["database", "db_formatters_module", "db_table"]


def test_the_workspace_shows_no_password(site: Site) -> None:
    workspace = open_workspace(
        input_dir=site.input, output_dir=site.output, database_url="sqlite:////tmp/x.db?password=hunter2"
    )
    assert "hunter2" not in repr(workspace)


def test_the_version_tag_names_application_and_configuration(site: Site) -> None:
    config = site.root / "mine.yml"
    config.write_text('application_version: "7.3"\n')
    tag = open_workspace(input_dir=site.input, output_dir=site.output, config=config).version_tag
    assert tag == f"P7.3_K{datetime.fromtimestamp(config.stat().st_mtime):%Y%m%d}"


def test_the_folders_of_results_are_created(site: Site) -> None:
    workspace = site.workspace(archive=True)
    assert not site.output.exists()
    workspace.require_shares()
    assert all(place.is_dir() for place in (site.output, site.archive, site.state))
    site.input.rmdir()
    with pytest.raises(ShareUnavailableError, match="input folder"):
        workspace.require_shares()
    assert not site.input.exists()


def test_missing_parents_are_created_too(site: Site) -> None:
    workspace = site.workspace(state_dir=str(site.root / "new" / "state"))
    workspace.require_shares()
    assert workspace.shares.state.is_dir()


@pytest.mark.parametrize(("key", "role"), [("state_dir", "state"), ("error_output_dir", "error")])
@pytest.mark.parametrize("below", ["", "/deeper/place"])
def test_a_folder_that_cannot_be_created_is_named(site: Site, key: str, role: str, below: str) -> None:
    """At the start, even where nothing fails, so that no copy of a failed picture is lost later."""
    (site.root / "taken").write_bytes(b"a file where a folder should be")
    place = f"{site.root}/taken{below}"
    overrides: dict[str, Any] = {key: place}
    workspace = site.workspace(**overrides)
    with pytest.raises(ShareUnavailableError, match=f"{role} folder {place} cannot be created: Not a directory"):
        workspace.require_shares()


def test_an_input_that_appears_in_time_is_waited_for(site: Site) -> None:
    """The effect of file_access_retry_seconds and file_access_timeout_seconds on a run."""
    site.fill(1)
    away = site.root / "away"
    site.input.rename(away)
    threading.Timer(0.3, away.rename, [site.input]).start()
    report = site.run(site.workspace(file_access_retry_seconds=0.05, file_access_timeout_seconds=60))
    assert report.total("mask", "masked") == 1
    site.input.rename(away)
    with pytest.raises(ShareUnavailableError):
        site.run(site.workspace(file_access_retry_seconds=0.05, file_access_timeout_seconds=0))


def test_the_model_is_known_by_name_and_content(site: Site) -> None:
    first = site.workspace().model_identity()
    assert first.startswith("model@")
    assert len(first) == len("model@") + 12
    (site.model / "saved_model.pb").write_bytes(b"other")
    assert site.workspace().model_identity() != first
    (site.model / "saved_model.pb").unlink()
    with pytest.raises(ModelUnavailableError):
        site.workspace().model_identity()


def test_error_and_state_folders_are_used_where_configured(site: Site) -> None:
    site.put("a.jpg", b"broken")
    errors, state = site.root / "e", site.root / "s"
    report = site.run(site.workspace(error_output_dir=str(errors), state_dir=str(state)), CountingDetector())
    assert report.total("mask", "failed") == 1
    assert (errors / FOLDER / "a_error.txt").is_file()
    assert (state / "folders").is_dir()
    assert not site.errors.exists()
    assert not site.state.exists()


def test_one_directory_with_two_names_is_refused(site: Site) -> None:
    """If a folder in the archive or output leads back into the input, the copy would be the original."""
    site.fill(2)
    originals = checksums(site.input)
    for base in (site.archive, site.output):
        place = base / FOLDER
        place.parent.mkdir(parents=True)
        place.symlink_to(site.input / FOLDER)
        report = site.run(site.workspace(archive=True, delete_input=True, remote_json=True))
        assert not report.succeeded
        assert "are the same directory" in str(report.folders[0].error)
        assert report.exit_code == 1
        assert checksums(site.input) == originals
        place.unlink()


def test_two_base_folders_at_the_same_place_are_refused(site: Site) -> None:
    workspace = site.workspace(archive=True)
    workspace.require_shares()
    (site.archive / MARKER).unlink()
    site.archive.rmdir()
    site.archive.symlink_to(site.output)
    with pytest.raises(ShareUnavailableError, match="is another folder than before"):
        workspace.require_shares()
    shutil.rmtree(site.state)  # so that both are as new
    with pytest.raises(ConfigurationError, match="are the same directory"):
        workspace.require_shares()
