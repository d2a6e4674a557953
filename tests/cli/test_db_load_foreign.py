"""`anonymise db load` with records of the original's 2022 version: their spelling, the wide table, an archive."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from anonymisation.metadata.forms.form_2022 import FORM_2022
from tests.cli.conftest import invoke
from tests.cli.records import put_record, rows
from tests.cli.test_db_load import counts

pytestmark = pytest.mark.usefixtures("person")

WIDE = {
    "exif_dato": "2022-05-03", "exif_dataeier": "Us", "exif_imagetype": "Planar", "exif_fylke": "34",
    "exif_vegkat": "R", "exif_vegstat": "V", "exif_vegnr": "3", "exif_meter": "1237,5", "exif_feltkode": "2",
    "exif_speed_ms": "0,0", "exif_gpsposisjon": "srid=4326;POINT Z( 59,5 10,25 NaN )", "mappenavn": "Vegbilder",
}  # fmt: skip


def load(tmp_path: Path, *arguments: str, **settings: object) -> tuple[int, dict[str, int], str]:
    config = tmp_path / "config.yml"
    config.write_text(yaml.safe_dump({"record_form": 2022, "db_table": "VEGBILDER_2022", **settings}))
    folder, state = tmp_path / "records", tmp_path / "state"
    result = invoke("db", "load", "-i", str(folder), "-k", str(config), "--state", str(state), *arguments)
    return result.exit_code, counts(result) if "┃" in result.stdout else {}, result.output


def wide(folder: Path, name: str, number: int, **changes: object) -> Path:
    return put_record(folder, name, number, **{**dict.fromkeys(FORM_2022.keys), **WIDE, **changes})


def test_commas_backslashes_and_swapped_coordinates(tmp_path: Path) -> None:
    ids = {"bildeid": "a", "exif_tid": "2022-05-03T10:11:12", "exif_filnavn": "a.jpg"}
    path = wide(tmp_path / "records", "a.json", 1, **ids)
    path.write_text(path.read_text().replace('"Vegbilder"', r'"Vegbilder\2022"'))
    older = {
        key: value for key, value in WIDE.items() if key not in {"exif_dataeier", "exif_imagetype", "exif_speed_ms"}
    }
    put_record(tmp_path / "records", "b.json", 2, **older, exif_speed="12,5", versjon=None)
    code, found, said = load(tmp_path, flip_wkt=True, data_eier="Them", image_type="Dekke")
    assert (code, found["inserted"]) == (0, 2), said
    database = tmp_path / "state" / "pictures.gpkg"
    assert rows(database, "SELECT Dataeier || Bildetype || Meter || Hastighet FROM VEGBILDER ORDER BY ID") == [
        "ThemDekke1237.512.5", "UsPlanar1237.50.0",
    ]  # fmt: skip
    [text] = rows(database, "SELECT JsonData FROM VEGBILDER WHERE ID = 'a'")
    record = json.loads(text)
    assert (record["mappenavn"], record["exif_meter"]) == ("Vegbilder\\2022", "1237.5")
    assert record["exif_gpsposisjon"] == "srid=4326;POINT Z( 10.25 59.5 NaN )"


def test_records_named_like_previews_are_skipped_and_named(tmp_path: Path) -> None:
    ids = {"bildeid": "a", "exif_tid": "2022-05-03T10:11:12", "exif_filnavn": "a.jpg"}
    for number, name in enumerate(("a.json", "a_preview.json")):
        wide(tmp_path / "records", name, number, **ids)
    code, found, said = load(tmp_path)
    assert (code, found["inserted"], found["bad files"]) == (0, 1, 0), said
    assert "Skipped, since their names are those of previews:\n  a_preview.json" in said


def test_files_move_to_the_archive_when_their_rows_are_there(tmp_path: Path) -> None:
    records, archive = tmp_path / "records", tmp_path / "archive"
    archive.mkdir()
    for number, name in enumerate(("x/a.json", "x/b.json", "y/a.json", "y/twin.json")):
        ids = {"bildeid": f"{min(number, 2)}", "exif_tid": "2022-05-03T10:11:12", "exif_filnavn": f"{number}.jpg"}
        wide(records, name, number, **ids, **({"exif_vegkat": None} if name == "x/b.json" else {}))
    (records / "torn.json").write_text("{")
    code, found, said = load(tmp_path, "-a", str(archive))
    assert (code, found["inserted"], found["refused"], found["bad files"]) == (1, 2, 1, 1), said
    assert "2 record files moved" in said
    assert sorted(path.relative_to(archive).as_posix() for path in archive.rglob("*.json")) == [
        "x/a.json",
        "y/twin.json",
    ]
    assert sorted(path.relative_to(records).as_posix() for path in records.rglob("*.json")) == [
        "torn.json", "x/b.json", "y/a.json",
    ]  # fmt: skip
    wide(records, "x/a.json", 0, bildeid="0", exif_filnavn="0.jpg", exif_tid="2022-05-03T10:11:13")
    assert "is another file; it is not overwritten" in load(tmp_path, "--jsonarkiv-folder", str(archive))[2]
    assert (records / "x/a.json").exists()


def test_nothing_moves_while_rows_wait(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    path = wide(tmp_path / "records", "a.json", 1, bildeid="a", exif_filnavn="a.jpg", exif_tid="2022-05-03T10:11:12")
    away = f"sqlite:///{tmp_path}/gone/a.gpkg"
    code, found, _ = load(tmp_path, "-a", str(tmp_path / "archive"), "--connection", away)
    assert (code, found["waiting"], path.exists()) == (3, 1, True)


@pytest.mark.parametrize("place", ["records", "records/inside", ".", "missing"])
def test_an_archive_that_cannot_be_one_is_refused(tmp_path: Path, place: str) -> None:
    path = wide(tmp_path / "records", "inside/a.json", 1)
    code, _, said = load(tmp_path, "-a", str(tmp_path / place))
    assert (code, path.exists()) == (2, True), said
