"""`anonymise config show` and the flag that every verb takes."""

from __future__ import annotations

import json
from pathlib import Path

from anonymisation.core.settings import Settings
from tests.cli.conftest import invoke


def test_every_setting_is_shown_with_its_source(tmp_path: Path) -> None:
    custom = tmp_path / "mine.yml"
    custom.write_text("blur: 20\nemail_attach_log: true\n")
    content = json.loads(invoke("config", "show", "-k", str(custom), "--json").stdout)
    assert set(content["settings"]) == set(Settings.model_fields)
    assert content["settings"]["blur"] == {"value": 20.0, "source": str(custom)}
    assert content["settings"]["email_attach_log_file"] == {"value": True, "source": str(custom)}
    assert content["settings"]["gray_blur"] == {"value": True, "source": "default"}
    assert content["version"].startswith("P0.1_K")


def test_the_table_shows_it_too(tmp_path: Path) -> None:
    custom = tmp_path / "mine.yml"
    custom.write_text("mask_color: [1, 2, 3]\n")
    shown = invoke("config", "show", "-k", str(custom)).stdout
    (line,) = [line for line in shown.splitlines() if "mask_color" in line]
    assert "[1, 2, 3]" in line
    assert str(custom) in line


def test_passwords_are_hidden(tmp_path: Path) -> None:
    custom = tmp_path / "mine.yml"
    custom.write_text("database: postgresql://reader:hemmelig-7@db.example/pictures\n")
    for flags in ([], ["--json"]):
        shown = invoke("config", "show", "-k", str(custom), *flags).stdout
        assert "hemmelig-7" not in shown
        assert "postgresql://reader:***@db.example/pictures" in shown


def test_a_bad_configuration_ends_with_2(tmp_path: Path) -> None:
    custom = tmp_path / "mine.yml"
    custom.write_text("blur: [\n")
    result = invoke("config", "show", "-k", str(custom))
    assert result.exit_code == 2
    assert str(custom) in result.stderr
    assert invoke("config", "show", "-k", str(tmp_path / "none.yml")).exit_code == 2


def test_models_take_the_log_flag_too(tmp_path: Path) -> None:
    result = invoke("models", "list", "-l", str(tmp_path / "logs"))
    assert result.exit_code == 0
    assert "Built-in" in result.stdout
    assert len(list((tmp_path / "logs").iterdir())) == 1
