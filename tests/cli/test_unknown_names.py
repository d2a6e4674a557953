"""Misspelt names are mistakes of the configuration: exit code 2, a suggestion, and nothing touched."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Program, invoke


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model_type: Mediun", "unknown model 'Mediun' (did you mean Medium?)"),
        ("model_type: built-in", "unknown model 'built-in' (did you mean Built-in?)"),
        ("db_table: VEGBILDR", "no such table layout (did you mean VEGBILDER?); there are: PICTURES, VEGBILDER"),
        ("database: nonsuch", "no such stored connection"),
        ("blurr: 5", "blurr: unknown key (did you mean blur?)"),
        ("Blur: 5", "Blur: unknown key (did you mean blur?)"),
        ("blur: 5\nblur: 6", "the key 'blur' is given twice"),
    ],
)
def test_a_misspelt_name_is_refused_before_anything_is_touched(program: Program, setting: str, message: str) -> None:
    program.site.fill(1)
    config = program.site.root / "config.yml"
    config.write_text(f"{setting}\n", encoding="utf-8")
    for verb in ("run", "mask"):
        result = program(verb)
        assert result.exit_code == 2, result.output
        assert message in " ".join(result.output.split())
        assert not program.site.output.exists()
        assert not program.site.state.exists()
    shown = invoke("config", "show", "-k", str(config))
    assert shown.exit_code == 2
    assert message in " ".join(shown.output.split())


def test_a_misspelt_verb_is_named_with_the_one_that_is_meant(program: Program) -> None:
    result = invoke("chek")
    assert result.exit_code == 2
    assert "No such command 'chek'. Did you mean" in result.output
