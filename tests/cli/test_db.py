"""`anonymise db` on the embedded database, as a person uses it."""

from __future__ import annotations

import json
import os
import pty
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.fernet import Fernet

from anonymisation.cli import cli
from anonymisation.database.connections import ConnectionStore
from tests.cli.conftest import Program, invoke
from tests.cli.records import db, put_record, rows
from tests.conftest import REPOSITORY

PASSWORD = "hemmelig-7 æ"
pytestmark = pytest.mark.usefixtures("person")


def at_terminal(*arguments: str, typed: tuple[str, ...]) -> tuple[int, str]:
    """The exit code, and everything the terminal showed, of a program at which a person types these lines."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "anonymisation", *arguments]
    process = subprocess.Popen(
        command, stdin=follower, stdout=follower, stderr=follower, cwd=REPOSITORY, start_new_session=True
    )
    os.close(follower)
    shown, lines = b"", list(typed)
    try:
        while True:
            shown += os.read(leader, 4096)
            if lines and shown.endswith(b": "):
                os.write(leader, f"{lines.pop(0)}\n".encode())
                shown += b"\n"
    except OSError:  # the program has ended and closed its side
        pass
    finally:
        os.close(leader)
    return process.wait(60), shown.decode()


def test_the_wallet_s_password_is_asked_for_and_stored_encrypted(person: Path) -> None:
    flags = ("--user", "loader", "--dsn", "tcps://h1,h2:2484/x", "--table-name", "PICTURES", "--name", "tls")
    wallet = ("--wallet-location", "/etc/wallet", "--oracle-client-lib-dir", "/opt/oracle", "--tns-admin", "/etc/tns")
    stored = CliRunner().invoke(
        cli, ["db", "configure", *flags, *wallet, "--password-stdin"], input=f"{PASSWORD}\nhemmelig-8\n"
    )
    assert stored.exit_code == 0, stored.output
    text = (person / "tls.json").read_text("utf-8")
    assert "hemmelig-8" not in text + stored.output
    url = ConnectionStore().unlock("tls")
    assert dict(url.query) == {
        "wallet_location": "/etc/wallet", "wallet_password": "hemmelig-8", "config_dir": "/etc/tns",
        "thick_mode": "true", "thick_mode_lib_dir": "/opt/oracle", "thick_mode_config_dir": "/etc/tns",
    }  # fmt: skip


def test_options_of_oracle_are_not_for_other_databases(tmp_path: Path) -> None:
    flags = ("--dsn", f"sqlite:///{tmp_path}/x.gpkg", "--table-name", "PICTURES", "--wallet-location", "/etc/wallet")
    refused = CliRunner().invoke(cli, ["db", "configure", *flags])
    assert (refused.exit_code, "are for Oracle only" in refused.output) == (2, True)


# --- configure -------------------------------------------------------------------------------------------------------


def test_the_password_is_asked_for_twice_and_does_not_show(person: Path) -> None:
    flags = ("--user", "loader", "--dsn", "db.example:1521/XEPDB1", "--table_name", "VEGBILDER")
    code, shown = at_terminal("db", "configure", *flags, typed=(PASSWORD, PASSWORD))
    assert code == 0
    assert shown.count("Password of loader") == 1
    assert "Repeat for confirmation" in shown
    assert PASSWORD not in shown
    assert f"stored {person / 'VEGBILDER.json'}" in shown.replace("\r\n", "")
    assert ConnectionStore().unlock("VEGBILDER").password == PASSWORD


def test_a_password_on_the_command_line_is_refused_with_the_reason(person: Path) -> None:
    flags = ("--user", "loader", "--dsn", "db.example:1521/X", "--table-name", "VEGBILDER")
    for password in (("--password", PASSWORD), (f"--password={PASSWORD}",)):
        result = invoke("db", "configure", *flags, *password)
        assert result.exit_code == 2
        assert "everyone on this machine can read the arguments of a command" in " ".join(result.stderr.split())
        assert PASSWORD not in result.output
    assert not person.exists()


def test_the_password_comes_from_a_pipe_or_the_environment(person: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = ["--user", "loader", "--dsn", "db.example:1521/X", "--table-name", "VEGBILDER"]
    command = ["db", "configure", *flags, "--password-stdin"]
    assert CliRunner().invoke(cli, command, input=f"{PASSWORD}\r\n").exit_code == 0
    assert ConnectionStore().unlock("VEGBILDER").password == PASSWORD
    assert CliRunner().invoke(cli, command, input="").exit_code == 2
    monkeypatch.setenv("ANONYMISATION_DB_PASSWORD", "another-9")
    result = invoke("db", "configure", *flags)
    assert result.stdout.startswith("replaced ")
    assert ConnectionStore().unlock("VEGBILDER").password == "another-9"
    assert "another-9" not in result.output


def test_without_a_terminal_it_is_said_where_a_password_can_come_from() -> None:
    flags = ("--user", "loader", "--dsn", "db.example:1521/X", "--table-name", "VEGBILDER")
    done = subprocess.run(
        [sys.executable, "-m", "anonymisation", "db", "configure", *flags],
        cwd=REPOSITORY, stdin=subprocess.DEVNULL, capture_output=True, text=True, start_new_session=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "no terminal to ask for the password" in done.stderr


def test_without_a_key_nothing_is_asked_and_the_way_is_shown(person: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORACLE_KEY")
    command = ["db", "configure", "--user", "x", "--dsn", "h/x", "--table-name", "VEGBILDER", "--password-stdin"]
    result = CliRunner().invoke(cli, command, input=PASSWORD)
    assert result.exit_code == 2
    assert "anonymise db make-key" in result.stderr
    assert result.stderr.count("there is no key") == 1
    Fernet(invoke("db", "make-key").stdout.strip())


def test_a_layout_that_is_not_there_is_refused_at_once(person: Path) -> None:
    result = invoke("db", "configure", "--dsn", "sqlite:////x.gpkg", "--table-name", "NOWHERE")
    assert result.exit_code == 2
    assert "no such table layout; there are: PICTURES, VEGBILDER" in result.stderr
    assert not person.exists()


def test_a_password_in_the_url_of_a_connection_is_refused() -> None:
    result = invoke("db", "status", "--connection", f"postgresql://loader:{PASSWORD}@127.0.0.1:1/x")
    assert result.exit_code == 2
    assert "does not belong on the command line" in result.stderr
    assert PASSWORD not in result.output


def test_some_database_must_be_named() -> None:
    for verb in (("status",), ("create-table",), ("execute-sql", "--sql", "select 1")):
        told = " ".join(invoke("db", *verb).stderr.split())
        assert "name the database with --connection" in told
        assert "--state <output>_state for the default pictures.gpkg" in told
    assert "no such stored connection" in invoke("db", "status", "--connection", "nowhere").stderr


def test_every_verb_finds_the_database_of_a_state_folder(tmp_path: Path) -> None:
    there = ("--state", str(tmp_path))
    assert invoke("db", "create-table", *there).exit_code == 0
    told = invoke("db", "execute-sql", "--sql", "select count(*) as number from PICTURES", "--json", *there)
    assert json.loads(told.stdout)[0]["rows"] == [[0]]


# --- create-table, insert-geom-metadata ------------------------------------------------------------------------------


def test_a_table_is_created_once_and_dropped_only_when_agreed(database: Path, tmp_path: Path) -> None:
    assert db("create-table").exit_code == 0
    again = db("create-table")
    assert again.exit_code == 2
    assert "is there already, with 0 rows; --drop removes it first" in again.stderr
    put_record(tmp_path / "records", "p1.json")
    assert db("load", "-i", str(tmp_path / "records")).exit_code == 0
    refused = db("create-table", "--drop", answer="n\n")
    assert refused.exit_code == 1
    assert "with 1 row, and create it again?" in refused.stderr
    assert "nothing was changed" in refused.stdout
    nobody = db("create-table", "--drop")
    assert nobody.exit_code == 2
    assert "there is no terminal to answer: add --yes" in nobody.stderr
    assert rows(database) == ["p1.jpg"]
    assert db("create-table", "--drop", answer="y\n").exit_code == 0
    assert rows(database) == []
    assert db("create-table", "--drop", "--yes").exit_code == 0


@pytest.mark.parametrize(
    ("dialect", "spelling"),
    [
        ("oracle", '"POSISJON" MDSYS.SDO_GEOMETRY'),
        ("postgresql", '"posisjon" geometry(Point, 4326)'),
        ("sqlite", '"Posisjon" POINT'),
    ],
)
def test_the_ddl_is_shown_without_a_database(dialect: str, spelling: str) -> None:
    result = invoke("db", "create-table", "--print", "--dialect", dialect, "--table_name", "VEGBILDER")
    assert result.exit_code == 0
    assert spelling in result.stdout
    assert result.stdout.rstrip().endswith(";")


def test_the_ddl_of_a_stored_connection_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["db", "configure", "--user", "veg", "--dsn", "h/x", "--table-name", "VEGBILDER", "--password-stdin"]
    CliRunner().invoke(cli, command, input=PASSWORD)
    monkeypatch.delenv("ORACLE_KEY")
    shown = invoke("db", "insert-geom-metadata", "--print", "--connection", "VEGBILDER").stdout
    assert "'VEGBILDER', 'POSISJON'" in shown
    assert "SDO_DIM_ELEMENT('Longitude', -180.0, 180.0, 0.5)" in shown
    assert 'CREATE TABLE "VEGBILDER"' in invoke("db", "create-table", "--print", "--connection", "VEGBILDER").stdout


def test_the_printed_ddl_of_sqlite_is_what_is_run(database: Path) -> None:
    script = db("create-table", "--print").stdout
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(script)
    assert db("status").exit_code == 0


def test_which_dialect_to_print_must_be_known_and_goes_with_print(database: Path) -> None:
    assert "--dialect oracle|postgresql|sqlite" in invoke("db", "create-table", "--print").stderr
    assert "--dialect goes with --print" in db("create-table", "--dialect", "oracle").stderr
    assert not database.exists()


def test_geometry_of_the_embedded_database_needs_no_more(database: Path) -> None:
    db("create-table")
    assert "nothing is needed" in db("insert-geom-metadata").stdout
    assert invoke("db", "insert-geom-metadata", "--print", "--dialect", "sqlite").stdout.startswith("-- nothing")


def test_geometry_in_another_s_schema_is_the_owner_s_to_describe() -> None:
    flags = ["--user", "loader", "--schema", "VEG", "--dsn", "nowhere.invalid/x", "--table-name", "VEGBILDER"]
    CliRunner().invoke(cli, ["db", "configure", *flags, "--password-stdin"], input=PASSWORD)
    result = invoke("db", "insert-geom-metadata", "--connection", "VEGBILDER")
    assert result.exit_code == 2
    assert "log in as VEG, the table's owner" in result.stderr


def test_a_host_that_cannot_be_found_is_a_database_that_is_away() -> None:
    pytest.importorskip("oracledb")
    flags = ["--user", "loader", "--dsn", "nowhere.invalid/x", "--table-name", "VEGBILDER"]
    CliRunner().invoke(cli, ["db", "configure", *flags, "--password-stdin"], input=PASSWORD)
    result = invoke("db", "status", "--connection", "VEGBILDER", "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["reachable"] is False


# --- execute-sql -----------------------------------------------------------------------------------------------------


def test_results_are_printed_as_tables_or_json(database: Path, tmp_path: Path) -> None:
    put_record(tmp_path / "records", "p1.json", exif_filnavn="[red]%s:x.jpg")
    db("load", "-i", str(tmp_path / "records"))
    sql = "SELECT Filnavn, Retning, Posisjon FROM PICTURES WHERE Filnavn LIKE '%:x%'; UPDATE PICTURES SET Retning = 7.5"
    shown = db("execute-sql", "--sql", sql).stdout
    assert "[red]%s:x.jpg" in shown
    assert "NULL" in shown
    assert "1 row affected" in shown
    [selected] = json.loads(db("execute-sql", "--sql", "SELECT Retning, x'00ff' AS b FROM PICTURES", "--json").stdout)
    assert (selected["columns"], selected["rows"]) == (["Retning", "b"], [[7.5, "00ff"]])


def test_statements_take_effect_together_or_not_at_all(database: Path, tmp_path: Path) -> None:
    put_record(tmp_path / "records", "p1.json")
    db("load", "-i", str(tmp_path / "records"))
    script = tmp_path / "script.sql"
    script.write_text("DELETE FROM PICTURES; -- all\nCREATE TABLE other (x);\nSELEKT 1;\n")
    result = db("execute-sql", "--file", str(script))
    assert result.exit_code == 1
    assert 'statement 3 of 3 was refused: near "SELEKT": syntax error' in result.stderr
    assert "nothing was changed" in result.stderr
    assert rows(database) == ["p1.jpg"]
    assert rows(database, "SELECT name FROM sqlite_master WHERE name = 'other'") == []


def test_long_results_are_cut_and_said_to_be(database: Path) -> None:
    sql = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 50) SELECT x FROM n"
    assert "the first 5 rows; more with --limit" in db("execute-sql", "--sql", sql, "--limit", "5").stdout
    assert db("execute-sql", "--sql", sql, "--limit", "50").stdout.rstrip().endswith("50 rows")


@pytest.mark.parametrize("flags", [(), ("--sql", ""), ("--sql", " ; -- nothing\n"), ("--sql", "x", "--file", __file__)])
def test_what_is_no_sql_is_refused(database: Path, flags: tuple[str, ...]) -> None:
    assert db("execute-sql", *flags).exit_code == 2


# --- status, run -----------------------------------------------------------------------------------------------------


def test_status_tells_table_rows_and_last_load(database: Path, tmp_path: Path) -> None:
    nothing = db("status")
    assert nothing.exit_code == 1
    assert "create it with `anonymise db create-table`" in nothing.stdout
    assert not database.exists()
    put_record(tmp_path / "records", "p1.json")
    db("load", "-i", str(tmp_path / "records"))
    facts = json.loads(db("status", "--state", str(tmp_path / "records_state"), "--json").stdout)
    assert (facts["reachable"], facts["table_there"], facts["rows"], facts["waiting"]) == (True, True, 1, 0)
    assert facts["last_load"][:4].isdigit()
    assert json.loads(db("status", "--state", str(tmp_path), "--json").stdout)["last_load"] is None


def test_status_names_rows_that_wait_for_another_table(database: Path, tmp_path: Path) -> None:
    put_record(tmp_path / "records", "p1.json")
    elsewhere = f"sqlite:///{tmp_path}/nowhere/x.gpkg"
    flags = ("-i", str(tmp_path / "records"), "--connection", elsewhere)
    assert invoke("db", "load", *flags).exit_code == 3
    facts = json.loads(db("status", "--state", str(tmp_path / "records_state"), "--json").stdout)
    [(name, waiting)] = facts["waiting_for_other_tables"].items()
    assert name.startswith("PICTURES-")
    assert (waiting, facts["waiting"]) == (1, 0)


def test_a_run_takes_the_name_of_a_stored_connection(program: Program, database: Path) -> None:
    program.site.fill(1)
    result = program("run", "--database", "local")
    assert result.exit_code == 0
    assert len(rows(database)) == 1
    missing = program("run", "--database", "nowhere")
    assert missing.exit_code == 2
    assert "no such stored connection" in missing.stderr


def test_a_run_warns_of_a_password_on_its_command_line(program: Program) -> None:
    program.site.fill(1)
    url = f"postgresql://loader:{PASSWORD.split()[0]}@127.0.0.1:1/x"
    result = program("run", "--database", url)
    assert "everyone on this machine can read the password in its URL" in result.stderr
    assert PASSWORD.split()[0] not in result.output


def test_a_run_takes_the_table_of_the_connection_unless_one_is_configured(program: Program, database: Path) -> None:
    invoke("db", "configure", "--dsn", f"sqlite:///{database}", "--table-name", "VEGBILDER", "--name", "veg")
    program.site.fill(1)
    program.configure(database="veg", write_exif_to_db=True)
    assert program("run").exit_code == 0
    assert len(rows(database, "SELECT ID FROM VEGBILDER")) == 1
    program.configure(record_form=2022, table_name="PICTURES")  # implies db_table, which is weaker
    assert program("load").exit_code == 0
    assert rows(database, "SELECT name FROM sqlite_master WHERE name = 'PICTURES'") == []
    program.configure(db_table="PICTURES")
    assert program("load").exit_code == 0
    assert len(rows(database)) == 1


def test_the_verbs_of_db_take_the_table_that_a_run_takes(program: Program, database: Path) -> None:
    invoke("db", "configure", "--dsn", f"sqlite:///{database}", "--table-name", "VEGBILDER", "--name", "veg")
    program.site.fill(1)
    program.configure(database="veg", write_exif_to_db=True, db_table="PICTURES")
    assert program("run").exit_code == 0
    config = ("-k", str(program.config))
    for flags, table in ((config, "PICTURES"), ((*config, "-t", "VEGBILDER"), "VEGBILDER"), ((), "VEGBILDER")):
        shown = json.loads(invoke("db", "status", "--connection", "veg", "--json", *flags).stdout)
        assert shown["table"] == table
        created = invoke("db", "create-table", "--print", "--connection", "veg", *flags).stdout
        assert f'CREATE TABLE "{table}"' in created
