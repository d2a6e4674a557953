"""What ends a command, in which words and with which code; nothing ends in a bare traceback."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from anonymisation.cli import check as check_module
from anonymisation.workspace.folder_state import open_state
from tests.captures import FOLDER, capture, names_below
from tests.cli.conftest import Program, as_in_a_terminal, invoke
from tests.conftest import REPOSITORY

SECRET = "hemmelig-7"


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """The real program in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "anonymisation", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=as_in_a_terminal,
    )


def test_a_missing_flag_is_a_usage_error(run_verb: Callable[..., Result]) -> None:
    result = run_verb("run", "-i", "x")
    assert result.exit_code == 2
    assert "--output-folder" in result.stderr


def test_all_configuration_problems_come_at_once_and_nothing_is_touched(program: Program) -> None:
    program.site.fill(1)
    program.configure(archive_json=True, blurr=3, mask_dilation_pixels="wide", delete_input=True)
    before = names_below(program.site.root)
    result = program("run", "-l", str(program.site.root / "logs"))
    assert result.exit_code == 2
    assert names_below(program.site.root) == before
    assert not program.site.output.exists()
    for key in ("archive_json", "blurr", "mask_dilation_pixels", "delete_input"):
        assert re.search(rf"^  - .*: {key}: ", result.stderr, re.MULTILINE), result.stderr
    assert str(program.config) in result.stderr


def test_nested_folders_are_refused(program: Program, run_verb: Callable[..., Result]) -> None:
    result = run_verb("run", "-i", str(program.site.input), "-o", str(program.site.input / "out"))
    assert result.exit_code == 2
    assert "must not be equal or nested" in result.stderr


def test_a_missing_input_folder_is_the_environments_fault(program: Program) -> None:
    program.site.input.rmdir()
    result = program("run")
    assert result.exit_code == 3
    assert str(program.site.input) in result.stderr


VERBS = ("run", "mask", "check", "release", "load")


@pytest.mark.parametrize("verb", VERBS)
def test_a_mistyped_input_folder_is_not_waited_for(program: Program, verb: str) -> None:
    program.site.input.rmdir()
    result = program(verb)
    assert result.exit_code == 3
    assert f"its parent folder {program.site.root} does" in " ".join(result.stderr.split())
    assert "waiting up to" not in result.stderr
    assert not program.site.output.exists()


def test_other_verbs_do_not_wait_for_a_mistyped_folder_either(
    program: Program, run_verb: Callable[..., Result]
) -> None:
    missing = str(program.site.root / "typo")
    program.site.output.mkdir()
    calls = (
        ("create-json", "-i", missing, "-k", str(program.config)),
        ("check-folders", "-i", missing, "-o", str(program.site.output), "-k", str(program.config)),
        ("check-folders", "-i", str(program.site.input), "-o", missing, "-k", str(program.config)),
        ("run", "--dry-run", "-i", missing, "-o", str(program.site.output), "-k", str(program.config)),
    )
    for call in calls:
        result = run_verb(*call)
        assert result.exit_code == 3, call
        assert "waiting up to" not in result.stderr, call


@pytest.mark.parametrize(
    "verb",
    [
        "certificate draw", "certificate list", "compare -s blur=3",
        "review export result.json", "protection-report result.html --since 2021-05-01 --until 2021-05-31",
    ],
)  # fmt: skip
def test_a_mistyped_output_folder_is_not_made_by_verbs_that_only_look(program: Program, verb: str) -> None:
    before = names_below(program.site.root)
    result = invoke(*verb.split(), *program.flags())
    assert result.exit_code == 2, result.output
    assert "nothing was masked there" in " ".join(result.stderr.split())
    assert names_below(program.site.root) == before
    assert not program.site.output.exists()


def test_an_input_folder_whose_parent_is_away_is_waited_for(program: Program, run_verb: Callable[..., Result]) -> None:
    missing = str(program.site.root / "mnt" / "captures")
    result = run_verb("run", "-i", missing, "-o", str(program.site.output), "-k", str(program.config))
    assert result.exit_code == 3
    assert "waiting up to 0.2 s" in " ".join(result.stderr.split())


def test_an_unmounted_archive_is_the_environments_fault(program: Program) -> None:
    program.site.fill(1)
    program.configure(delete_input=True, remote_json=True)
    assert program("run", archive=True).exit_code == 0
    program.site.fill(1, first=5)
    program.site.archive.rename(program.site.root / "away")
    for verb in ("run", "archive", "release", "check"):
        result = program(verb, archive=True)
        assert result.exit_code == 3, verb
        assert "is its share mounted?" in " ".join(result.stderr.split())
    assert not program.site.archive.exists()
    assert names_below(program.site.input) == [f"{FOLDER}/p005.jpg"]


def test_a_missing_model_is_the_environments_fault(program: Program) -> None:
    program.site.fill(1)
    program.configure(model_type=str(program.site.root / "no model"))
    result = program("run")
    assert result.exit_code == 3
    assert "no model" in result.stderr


def test_a_folder_in_use_is_the_environments_fault_and_stops_no_other(program: Program) -> None:
    program.site.fill(1)
    program.site.fill(1, "other")
    program.site.state.mkdir()
    with open_state(program.site.state, FOLDER):
        result = program("run")
    assert result.exit_code == 3
    assert f"{FOLDER}: " in result.stdout
    assert names_below(program.site.output) == ["other/p000.jpg"]


def test_a_log_folder_that_cannot_be_made_is_told(program: Program) -> None:
    (program.site.root / "file").write_text("")
    result = program("run", "-l", str(program.site.root / "file" / "logs"))
    assert result.exit_code == 3
    assert "log file" in result.stderr


def test_an_unforeseen_error_is_one_line_and_its_traceback_goes_to_the_log(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError(f"oops, postgresql://user:{SECRET}@host/db")

    monkeypatch.setattr(check_module, "run_step", broken)
    result = program("check", "-l", str(program.site.root / "logs"))
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert "Unexpected error, KeyError" in result.stderr
    (log,) = (program.site.root / "logs").iterdir()
    assert "Traceback" in log.read_text()
    assert SECRET not in log.read_text() + result.output


def test_without_a_log_the_traceback_is_kept_all_the_same(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(check_module, "run_step", broken)
    monkeypatch.setattr("tempfile.tempdir", str(program.site.root))
    result = program("check")
    found = re.search(r"traceback in (\S+)\)", result.stderr)
    assert found is not None
    assert 'raise KeyError("oops")' in Path(found.group(1)).read_text()


def test_handlers_do_not_outlive_a_command(program: Program) -> None:
    before = list(logging.getLogger().handlers)
    program("check")
    assert logging.getLogger().handlers == before


def test_help_is_quick_to_import() -> None:
    script = (
        "import sys; from click.testing import CliRunner; from anonymisation.cli import cli\n"
        "assert CliRunner().invoke(cli, ['--help']).exit_code == 0\n"
        "heavy = {'tensorflow', 'cv2', 'sqlalchemy', 'numpy', 'pydantic', 'rich.progress'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_list_of_verbs_leads_to_real_verbs(run_verb: Callable[..., Result]) -> None:
    listed = run_verb("--help").stdout.partition("Commands:")[2]
    verbs = re.findall(r"^  (\S+)", listed, re.MULTILINE)
    assert verbs == [
        "run", "mask", "archive", "load", "check", "release", "retention", "create-json", "create-previews",
        "check-folders", "db", "models", "evaluate", "compare", "certificate", "review", "protection-report", "config",
    ]  # fmt: skip
    for verb in verbs:
        assert run_verb(verb, "--help").exit_code == 0


def test_the_version_is_told(run_verb: Callable[..., Result]) -> None:
    assert re.fullmatch(r"anonymise, version \d+\.\d+\.\d+\n", run_verb("--version").stdout)


def test_the_program_itself_runs_and_keeps_stderr_clean(program: Program) -> None:
    program.site.fill(1)
    program.site.put("torn.jpg", capture(3)[:500])
    program.configure(log_level="ERROR")
    process = start("run", *program.flags())
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert "masked           1" in out
    assert all("torn.jpg" in line for line in err.splitlines()), err  # neither TensorFlow's greetings nor tracebacks


def test_ctrl_c_ends_with_130_and_the_next_run_goes_on(program: Program) -> None:
    program.site.fill(40)
    process = start("run", *program.flags(), "-l", str(program.site.root / "logs"))
    while not any(program.site.output.rglob("*.jpg")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Interrupted. Nothing is lost" in err
    assert "Traceback" not in err
    done = len(names_below(program.site.output))
    assert done < 40
    result = program("run")
    assert result.exit_code == 0, result.output
    assert len(names_below(program.site.output)) == 40
    assert re.search(rf"^skipped as done\s+{done}$", result.stdout, re.MULTILINE)


def test_names_that_are_no_utf8_do_not_break_the_output(program: Program) -> None:
    """Alone in its folder, so that no model is loaded."""
    folder = program.site.input / FOLDER
    folder.mkdir(parents=True)
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.jpg")).write_bytes(capture(1))
    process = start("run", *program.flags(), PYTHONIOENCODING="ascii")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert "not valid UTF-8" in out
