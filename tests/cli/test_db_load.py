"""`anonymise db load`: record files into the embedded database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result

from tests.captures import capture
from tests.cli.conftest import Program, invoke
from tests.cli.records import db, put_record, rows

pytestmark = pytest.mark.usefixtures("person")


def counts(result: Result) -> dict[str, int]:
    """The table of a load."""
    lines = [line.strip("│┃ ") for line in result.stdout.splitlines() if "┃" in line or "│" in line]
    names, values = ([cell.strip() for cell in lines[index].split(mark)] for index, mark in enumerate("┃│"))
    return dict(zip(names, map(int, values), strict=True))


def test_the_captures(database: Path, references: Path, tmp_path: Path) -> None:
    records = json.loads((references / "reference/expected_metadata.json").read_text("utf-8"))
    for picture, record in records.items():
        path = (tmp_path / "out" / picture).with_suffix(".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record), "utf-8")
    distinct = len({record["bildeid"] for record in records.values()})
    assert distinct == len(records) - 2
    for load in ((distinct, 2), (0, len(records))):
        result = db("load", "-i", str(tmp_path / "out"))
        assert result.exit_code == 0
        assert (counts(result)["inserted"], counts(result)["updated"]) == load
        told = [line for line in result.stdout.splitlines() if "the row is of" in line]
        assert len(told) == 2
        assert all("_Fv" in line.partition("not of")[0] for line in told)
        assert all("_Ev" in line.partition("not of")[2] for line in told)
    assert len(rows(database)) == distinct


def test_pictures_are_named_as_the_chain_names_them(program: Program) -> None:
    program.configure(remote_json=True, write_exif_to_db=True)
    program.site.fill(2)
    program.site.put("SHOUTED.JPEG", capture(7))
    assert program("run").exit_code == 0
    state = program.site.output.with_name(program.site.output.name + "_state")
    result = invoke(
        "db", "load", "-i", str(program.site.output), "-k", str(program.config),
        "--connection", f"sqlite:///{state}/pictures.gpkg",
    )  # fmt: skip
    assert result.exit_code == 0
    assert counts(result) == {"inserted": 0, "updated": 3, "refused": 0, "waiting": 0, "bad files": 0}
    assert "one ID" not in result.stdout


def test_the_extension_comes_from_the_picture_beside_or_from_the_record(database: Path, tmp_path: Path) -> None:
    folder = tmp_path / "records"
    put_record(folder, "b/p1.json", exif_filnavn="other.JPEG")
    put_record(folder, "c/p1.json")
    (folder / "c/p1.JPG").write_bytes(b"")
    put_record(folder, "a/p1.json", exif_filnavn="no name of a picture")
    told = db("load", "-i", str(folder)).stdout
    assert "the row is of c/p1.JPG, not of b/p1.JPEG" in told
    assert "the row is of c/p1.JPG, not of a/p1.jpg" in told


def test_bad_files_are_named_and_stop_nothing(database: Path, tmp_path: Path) -> None:
    folder = tmp_path / "records"
    put_record(folder, "a/p1.json")
    put_record(folder, "z/p2.json", 2)
    put_record(folder, "z/p3.json", 3, exif_tid=None)
    put_record(folder, ".hidden/p4.json", 4)
    for name, text in (("torn.json", '{"bildeid": '), ("list.json", "[]"), ("other.json", "{}"), ("notes.txt", "x")):
        (folder / name).write_text(text)
    log = tmp_path / "log"
    result = db("load", "-i", str(folder), "-l", str(log))
    assert result.exit_code == 1
    assert counts(result) == {"inserted": 2, "updated": 0, "refused": 1, "waiting": 0, "bad files": 3}
    for line in ("  torn.json: the record cannot be read", "  other.json: has no bildeid", "  z/p3.jpg: NOT NULL"):
        assert line in result.stdout
    assert rows(database) == ["p1.jpg", "p2.jpg"]
    [written] = log.iterdir()
    assert "torn.json" in written.read_text()


def test_records_without_bildeid_load_as_in_the_original_program(database: Path, cases: Path, tmp_path: Path) -> None:
    folder = tmp_path / "records"
    older = json.loads((cases / "records/older_without_bildeid.json").read_text("utf-8"))
    stem = older["exif_filnavn"].replace("_f1", "").removesuffix(".jpg")
    for name, changes in (("a/older.json", {}), ("b/null.json", {"bildeid": None, "exif_tid": "2018:06:22 11:01:00"})):
        path = folder / name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(older | changes), "utf-8")
    for inserted in (2, 0):
        result = db("load", "-i", str(folder))
        assert (result.exit_code, counts(result)["bad files"], counts(result)["inserted"]) == (0, 0, inserted)
    assert rows(database, "SELECT ID FROM PICTURES ORDER BY 1") == [
        f"2018-06-21T11.01.00.239411_{stem}",
        f"2018-06-22T11.01.00.000000_{stem}",
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exif_tid": None}, "has no bildeid, and no exif_tid from which older records get theirs; it is not"),
        ({"exif_tid": "yesterday"}, "has no bildeid, and its exif_tid 'yesterday' is no time"),
        ({"bildeid": 17}, "its bildeid is 17, expected text; it is not the record of a picture"),
    ],
)
def test_a_record_without_an_id_is_a_bad_file_with_its_reason(
    changes: dict[str, object], reason: str, database: Path, tmp_path: Path
) -> None:
    path = put_record(tmp_path / "records", "p1.json")
    record = {key: value for key, value in json.loads(path.read_text()).items() if key != "bildeid"} | changes
    path.write_text(json.dumps(record))
    result = db("load", "-i", str(path.parent))
    assert (result.exit_code, counts(result)["bad files"]) == (1, 1)
    assert f"p1.json: {reason}" in " ".join(result.stdout.split())


def test_rows_wait_for_a_database_that_is_away_and_go_in_later(database: Path, tmp_path: Path) -> None:
    put_record(tmp_path / "records", "p1.json")
    database.mkdir()  # a folder in its place cannot be opened
    away = db("load", "-i", str(tmp_path / "records"))
    assert away.exit_code == 3
    assert counts(away)["waiting"] == 1
    assert f"1 rows wait in {tmp_path / 'records_state'}" in away.stderr
    status = db("status", "--state", str(tmp_path / "records_state"), "--json")
    assert status.exit_code == 3
    facts = json.loads(status.stdout)
    assert (facts["reachable"], facts["waiting"]) == (False, 1)
    database.rmdir()
    (tmp_path / "records/p1.json").unlink()
    back = db("load", "-i", str(tmp_path / "records"))
    assert back.exit_code == 0
    assert "1 rows that waited from earlier loads were loaded as well" in back.stdout
    assert "no record files (.json) below" in back.stdout
    assert rows(database) == ["p1.jpg"]


def test_too_many_refused_rows_stop_the_load_and_are_told(database: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    config.write_text("db_max_n_errors: 1\ndb_max_n_accumulated_rows: 1\n")
    for number in range(5):
        put_record(tmp_path / "records", f"p{number}.json", number, exif_tid=None)
    result = db("load", "-i", str(tmp_path / "records"), "-k", str(config))
    assert result.exit_code == 1
    assert counts(result)["refused"] == 2
    assert "2 rows were refused (db_max_n_errors 1)" in result.stderr


def test_the_state_folder_s_own_database_needs_no_connection(tmp_path: Path) -> None:
    put_record(tmp_path / "records", "p1.json")
    result = invoke("db", "load", "-i", str(tmp_path / "records"), "--state", str(tmp_path / "state"))
    assert result.exit_code == 0
    assert rows(tmp_path / "state/pictures.gpkg") == ["p1.jpg"]
