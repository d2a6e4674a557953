"""`anonymise create-json` with the configuration files of the original's 2022 version, as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from anonymisation.metadata.forms.form_2022 import FORM_2022
from tests.captures import FOLDER, capture, names_below, properties
from tests.cli.conftest import Program, invoke
from tests.golden_2022 import Golden

OF_THE_RUN = {"versjon", "detekterte_objekter"}


@pytest.mark.parametrize(
    ("config", "below"),
    [
        ("config_planar_2022.yml", "TilSladding/2021"),
        ("config_planar_2022.yml", "TilSladding/{}"),
        ("config_360_2022.yml", "TilSladding/2022/360"),
    ],
)
def test_records_of_the_captures_are_right(golden: Golden, tmp_path: Path, config: str, below: str) -> None:
    below = below.format("99" if golden.drawn else "06")
    arguments = ("-i", str(golden.captures / below), "-o", str(tmp_path), "-k", str(golden.results / config))
    result = invoke("create-json", *arguments)
    wanted = {path: record for path, record in golden.expected().items() if path.startswith(f"{below}/")}
    assert wanted, result.output
    for path, record in wanted.items():
        found = json.loads((tmp_path / path.removeprefix(f"{below}/")).with_suffix(".json").read_bytes())
        assert tuple(found) == FORM_2022.keys
        assert {key: found[key] for key in record if key not in OF_THE_RUN} == {
            key: value for key, value in record.items() if key not in OF_THE_RUN
        }


def settings(**changes: Any) -> dict[str, Any]:
    return {"record_form": 2022, "data_eier": "Us", "table_name": "VEGBILDER_2022", **changes}


def test_no_record_is_written_that_the_table_refuses(program: Program) -> None:
    program.configure(**settings())
    program.site.fill(1)
    program.site.put("roadless.jpg", capture(2, xml=properties("a.jpg", 2).replace(b"<VCMeter>2</VCMeter>", b"")))
    out = program.site.root / "records"
    result = invoke("create-json", "-i", str(program.site.input), "-o", str(out), "-k", str(program.config))
    assert result.exit_code == 1
    assert "column Meter would be empty" in " ".join(result.stdout.split())
    assert names_below(out) == [f"{FOLDER}/p000.json"]
    record = json.loads((out / FOLDER / "p000.json").read_bytes())
    assert (record["exif_imagewidth"], record["exif_imageheight"], record["exif_dataeier"]) == ("144", "96", "Us")
