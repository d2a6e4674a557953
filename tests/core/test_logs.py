"""Logging: the file, the level, and credentials."""

from __future__ import annotations

import io
import logging
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from anonymisation.core.errors import ShareUnavailableError
from anonymisation.core.logs import FILE_ONLY, log_file_name, logging_to
from anonymisation.core.settings import Settings, load_settings

NOW = datetime(2026, 1, 2, 3, 4, 5)
SECRET = "hemmelig-7"


def settings_with(**changes: Any) -> Settings:
    return load_settings(overrides=changes).settings


def console(*, terminal: bool = False) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, force_terminal=terminal, width=200), stream


def test_the_log_file_is_named_as_configured() -> None:
    assert log_file_name(settings_with(), NOW, "vm1") == "2026-01-02 03.04.05_vm1.log"
    settings = settings_with(datetime_format="%d.%m.%y", log_file_name="run {hostname} at {datetime}.txt")
    assert log_file_name(settings, NOW, "vm1") == "run vm1 at 02.01.26.txt"


def test_characters_that_file_names_cannot_hold_are_replaced() -> None:
    settings = settings_with(datetime_format="%Y/%m/%d %H:%M", log_file_name="../{hostname}<|>{datetime}?.log")
    assert log_file_name(settings, NOW, "a\\b\0c") == "..-a-b-c---2026-01-02 03-04-.log"


@pytest.mark.parametrize(("level", "lines"), [("DEBUG", 4), ("INFO", 3), ("WARNING", 2), ("ERROR", 1)])
def test_the_level_decides_what_is_logged(tmp_path: Path, level: str, lines: int) -> None:
    terminal, stream = console()
    log = logging.getLogger("anonymisation.some.module")
    with logging_to(settings_with(log_level=level), terminal, tmp_path / "new" / "folder") as logged:
        for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            log.log(number, "a line")
        logging.getLogger("somebody.else").info("chatter")
    assert logged.file is not None
    assert len(logged.file.read_text().splitlines()) == lines
    assert len(stream.getvalue().splitlines()) == lines


def test_libraries_are_logged_from_warning_on(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.DEBUG)
    try:
        with logging_to(settings_with(), console()[0], tmp_path) as logged:
            logging.getLogger("somebody.else").info("chatter")
        assert root.level == logging.DEBUG
    finally:
        root.setLevel(before)
    assert logged.file is not None
    assert "chatter" not in logged.file.read_text()


def test_messages_for_the_file_only_are_not_on_the_terminal(tmp_path: Path) -> None:
    terminal, stream = console()
    with logging_to(settings_with(), terminal, tmp_path) as logged:
        logging.getLogger("anonymisation.x").info("summary", extra=FILE_ONLY)
    assert logged.file is not None
    assert "summary" in logged.file.read_text()
    assert stream.getvalue() == ""


@pytest.mark.parametrize("terminal", [False, True])
def test_credentials_are_in_no_message_and_no_traceback(tmp_path: Path, *, terminal: bool) -> None:
    screen, stream = console(terminal=terminal)
    with logging_to(settings_with(), screen, tmp_path, secrets=("open-sesame",)) as logged:
        log = logging.getLogger("anonymisation.x")
        log.info("connecting to %s", f"postgresql://u:{SECRET}@host/db")
        try:
            raise RuntimeError(f"postgresql://u:{SECRET}@host/db, open-sesame")
        except RuntimeError:
            log.exception("failed")
    assert logged.file is not None
    for text in (logged.file.read_text(), stream.getvalue()):
        assert "Traceback" in text
        assert SECRET not in text
        assert "open-sesame" not in text


def test_no_name_can_forge_a_log_line(tmp_path: Path) -> None:
    screen, _ = console()
    with logging_to(settings_with(), screen, tmp_path) as logged:
        logging.getLogger("anonymisation.x").info("%s: done", "a\n2026-01-02 ERROR forged\x1b[2J\udcff")
    assert logged.file is not None
    first, second = logged.file.read_text().splitlines()
    assert first.endswith("INFO     a")
    assert second == r"    2026-01-02 ERROR forged\x1b[2J\udcff: done"


def test_names_with_brackets_are_shown_as_they_are(tmp_path: Path) -> None:
    screen, stream = console(terminal=True)
    with logging_to(settings_with(), screen):
        logging.getLogger("anonymisation.x").info("[bold]x[/bold] :smile:")
    assert "[bold]x[/bold] :smile:" in stream.getvalue()


def test_the_file_is_named_by_its_whole_path_as_a_mail_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with logging_to(settings_with(), console()[0], Path("logs")) as logged:
        assert logged.file is not None
        assert logged.file.parent == tmp_path / "logs"


def test_a_log_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    screen, _ = console()
    with pytest.raises(ShareUnavailableError, match="log file"), logging_to(settings_with(), screen, tmp_path / "file"):
        pass
    assert logging.getLogger("anonymisation").level == logging.NOTSET


@pytest.mark.timeout(60)
def test_a_log_is_not_written_into_a_pipe_that_no_one_reads(tmp_path: Path) -> None:
    settings = settings_with(log_file_name="a.log")
    os.mkfifo(tmp_path / "a.log")
    with (
        pytest.raises(ShareUnavailableError, match=r"a\.log cannot be written: is not a file"),
        logging_to(settings, console()[0], tmp_path),
    ):
        pass
