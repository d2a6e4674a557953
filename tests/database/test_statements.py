"""Scripts taken apart into statements, each as its database's driver takes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymisation.core.errors import DatabaseUnavailableError, WorkFailedError
from anonymisation.database.layouts.tables import load_layout
from anonymisation.database.statements import execute_sql, split_statements
from anonymisation.database.target import DatabaseTarget, open_target


@pytest.mark.parametrize(
    ("script", "statements"),
    [
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;", ["SELECT 1"]),
        ("SELECT ';' ; ;; SELECT 2 ;\n", ["SELECT ';'", "SELECT 2"]),
        ("SELECT 1; -- the end; really\n/* and; this */", ["SELECT 1"]),
        ("SELECT /*+ FULL(t) */ 1 FROM t", ["SELECT /*+ FULL(t) */ 1 FROM t"]),
        ("BEGIN x; y; END;", ["BEGIN x; y; END;"]),
        ("BEGIN\n  x;\nEND;\n/\nSELECT 1 FROM dual;\n/\n", ["BEGIN\n  x;\nEND;", "SELECT 1 FROM dual"]),
        (
            "CREATE OR REPLACE TRIGGER t BEFORE INSERT ON x BEGIN NULL; END t;\n/",
            ["CREATE OR REPLACE TRIGGER t BEFORE INSERT ON x BEGIN NULL; END t;"],
        ),
        ("CREATE TABLE t (x NUMBER); -- one", ["CREATE TABLE t (x NUMBER)"]),
        ("SELECT 'Vegbilder\\'; SELECT '\ue000'", ["SELECT 'Vegbilder\\'", "SELECT '\ue000'"]),
        ("", []),
        (" ; \n-- nothing\n", []),
    ],
)
def test_statements(script: str, statements: list[str]) -> None:
    assert split_statements(script) == statements


@given(st.lists(st.from_regex(r"SELECT '[^'\0]{0,8}' FROM \"t[a-z]{0,3}\"", fullmatch=True), max_size=4))
def test_text_in_quotes_never_ends_a_statement(statements: list[str]) -> None:
    # A line with nothing but / ends one, in quotes too, as in SQL*Plus.
    whole = [statement for statement in statements if "/" not in statement]
    assert split_statements(";\n".join(whole)) == whole


@pytest.fixture
def target(tmp_path: Path) -> DatabaseTarget:
    return open_target(f"sqlite:///{tmp_path}/x.gpkg", load_layout("PICTURES"))


def test_results_come_in_order(target: DatabaseTarget) -> None:
    script = ["CREATE TABLE t (x)", "INSERT INTO t VALUES (1), (2), (NULL)", "SELECT x FROM t", "DELETE FROM t"]
    created, inserted, selected, deleted = execute_sql(target, script, limit=2)
    assert (created.columns, inserted.affected, deleted.affected) == ((), 3, 3)
    assert (selected.columns, selected.rows, selected.cut_off) == (("x",), ((1,), (2,)), True)


def test_a_long_statement_is_named_by_its_beginning(target: DatabaseTarget) -> None:
    with pytest.raises(WorkFailedError, match="statement 1 of 1 was refused: no such table: nowhere") as refused:
        execute_sql(target, [f"SELECT {'x' * 5000} FROM nowhere"])
    assert len(str(refused.value)) < 500


def test_a_database_that_is_away_is_not_the_statement_s_fault(tmp_path: Path) -> None:
    away = open_target(f"sqlite:///{tmp_path}/nowhere/x.gpkg", load_layout("PICTURES"))
    with pytest.raises(DatabaseUnavailableError):
        execute_sql(away, ["SELECT 1"])
