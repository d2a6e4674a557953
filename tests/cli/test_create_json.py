"""`anonymise create-json`: records without masking."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from anonymisation.metadata.record import RECORD_KEYS
from tests.captures import FOLDER, capture, names_below, plain
from tests.cli.conftest import Program, invoke


def test_records_are_written_beside_the_pictures(program: Program) -> None:
    program.site.fill(2)
    program.site.put("phone.jpeg", plain(3), "F2_m100")
    result = invoke("create-json", "-i", str(program.site.input), "-k", str(program.config))
    assert result.exit_code == 0, result.output
    assert "3 records written, 0 failed" in result.stdout
    record = json.loads((program.site.input / FOLDER / "p000.json").read_bytes())
    assert tuple(record) == RECORD_KEYS
    assert record["detekterte_objekter"] is None
    assert (program.site.input / "F2_m100" / "phone.json").exists()


def test_files_that_are_not_read_are_named(program: Program) -> None:
    program.site.fill(1)
    program.site.put("film.mp4", b"", "videos")
    result = invoke("create-json", "-i", str(program.site.input))
    assert result.exit_code == 0, result.output
    assert "1 records written, 0 failed" in result.stdout
    assert "1 file that is not read (only .jpg and .jpeg are):" in result.stdout
    assert "videos: 1 file: film.mp4" in result.stdout


def test_records_go_to_another_folder(program: Program) -> None:
    program.site.fill(1)
    before = names_below(program.site.input)
    out = program.site.root / "records"
    assert invoke("create-json", "-i", str(program.site.input), "-o", str(out)).exit_code == 0
    assert names_below(out) == [f"{FOLDER}/p000.json"]
    assert names_below(program.site.input) == before


def test_failures_are_listed_with_their_reason(program: Program) -> None:
    program.site.fill(1)
    program.site.put("text.jpg", b"not a picture")
    program.site.put("p000.JPEG", capture(1))
    program.site.put("trick.jpg", capture(1, xml=b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"))
    result = invoke("create-json", "-i", str(program.site.input), "-l", str(program.site.root / "logs"))
    assert result.exit_code == 1
    assert "3 failed" in result.stdout
    for name in ("text.jpg", "trick.jpg", "p000.jpg"):
        assert f"  {FOLDER}/{name}: " in result.stdout
    (log,) = (program.site.root / "logs").iterdir()
    assert "text.jpg" in log.read_text()


def test_links_are_failures_and_get_no_record(program: Program) -> None:
    program.site.fill(2)
    outside = program.site.root / "outside.jpg"
    outside.write_bytes(capture(5))
    (program.site.input / FOLDER / "a.jpg").symlink_to(outside)
    (program.site.input / FOLDER / "p001.json").symlink_to(outside)
    result = invoke("create-json", "-i", str(program.site.input))
    assert result.exit_code == 1
    assert "1 records written, 2 failed" in result.stdout
    assert f"{FOLDER}/a.jpg: is a link and is not followed" in result.stdout
    assert f"{FOLDER}/p001.json: is a link and is not followed" in result.stdout
    assert outside.read_bytes() == capture(5)


def test_a_record_of_the_mask_step_is_kept(program: Program) -> None:
    program.configure(remote_json=True)
    program.site.fill(1)
    program("mask")
    path = program.site.output / FOLDER / "p000.json"
    before = path.read_bytes()
    arguments = ("create-json", "-i", str(program.site.input), "-o", str(program.site.output))
    assert "1 kept" in invoke(*arguments).stdout
    assert path.read_bytes() == before
    assert "1 records written" in invoke(*arguments, "--overwrite").stdout
    assert json.loads(path.read_bytes())["detekterte_objekter"] is None


def test_a_missing_input_folder_is_the_environments_fault(program: Program) -> None:
    result = invoke("create-json", "-i", str(program.site.root / "no"), "-k", str(program.config))
    assert result.exit_code == 3


def test_records_of_captures_are_those_of_the_original(references: Path, tmp_path: Path) -> None:
    result = invoke("create-json", "-i", str(references / "captures"), "-o", str(tmp_path))
    assert result.exit_code == 0, result.output
    expected = json.loads((references / "reference" / "expected_metadata.json").read_bytes())
    assert names_below(tmp_path) == sorted(str(Path(name).with_suffix(".json")) for name in expected)
    for name, wanted in expected.items():
        record = json.loads((tmp_path / name).with_suffix(".json").read_bytes())
        from_file_times = {"exif_tid", "exif_dato", "bildeid"} if wanted["exif_kvalitet"] == "0" else set()
        for key in set(RECORD_KEYS) - {"versjon", "detekterte_objekter"} - from_file_times:
            assert _comparable(key, record[key]) == _comparable(key, wanted[key]), (name, key)


def _comparable(key: str, value: Any) -> Any:
    """XML is compared as XML."""
    if key in {"exif_imageproperties", "exif_reflinkinfo"} and value is not None:
        root = ElementTree.fromstring(value)
        return [(e.tag, (e.text or "").strip(), sorted(e.attrib.items())) for e in root.iter()]
    return value
