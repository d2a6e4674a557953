"""The page for users of the original program names everything that the original has, and every key that it has not."""

from __future__ import annotations

import re
from typing import Final

import pytest

from anonymisation.core.settings import ALIASES, Settings
from scripts.docs_site.paths import DOCS

PAGE: Final = (DOCS / "moving.md").read_text(encoding="utf-8")
COMMANDS: Final = (
    "src.main", "scripts.create_json", "scripts.check_folders", "scripts.evaluate", "scripts.db.create_db_config",
    "scripts.db.create_table", "scripts.db.insert_geom_metadata", "scripts.db.json_to_db", "scripts.db.execute_sql",
)  # fmt: skip
OPTIONS: Final = (
    "--input-folder", "--output-folder", "--archive-folder", "--log-folder", "--skip-clear-cache", "`-k`",
    "--ignore-config", "--accumulate", "--user", "--password", "--dsn", "--schema", "--table_name", "--drop", "--sql",
    "--file", "--run-slow", "--run-db",
)  # fmt: skip
FILES: Final = (
    "default_config.yml", "email_config.py", "db_config.py", "ORACLE_KEY", "db_tables/<table>.yml", "formatters.py",
    "bin/run.ps1", "run-with-prompt.bat", "build.ps1", "start.ps1", "make.bat html", "requirements.txt",
    "from_address", "to_addresses", "smtp_host", "`port`",
)  # fmt: skip
KEYS: Final = frozenset(
    (
        "draw_mask", "delete_input", "force_remask", "lazy_paths", "file_access_retry_seconds",
        "file_access_timeout_seconds", "datetime_format", "log_file_name", "log_level", "application_version",
        "exif_mappenavn", "exif_top_dir", "error_output_dir", "remote_json", "local_json", "archive_json",
        "remote_mask", "local_mask", "archive_mask", "enable_async", "max_num_async_workers", "model_type",
        "mask_dilation_pixels", "max_num_pixels", "mask_color", "blur", "gray_blur", "normalized_gray_blur",
        "uncaught_exception_email", "processing_error_email", "finished_email", "email_attach_log", "write_exif_to_db",
        "db_max_n_accumulated_rows", "db_max_n_errors", "db_max_cache_size",
    )
)  # fmt: skip


@pytest.mark.parametrize("name", [*COMMANDS, *OPTIONS, *FILES])
def test_every_part_of_the_original_has_its_line(name: str) -> None:
    lines = [line for line in PAGE.splitlines() if name in line]
    assert any(line.startswith("|") for line in lines), lines


def test_every_key_of_the_original_is_a_key_here() -> None:
    assert {ALIASES.get(key, key) for key in KEYS} <= set(Settings.model_fields)


def test_every_new_key_is_named() -> None:
    new = set(Settings.model_fields) - {ALIASES.get(key, key) for key in KEYS}
    named = set(re.findall(r"`([a-z_]+)`", PAGE))
    prefixes = re.findall(r"`([a-z_]+)`", PAGE.split("New ones begin with", 1)[1].split(";", 1)[0])
    assert sorted(key for key in new if key not in named and not key.startswith(tuple(prefixes))) == []
