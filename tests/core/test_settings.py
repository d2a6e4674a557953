"""Load the configuration: layers, sources, problems. For the effect of each key see test_settings_effects."""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from anonymisation.core.errors import ConfigurationError
from anonymisation.core.settings import DEFAULT_CONFIG_NAME, PICTURE_KEYS, Settings, config_dir, load_settings
from anonymisation.workspace.workspace import open_workspace

DEFAULTS = config_dir() / DEFAULT_CONFIG_NAME


def write(path: Path, **values: Any) -> Path:
    path.write_text(yaml.safe_dump(values))
    return path


def problems_of(path: Path | None = None, /, **overrides: Any) -> dict[str, str]:
    """{key: message} of a configuration that is refused."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(path, overrides)
    return {problem.key: problem.message for problem in caught.value.problems}


def test_the_shipped_file_has_every_key_and_no_other() -> None:
    assert set(yaml.safe_load(DEFAULTS.read_text())) == set(Settings.model_fields)


def test_every_shipped_key_has_a_comment_with_its_default() -> None:
    text = DEFAULTS.read_text()
    blocks = re.split(r"\n\s*\n", text)
    for key in Settings.model_fields:
        (block,) = [block for block in blocks if re.search(rf"^{key}:", block, re.MULTILINE)]
        comment = " ".join(line.lstrip("# ") for line in block.splitlines() if line.startswith("#"))
        assert len(comment) > 10, key
        assert "Default" in comment, key


def test_the_defaults_in_comments_are_the_values() -> None:
    checked = 0
    for block in re.split(r"\n\s*\n", DEFAULTS.read_text()):
        keys = re.findall(r"^(\w+):", block, re.MULTILINE)
        comment = " ".join(line.lstrip("# ") for line in block.splitlines() if line.startswith("#"))
        named = re.search(r"Default: (.+?)$", comment)
        if len(keys) == 1 and named is not None:
            assert yaml.safe_load(named.group(1)) == yaml.safe_load(block)[keys[0]], keys[0]
            checked += 1
    assert checked > 40


def test_a_custom_file_holds_only_what_it_changes(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.yml", blur=20, mask_color=[1, 2, 3])
    loaded = load_settings(path)
    assert (loaded.settings.blur, loaded.settings.mask_color) == (20, (1, 2, 3))
    default = load_settings().settings
    unchanged = set(Settings.model_fields) - {"blur", "mask_color"}
    assert loaded.settings.model_dump(include=unchanged) == default.model_dump(include=unchanged)


def test_pythons_none_is_taken_as_the_documentation_of_the_original_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "seed.yml"
    nullable = (
        "blur", "mask_color", "data_eier", "fylkesnummer", "table_name", "table_primary_key",
        "separate_preview_directory",
    )  # fmt: skip
    path.write_text("".join(f"{key}: None\n" for key in nullable))
    found = load_settings(path).settings
    assert [getattr(found, key) for key in nullable] == [None] * len(nullable)
    assert load_settings(None, {"data_eier": "None"}).settings.data_eier is None
    path.write_text("model_dir: None\n")
    assert load_settings(path).settings.model_dir == "None"


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "empty.yml"
    path.write_text("# nothing\n")
    assert load_settings(path).settings == load_settings().settings


def test_each_value_has_its_source(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.yml", blur=20, tiles=False)
    sources = load_settings(path, {"tiles": True}).sources
    assert (sources["blur"], sources["tiles"], sources["gray_blur"]) == (str(path), "command line", "default")


def test_the_name_of_the_seed_document_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.yml", email_attach_log=True)
    loaded = load_settings(path)
    assert loaded.settings.email_attach_log_file is True
    assert loaded.sources["email_attach_log_file"] == str(path)


def test_all_problems_come_at_once_with_file_and_key(tmp_path: Path) -> None:
    path = write(
        tmp_path / "mine.yml", blurr=3, draw_mask="yes", max_num_async_workers=0, mask_color=[1, 2], log_level="LOUD",
        archive_json=True, archive_mask=True, db_table="a; DROP TABLE b",
    )  # fmt: skip
    with pytest.raises(ConfigurationError) as caught:
        load_settings(path)
    found = {problem.key for problem in caught.value.problems}
    assert found == {
        "blurr", "draw_mask", "max_num_async_workers", "mask_color", "log_level", "archive_json", "archive_mask",
        "db_table",
    }  # fmt: skip
    assert all(problem.source == str(path) for problem in caught.value.problems)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"configuration refused, {len(found)} problems:"
    assert all(line.startswith(f"  - {path}: ") for line in lines[1:])
    assert len(lines) == len(found) + 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("draw_mask", "True"), ("draw_mask", 1), ("file_access_retry_seconds", 0), ("file_access_timeout_seconds", -1),
        ("datetime_format", ""), ("log_level", "debug"), ("capture_settle_seconds", "soon"), ("jpeg_quality", 0),
        ("jpeg_quality", 101), ("jpeg_quality", "best"), ("max_num_async_workers", 1.5), ("score_threshold", 1.1),
        ("tile_pixels", 10), ("tile_overlap", 0.95), ("mask_dilation_pixels", -1), ("max_num_pixels", 0),
        ("mask_color", [0, 0, 256]), ("mask_color", "red"), ("blur", 0), ("blur", 101), ("email_smtp_port", 0),
        ("email_to_addresses", "a@b.no"), ("db_max_n_accumulated_rows", 0), ("db_max_n_errors", -1),
        ("model_type", ""), ("capture_marker_file", "a/b"), ("capture_marker_file", ".."),
        ("error_output_mode", "0600"), ("error_output_mode", "7"), ("error_output_mode", "rwx------"),
        ("error_output_mode", 700), ("error_output_mode", 0o600), ("error_output_mode", True),
        ("error_output_mode", None), ("error_output_mode", -448), ("error_output_mode", "04700"),
        ("log_file_name", "{hostname:>9999999999}"), ("log_file_name", "{hostname!r:>9}"),
        ("log_file_name", "{hostname"),
        ("log_file_name", "{datetime:{hostname}}"), ("log_file_name", "{hostname.upper}"), ("log_file_name", "{}"),
        ("log_file_name", "x" * 256), ("exif_mappenavn", "{aar!r:>999999999}"), ("exif_mappenavn", "{aar:5}"),
        ("exif_mappenavn", "{aar[0]}"), ("exif_mappenavn", "{aar}" * 1000), ("datetime_format", "%999999999d"),
        ("datetime_format", "%_9d"), ("datetime_format", "%"), ("datetime_format", "%Y" * 100),
        ("state_dir", "a\0b"), ("error_output_dir", "x" * 5000), ("application_version", "1" * 101),
        ("exif_top_dir", "x" * 256), ("capture_marker_file", "x" * 256), ("email_smtp_host", "x" * 254),
        ("email_to_addresses", ["a@b.no"] * 101), ("db_table", "A" * 129), ("model_type", "x" * 5000),
        ("log_file_name", "{date}.log"), ("exif_mappenavn", "{year}"), ("state_dir", None), ("tiles", None),
    ],
)  # fmt: skip
def test_impossible_values_are_refused(key: str, value: Any) -> None:
    assert list(problems_of(**{key: value})) == [key]


def numbers() -> list[str]:
    """The settings that take a number."""
    shipped = yaml.safe_load(DEFAULTS.read_text())
    return [key for key, value in shipped.items() if type(value) in {int, float}]


@pytest.mark.parametrize("key", numbers())
@pytest.mark.parametrize("value", [10**9 * 5, 10**400, float("nan")])
def test_every_number_has_a_least_and_a_greatest_value(key: str, value: float) -> None:
    assert list(problems_of(**{key: value})) == [key]


def test_a_dilation_of_the_whole_world_is_refused() -> None:
    assert problems_of(mask_dilation_pixels=10**9) == {
        "mask_dilation_pixels": "must be less than or equal to 1000, got 1000000000"
    }
    assert load_settings(overrides={"mask_dilation_pixels": 1000}).settings.mask_dilation_pixels == 1000


def test_a_template_with_a_format_is_refused_with_advice() -> None:
    message = "expected plain fields such as {hostname}, without a format, got '{hostname:>9999999999}'"
    assert problems_of(log_file_name="{hostname:>9999999999}") == {"log_file_name": message}


def test_a_value_that_yaml_multiplies_is_shown_short(tmp_path: Path) -> None:
    """A few references to references are gigabytes when they are written out."""
    lines = ["- &a0 [x, x, x, x, x, x, x, x, x]"] + [f"- &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    path = tmp_path / "mine.yml"
    path.write_text("blur:\n" + "\n".join(f"  {line}" for line in lines))
    (message,) = problems_of(path).values()
    assert len(message) < 1000


def test_formats_of_time_as_people_write_them_are_taken() -> None:
    for value in ("%Y-%m-%d %H.%M.%S", "%-d. %B %Y", "%H:%M:%S.%f %z", "100%% %c"):
        assert load_settings(overrides={"datetime_format": value}).settings.datetime_format == value


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("mask_color", [1, 2], "expected null or a list of three whole numbers from 0 to 255, such as [50, 50, 50], "
         "got [1, 2]"),
        ("mask_color", "none", "expected null or a list of three whole numbers from 0 to 255, such as [50, 50, 50], "
         "got 'none'"),
        ("delete_input", "True", "must be True or False, without quotes, got 'True'"),
        ("email_to_addresses", "a@b", "expected a list of addresses, such as [someone@example.org], got 'a@b'"),
        ("jpeg_quality", "best", "expected keep or a whole number from 1 to 100, got 'best'"),
        ("blur", "none", "expected null or a number from 1 to 100, got 'none'"),
        ("blur", "much", "expected null or a number from 1 to 100, got 'much'"),
        ("error_output_mode", "rwx------", 'expected octal digits in quotes that leave the owner every right, such as '
         """"0700" or "0750", got 'rwx------'"""),
        ("error_output_mode", 0o600, 'expected octal digits in quotes that leave the owner every right, such as "0700" '
         'or "0750", got 384 (0600 in octal digits)'),
        ("max_num_async_workers", 0, "must be greater than or equal to 1, got 0"),
        ("log_level", "LOUD", "must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR', got 'LOUD'"),
        ("capture_marker_file", "a/b", "expected a file name without folders, got 'a/b'"),
    ],
)  # fmt: skip
def test_messages_say_what_was_expected(key: str, value: Any, message: str) -> None:
    assert problems_of(**{key: value}) == {key: message}


@pytest.mark.parametrize(
    ("written", "mode"),
    [
        ('"0700"', 0o700), ("0700", 0o700), ("0o700", 0o700), ('"700"', 0o700), ("0750", 0o750), ("'0770'", 0o770),
        ('"2750"', 0o2750), ("02770", 0o2770), ('"0755"', 0o755),
    ],
)  # fmt: skip
def test_permissions_are_accepted_in_every_common_form(tmp_path: Path, written: str, mode: int) -> None:
    """YAML reads some of these forms as octal numbers."""
    path = tmp_path / "mine.yml"
    path.write_text(f"error_output_mode: {written}\n")
    settings = load_settings(path).settings
    assert settings.error_mode == mode
    assert settings.error_output_mode == f"{mode:04o}"


@pytest.mark.parametrize("template", ["{", "{}", "{0}", "a}b", "{datetime", "{datetime!x}"])
def test_templates_that_cannot_be_filled_in_are_refused(template: str) -> None:
    assert list(problems_of(log_file_name=template)) == ["log_file_name"]


@given(st.text(min_size=1))
@hypothesis_settings(deadline=None)  # the machine may be busy
def test_any_accepted_template_can_be_filled_in(template: str) -> None:
    try:
        settings = load_settings(overrides={"log_file_name": template}).settings
    except ConfigurationError:
        return
    settings.log_file_name.format(datetime="x", hostname="y")


def test_only_impossible_combinations_are_refused() -> None:
    assert list(problems_of(archive_json=True)) == ["archive_json"]
    assert list(problems_of(archive_mask=True, remote_json=True)) == ["archive_mask"]
    assert list(problems_of(delete_input=True, draw_mask=False)) == ["delete_input"]
    mailing: dict[str, Any] = {"finished_email": True, "email_smtp_host": "mail.example.org"}
    assert set(problems_of(**mailing)) == {"email_from_address", "email_to_addresses"}
    load_settings(overrides={**mailing, "email_from_address": "a@b.no", "email_to_addresses": ["c@d.no"]})
    load_settings(overrides={"archive_json": True, "remote_json": True, "archive_mask": True, "remote_mask": True})


@pytest.mark.parametrize("content", [b"a: [", b"- 1\n- 2\n", b"\xff\xfe\x00", b"just text"])
def test_a_file_that_is_not_a_configuration_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.yml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=re.escape(str(path))):
        load_settings(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.yml"
    with pytest.raises(ConfigurationError) as caught:
        load_settings(path)
    assert str(caught.value).endswith(f"  - {path}: cannot be read: No such file or directory")


def test_the_version_tag_has_the_date_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.yml", application_version="2.5")
    moment = datetime(2021, 3, 4, 12).timestamp()
    os.utime(path, (moment, moment))
    assert load_settings(path).version_tag == "P2.5_K20210304"


def test_the_picture_digest_depends_on_settings_that_change_pictures() -> None:
    digest = load_settings().settings.picture_digest()
    assert set(PICTURE_KEYS) < set(Settings.model_fields)
    assert load_settings(overrides={"blur": 20}).settings.picture_digest() != digest
    assert load_settings(overrides={"log_level": "ERROR", "lazy_paths": True}).settings.picture_digest() == digest


@pytest.mark.parametrize(
    ("output", "archive", "settings"),
    [
        ("in", None, {}),
        ("in/out", None, {}),
        (".", None, {}),
        ("out", "out", {}),
        ("out", "out/a", {}),
        ("out", "in/a", {}),
        ("out", None, {"state_dir": "in/state"}),
        ("out", None, {"error_output_dir": "out/errors"}),
        ("link", None, {}),
    ],
)
def test_equal_and_nested_folders_are_refused(
    tmp_path: Path, output: str, archive: str | None, settings: dict[str, str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    with pytest.raises(ConfigurationError, match="equal or nested"):
        open_workspace(
            input_dir=tmp_path / "in",
            output_dir=tmp_path / output,
            archive_dir=None if archive is None else tmp_path / archive,
            overrides={key: str(tmp_path / value) for key, value in settings.items()},
        )


def test_problems_of_folders_and_settings_are_reported_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_workspace(
            input_dir=tmp_path,
            output_dir=tmp_path,
            overrides={"delete_input": True, "archive_json": True, "blurr": 1},
        )
    assert {problem.key for problem in caught.value.problems} >= {"delete_input", "archive_json", "blurr"}
    assert "equal or nested" in str(caught.value)


@pytest.mark.parametrize("url", ["no url with hemmelig-7", "dbase://u:hemmelig-7@host/x"])
def test_a_database_that_cannot_be_used_is_refused_without_its_password(tmp_path: Path, url: str) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(ConfigurationError) as caught:
        open_workspace(
            input_dir=tmp_path / "in",
            output_dir=tmp_path / "out",
            overrides={"write_exif_to_db": True},
            database_url=url,
        )
    assert "hemmelig-7" not in str(caught.value)
    assert [problem.source for problem in caught.value.problems] == ["database"]
