"""Scripts taken apart into statements, each as its database's driver takes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymisation.core.errors import DatabaseUnavailableError, WorkFailedError
from anonymisation.database.layouts.tables import load_layout
from anonymisation.database.sql_script import Script, read_script, split_statements
from anonymisation.database.statements import execute_sql
from anonymisation.database.target import DatabaseTarget, open_target
from tests.database.postgres_cluster import PostgresCluster

PACKAGE = """CREATE OR REPLACE PACKAGE BODY p AS
  limit_ NUMBER := CASE WHEN 1 = 1 THEN 2 END;
  PROCEDURE forward;
  PROCEDURE a IS BEGIN NULL; END;
  FUNCTION b(x NUMBER) RETURN NUMBER AS
    FUNCTION inner RETURN NUMBER IS BEGIN RETURN 1; END inner;
  BEGIN
    IF x = 1 THEN RETURN 2; END IF;
    FOR i IN 1 .. 3 LOOP CASE i WHEN 1 THEN NULL; ELSE NULL; END CASE; END LOOP;
    <<again>> BEGIN NULL; EXCEPTION WHEN OTHERS THEN NULL; END again;
    RETURN rec.end;
  END b;
BEGIN
  forward;
END p;"""
DECLARED = (
    "DECLARE\n  x NUMBER; -- one; two\n  CURSOR c IS SELECT 1 FROM dual;\nBEGIN\n  x := 1; /* ; */\n  NULL;\nEND;"
)
FUNCTION = "CREATE FUNCTION f() RETURNS int AS -- body\n$body$ BEGIN RETURN 1; END; $body$ LANGUAGE plpgsql"
TRIGGER = "CREATE TRIGGER t AFTER INSERT ON x BEGIN UPDATE y SET z = CASE WHEN 1 THEN 2 END; DELETE FROM y; END;"
ATOMIC = "CREATE PROCEDURE p() BEGIN ATOMIC INSERT INTO t VALUES (1); INSERT INTO t VALUES (2); END;"
COMPOUND = """CREATE TRIGGER c FOR INSERT ON x COMPOUND TRIGGER
  n NUMBER;
  BEFORE EACH ROW IS BEGIN NULL; END BEFORE EACH ROW;
  AFTER STATEMENT IS BEGIN NULL; END AFTER STATEMENT;
END c;"""

SPLIT: list[tuple[str, list[str]]] = [
    ("SELECT 1", ["SELECT 1"]),
    ("SELECT 1;", ["SELECT 1"]),
    ("SELECT ';' ; ;; SELECT 2 ;\n", ["SELECT ';'", "SELECT 2"]),
    ("SELECT 1; -- the end; really\n/* and; this */", ["SELECT 1"]),
    ("SELECT /*+ FULL(t) */ 1 FROM t", ["SELECT /*+ FULL(t) */ 1 FROM t"]),
    ("SELECT 1 /* ; */; SELECT 2 -- a;b\n;SELECT 3", ["SELECT 1", "SELECT 2", "SELECT 3"]),
    ("CREATE TABLE t (x NUMBER); -- one", ["CREATE TABLE t (x NUMBER)"]),
    ("", []),
    (" ; \n-- nothing\n", []),
    # Quotes.
    ("SELECT 'Vegbilder\\'; SELECT '\ue000'", ["SELECT 'Vegbilder\\'", "SELECT '\ue000'"]),
    ("SELECT q'[it's; here]' FROM dual; SELECT 2", ["SELECT q'[it's; here]' FROM dual", "SELECT 2"]),
    ("SELECT Nq'{a;'b}', Q'!;'!' FROM d; SELECT q'(;)', q'<;'>'", [
        "SELECT Nq'{a;'b}', Q'!;'!' FROM d", "SELECT q'(;)', q'<;'>'"]),
    ("SELECT seq';'; x", ["SELECT seq';'", "x"]),
    ("SELECT E'it\\'s; x', 'it''s;'; SELECT \"a;\"", ["SELECT E'it\\'s; x', 'it''s;'", 'SELECT "a;"']),
    ("DO $$ BEGIN RAISE NOTICE ';'; END $$; SELECT 1", ["DO $$ BEGIN RAISE NOTICE ';'; END $$", "SELECT 1"]),
    ("SELECT $a$ ; $b$ ; $a$; SELECT v$x; SELECT v$x", ["SELECT $a$ ; $b$ ; $a$", "SELECT v$x", "SELECT v$x"]),
    ("SELECT 'never; closed", ["SELECT 'never; closed"]),
    ("CREATE RULE r AS ON INSERT TO t DO (INSERT INTO a VALUES (1); DELETE FROM b); SELECT 1", [
        "CREATE RULE r AS ON INSERT TO t DO (INSERT INTO a VALUES (1); DELETE FROM b)", "SELECT 1"]),
    # Lines with a slash.
    ("BEGIN\n  x;\nEND;\n/\nSELECT 1 FROM dual;\n/\n", ["BEGIN\n  x;\nEND;", "SELECT 1 FROM dual"]),
    ("CREATE TABLE a (x INT);\nCREATE TABLE b (x INT);\nBEGIN x; END;\n / \r\nDROP TABLE a\n/",
     ["CREATE TABLE a (x INT)", "CREATE TABLE b (x INT)", "BEGIN x; END;", "DROP TABLE a"]),
    ("SELECT '\n/\n' FROM dual /*\n/\n*/;", ["SELECT '\n/\n' FROM dual"]),
    ("CREATE OR REPLACE TRIGGER t BEFORE INSERT ON x BEGIN NULL; END t;\n/", [
        "CREATE OR REPLACE TRIGGER t BEFORE INSERT ON x BEGIN NULL; END t;"]),
    ("WITH FUNCTION f RETURN NUMBER IS BEGIN RETURN 1; END; SELECT f FROM dual;\n/\nSELECT 1", [
        "WITH FUNCTION f RETURN NUMBER IS BEGIN RETURN 1; END; SELECT f FROM dual", "SELECT 1"]),
    ("WITH FUNCTION f RETURN NUMBER IS BEGIN RETURN 1; END; SELECT f FROM dual\n/\nSELECT 1", [
        "WITH FUNCTION f RETURN NUMBER IS BEGIN RETURN 1; END; SELECT f FROM dual", "SELECT 1"]),
    # Programs.
    ("BEGIN x; y; END;", ["BEGIN x; y; END;"]),
    ("<<main>> BEGIN x; END main; SELECT 1", ["<<main>> BEGIN x; END main;", "SELECT 1"]),
    (f"{DECLARED}\nSELECT 1 FROM dual;", [DECLARED, "SELECT 1 FROM dual"]),
    (f"{PACKAGE}\n{PACKAGE}\nSELECT 1;", [PACKAGE, PACKAGE, "SELECT 1"]),
    (f"{PACKAGE}\n/\n{PACKAGE}\n/\n", [PACKAGE, PACKAGE]),
    (f"{COMPOUND} SELECT 1", [COMPOUND, "SELECT 1"]),
    (f"{FUNCTION}; SELECT f()", [FUNCTION, "SELECT f()"]),
    (f"{TRIGGER} SELECT 1;", [TRIGGER, "SELECT 1"]),
    (f"{ATOMIC} SELECT 1;", [ATOMIC, "SELECT 1"]),
    ("CREATE TRIGGER t BEFORE UPDATE ON x EXECUTE FUNCTION f(); SELECT 1", [
        "CREATE TRIGGER t BEFORE UPDATE ON x EXECUTE FUNCTION f()", "SELECT 1"]),
    ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1;'; SELECT 2", [
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1;'", "SELECT 2"]),
    ("BEGIN; UPDATE t SET x = 1; BEGIN IMMEDIATE; END", ["BEGIN", "UPDATE t SET x = 1", "BEGIN IMMEDIATE", "END"]),
    ("DECLARE c NO SCROLL CURSOR FOR SELECT 1; FETCH c", ["DECLARE c NO SCROLL CURSOR FOR SELECT 1", "FETCH c"]),
    ("SELECT CASE WHEN 1 = 1 THEN 'a;' END; SELECT 2", ["SELECT CASE WHEN 1 = 1 THEN 'a;' END", "SELECT 2"]),
]  # fmt: skip


@pytest.mark.parametrize(("script", "statements"), SPLIT)
def test_statements(script: str, statements: list[str]) -> None:
    assert split_statements(script) == statements


@given(st.lists(st.from_regex(r"SELECT '[^'\0]{0,8}' FROM \"t[a-z]{0,3}\"", fullmatch=True), max_size=4))
def test_text_in_quotes_never_ends_a_statement(statements: list[str]) -> None:
    assert split_statements(";\n".join(statements)) == statements


def test_a_long_script_is_split_in_one_pass() -> None:
    script = f"{TRIGGER}\n-- a comment\nINSERT INTO t VALUES ('x');\n" * 1000
    assert len(split_statements(script)) == 2000


SQLPLUS = """SET DEFINE OFF
SET SERVEROUTPUT ON SIZE 1000000;
WHENEVER SQLERROR EXIT SQL.SQLCODE ROLLBACK
REM it's a table
PROMPT Don't /* panic; "now
prompt more -
and; more
-- a comment
CREATE TABLE t (a);
/* another */
SHOW ERRORS
INSERT INTO t VALUES ('PROMPT
EXIT');
EXIT
INSERT INTO t VALUES ('never');
"""


def test_commands_of_sqlplus_that_concern_the_output_are_skipped() -> None:
    script = read_script(SQLPLUS)
    assert script.statements == ("-- a comment\nCREATE TABLE t (a)", "INSERT INTO t VALUES ('PROMPT\nEXIT')")
    assert script.skipped == (
        "SET DEFINE", "SET SERVEROUTPUT", "WHENEVER SQLERROR EXIT", "REM", "PROMPT", "prompt", "SHOW ERRORS",
    )  # fmt: skip


def test_commands_of_psql_that_concern_the_output_are_skipped() -> None:
    script = read_script("\\set ON_ERROR_STOP on\n\\echo 'half\nSELECT 1;\n\\timing\nSELECT 2;\n\\q\nSELECT 3;")
    assert script.statements == ("SELECT 1", "SELECT 2")
    assert script.skipped == ("\\set ON_ERROR_STOP", "\\echo", "\\timing")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("@other.sql", "@"), ("@@other.sql", "@@"), ("\\i other.sql", r"\\i"), ("CONNECT roads/secret@x", "CONNECT"),
        ("DEFINE x = 3", "DEFINE"), ("EXEC p(1)", "EXEC"), ("WHENEVER SQLERROR CONTINUE", "WHENEVER"),
        ("SET AUTOCOMMIT ON", "SET AUTOCOMMIT"), ("EXIT ROLLBACK", "EXIT"), ("HOST rm x", "HOST"),
        ("start x.sql", "start"),
    ],
)  # fmt: skip
def test_other_commands_are_refused_by_name(line: str, name: str) -> None:
    with pytest.raises(ValueError, match=rf"line 2: {name} is a command of SQL\*Plus or psql") as refused:
        read_script(f"SELECT 1;\n{line}\nSELECT 2;")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "statement",
    ["SET search_path TO x", "SET TRANSACTION READ ONLY", "SHOW search_path", "START TRANSACTION", "EXECUTE plan",
     "COLUMNS", "SET ROLE x", "SET TIME ZONE 'UTC'", "SELECT\nexit\nFROM t", "SELECT 1\nEXIT"],
)  # fmt: skip
def test_statements_that_look_like_commands_stay(statement: str) -> None:
    assert read_script(statement) == Script((statement,))


@pytest.fixture
def target(tmp_path: Path) -> DatabaseTarget:
    return open_target(f"sqlite:///{tmp_path}/x.gpkg", load_layout("PICTURES"))


def test_results_come_in_order(target: DatabaseTarget) -> None:
    script = ["CREATE TABLE t (x)", "INSERT INTO t VALUES (1), (2), (NULL)", "SELECT x FROM t", "DELETE FROM t"]
    created, inserted, selected, deleted = execute_sql(target, script, limit=2)
    assert (created.columns, inserted.affected, deleted.affected) == ((), 3, 3)
    assert (selected.columns, selected.rows, selected.cut_off) == (("x",), ((1,), (2,)), True)


def test_a_script_with_a_program_runs(target: DatabaseTarget) -> None:
    script = f"CREATE TABLE x (a); CREATE TABLE y (z);\n{TRIGGER}\nINSERT INTO y VALUES (7);\nINSERT INTO x VALUES (1);"
    execute_sql(target, split_statements(f"{script} -- done; really"))
    [counted] = execute_sql(target, split_statements("SELECT count(*) FROM y;"))
    assert counted.rows == ((0,),)


def test_a_long_statement_is_named_by_its_beginning(target: DatabaseTarget) -> None:
    with pytest.raises(WorkFailedError, match="statement 1 of 1 was refused: no such table: nowhere") as refused:
        execute_sql(target, [f"SELECT {'x' * 5000} FROM nowhere"])
    assert len(str(refused.value)) < 500


def test_a_database_that_is_away_is_not_the_statement_s_fault(tmp_path: Path) -> None:
    away = open_target(f"sqlite:///{tmp_path}/nowhere/x.gpkg", load_layout("PICTURES"))
    with pytest.raises(DatabaseUnavailableError):
        execute_sql(away, ["SELECT 1"])


def test_what_a_script_commits_by_itself_is_not_called_undone(target: DatabaseTarget) -> None:
    script = "CREATE TABLE t (x); -- stored\nCOMMIT; INSERT INTO nowhere VALUES (1)"
    with pytest.raises(WorkFailedError, match="Statement 2, a COMMIT, stored what came before it"):
        execute_sql(target, split_statements(script))
    with pytest.raises(WorkFailedError, match="nothing was changed"):
        execute_sql(target, split_statements("CREATE TABLE u (x); INSERT INTO nowhere VALUES (1)"))
    [tables] = execute_sql(target, ["SELECT name FROM sqlite_master"])
    assert tables.rows == (("t",),)


def test_a_copy_of_the_script_s_own_data_is_refused_and_all_is_undone(
    cluster: PostgresCluster, caplog: pytest.LogCaptureFixture
) -> None:
    dump = "CREATE TABLE copied (x int);\nCOPY copied FROM stdin;\n1\n\\.\n"
    with open_target(cluster.url, load_layout("PICTURES")) as postgresql:
        with pytest.raises(WorkFailedError, match=r"statement 2 of 3 was refused: COPY .* needs psql"):
            execute_sql(postgresql, split_statements(dump))
        [left] = execute_sql(postgresql, ["SELECT count(*) FROM pg_class WHERE relname = 'copied'"])
    assert left.rows == ((0,),)
    assert not caplog.records
