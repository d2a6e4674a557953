"""What triggers, rules, policies and deferred constraints do to a row costs that row, and is said with its reason."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from anonymisation.core.errors import ConfigurationError
from anonymisation.database.layouts.tables import load_layout
from anonymisation.database.loading.loader import (
    DatabaseTarget,
    LoadLimits,
    LoadReport,
    SourceRecord,
    load_records,
    open_target,
    send_spooled,
)
from tests.database.postgres_cluster import GUEST, GUEST_PASSWORD, PostgresCluster
from tests.database.sites import PostgresqlSite, Site, SqliteSite
from tests.sources import SHARED, sources

Make = Callable[..., list[SourceRecord]]

BAD = 4  # the record that the triggers below pick out, by the end of its ID
IS_BAD = f"new.id LIKE '%_{BAD:06d}'"


def trigger(body: str, when: str = "BEFORE INSERT OR UPDATE") -> str:
    return (
        f"CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;"
        f"CREATE TRIGGER touches {when} ON pictures FOR EACH ROW EXECUTE FUNCTION touched()"
    )


POSTGRESQL = {
    "skips": (trigger(f"IF {IS_BAD} THEN RETURN NULL; END IF; RETURN new;"), "a trigger"),
    "rewrites the key": (trigger(f"IF {IS_BAD} THEN new.id := lower(new.id); END IF; RETURN new;"), "a trigger"),
    "writes the key of another": (
        trigger(f"IF {IS_BAD} THEN new.id := (SELECT min(id) FROM pictures); END IF; RETURN new;"), "a trigger|second",
    ),
    "deletes": (
        trigger(f"IF {IS_BAD} THEN DELETE FROM pictures WHERE id = new.id; END IF; RETURN new;", "AFTER INSERT"),
        "a trigger",
    ),
    "raises": (trigger(f"IF {IS_BAD} THEN RAISE 'under embargo'; END IF; RETURN new;"), "^under embargo$"),
    "raises the code of a full server": (
        trigger(f"IF {IS_BAD} THEN RAISE 'no room' USING ERRCODE = '53300'; END IF; RETURN new;"), "^no room$",
    ),
    "is broken for one row": (
        trigger(f"IF {IS_BAD} THEN PERFORM no_such_function(new.id); END IF; RETURN new;"), "no_such_function",
    ),
    "raises at the commit": (
        trigger(f"IF {IS_BAD} THEN RAISE 'late'; END IF; RETURN new;", "AFTER INSERT OR UPDATE").replace(
            "CREATE TRIGGER", "CREATE CONSTRAINT TRIGGER"
        ).replace("FOR EACH", "DEFERRABLE INITIALLY DEFERRED FOR EACH"),
        "late",
    ),
}  # fmt: skip


@pytest.fixture
def postgresql(cluster: PostgresCluster) -> Iterator[PostgresqlSite]:
    site = PostgresqlSite(cluster)
    site.target()
    yield site
    with cluster.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS pictures CASCADE; DROP FUNCTION IF EXISTS touched")


def require_one_refused(
    site: Site, target: DatabaseTarget, state: Path, records: list[SourceRecord], reason: str
) -> None:
    """Load twice: the bad row is refused both times, nothing of it is stored, the others are, and nothing waits."""
    limits = LoadLimits(batch_rows=10)
    good = {str(item.record["bildeid"]) for index, item in enumerate(records) if index != BAD}
    for _ in range(2):
        report = load_records(records, target, state, limits)
        [failure] = report.failed
        assert failure.picture == records[BAD].picture
        assert pytest.raises(AssertionError, match=reason).matches(AssertionError(failure.reason)), failure.reason
        assert (report.inserted + report.updated, report.waiting, report.problems) == (len(good), 0, ())
        assert {row["ID"] for row in site.rows(target.layout)} == good
        assert not list((state / "spool").rglob("*.jsonl"))
    assert send_spooled(target, state, limits) == LoadReport(0, 0, (), 0, ())


@pytest.mark.parametrize("what", POSTGRESQL)
def test_a_row_that_a_trigger_of_postgresql_does_not_let_in(
    what: str, postgresql: PostgresqlSite, cluster: PostgresCluster, state: Path, make_records: Make
) -> None:
    statements, reason = POSTGRESQL[what]
    with cluster.connect() as connection:
        connection.execute(statements.encode())
    require_one_refused(postgresql, postgresql.target(), state, make_records(15), reason)


def test_a_skipped_update_is_refused_as_well(
    postgresql: PostgresqlSite, cluster: PostgresCluster, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    load_records(make_records(5, versjon="old"), postgresql.target(), state, limits)
    with cluster.connect() as connection:
        connection.execute(trigger(f"IF {IS_BAD} THEN RETURN NULL; END IF; RETURN new;", "BEFORE UPDATE").encode())
    report = load_records(make_records(5, versjon="new"), postgresql.target(), state, limits)
    assert (report.updated, [failure.picture[-10:] for failure in report.failed]) == (4, ["000004.jpg"])
    assert "table pictures" in report.failed[0].reason


def test_a_trigger_may_change_other_columns(
    postgresql: PostgresqlSite, cluster: PostgresCluster, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    with cluster.connect() as connection:
        connection.execute(trigger("new.versjon := 'ours'; RETURN new;").encode())
    assert load_records(make_records(5), postgresql.target(), state, limits) == LoadReport(5, 0, (), 0, ())
    assert {row["Versjon"] for row in postgresql.rows(load_layout("PICTURES"))} == {"ours"}


def test_a_row_that_row_level_security_refuses(
    postgresql: PostgresqlSite, cluster: PostgresCluster, state: Path, make_records: Make
) -> None:
    with cluster.connect() as connection:
        connection.execute(
            "ALTER TABLE pictures ENABLE ROW LEVEL SECURITY;"
            f"CREATE POLICY ours ON pictures USING (id NOT LIKE '%_{BAD:06d}');"
            f"GRANT SELECT, INSERT, UPDATE ON pictures TO {GUEST}".encode()
        )
    guest = open_target(postgresql.url.set(username=GUEST, password=GUEST_PASSWORD), load_layout("PICTURES"))
    with guest:
        require_one_refused(postgresql, guest, state, make_records(15), "row-level security")


@pytest.mark.parametrize("event", ["INSERT", "UPDATE"])
def test_a_rule_that_does_nothing_costs_the_rows_that_it_drops(
    event: str,
    postgresql: PostgresqlSite,
    cluster: PostgresCluster,
    state: Path,
    limits: LoadLimits,
    make_records: Make,
) -> None:
    with cluster.connect() as connection:
        connection.execute(f"CREATE RULE ours AS ON {event} TO pictures DO INSTEAD NOTHING".encode())
    report = load_records(make_records(3), postgresql.target(), state, limits)
    assert (report.inserted, len(report.failed), report.waiting) == ((0, 3, 0) if event == "INSERT" else (3, 0, 0))


def test_a_deadlock_is_tried_again(
    postgresql: PostgresqlSite, cluster: PostgresCluster, state: Path, limits: LoadLimits, make_records: Make,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    records = make_records(10)
    load_records(records, postgresql.target(), state, limits)
    first, last = str(records[0].record["bildeid"]), str(records[9].record["bildeid"])
    reports: list[LoadReport] = []
    with psycopg.connect(host=str(postgresql.url.query["host"]), user="postgres", dbname="pictures") as other:
        other.execute("SET deadlock_timeout = '1h'")  # so that the loader is the one that is stopped
        other.execute("UPDATE pictures SET versjon = 'x' WHERE id = %s", [last])
        loader = threading.Thread(
            target=lambda: reports.append(load_records(records, postgresql.target(), state, limits))
        )
        loader.start()
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while postgresql.ask(waits) == [(0,)]:
            time.sleep(0.01)
        other.execute("UPDATE pictures SET versjon = 'x' WHERE id = %s", [first])
    loader.join()
    assert reports == [LoadReport(0, 10, (), 0, ())]
    assert "deadlock" in caplog.text


SQLITE = {
    "skips": ("BEFORE INSERT", "SELECT RAISE(IGNORE);", "a trigger"),
    "aborts": ("BEFORE INSERT", "SELECT RAISE(ABORT, 'under embargo');", "^under embargo$"),
    "fails": ("AFTER INSERT", "SELECT RAISE(FAIL, 'under embargo');", "^under embargo$"),
    "rolls back": ("BEFORE INSERT", "SELECT RAISE(ROLLBACK, 'under embargo');", "^under embargo$"),
    "rewrites the key": ("AFTER INSERT", "UPDATE PICTURES SET ID = lower(ID) WHERE ID = new.ID;", "a trigger"),
    "deletes": ("AFTER INSERT", "DELETE FROM PICTURES WHERE ID = new.ID;", "a trigger"),
    "calls a function that fails": ("BEFORE INSERT", "SELECT json_extract('{', '$');", "malformed JSON"),
}


@pytest.mark.parametrize("what", SQLITE)
def test_a_row_that_a_trigger_of_geopackage_does_not_let_in(
    what: str, tmp_path: Path, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    when, body, reason = SQLITE[what]
    site = SqliteSite(tmp_path)
    target = site.target()
    load_records([], target, state, limits)
    with target.engine.begin() as connection:
        for statement in target.dialect.create(target.layout, target.table):
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(f"CREATE TRIGGER touches {when} ON PICTURES WHEN {IS_BAD} BEGIN {body} END")
    require_one_refused(site, target, state, make_records(15), reason)


def test_a_broken_trigger_of_geopackage_stops_no_row_for_ever(
    tmp_path: Path, state: Path, limits: LoadLimits, make_records: Make
) -> None:
    site = SqliteSite(tmp_path)
    target = site.target()
    load_records(make_records(1), target, state, limits)
    with target.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TRIGGER t BEFORE INSERT ON PICTURES BEGIN INSERT INTO gone VALUES (1); END")
    with pytest.raises(ConfigurationError, match=r"main\.gone"):
        load_records(make_records(4), target, state, limits)
    with target.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER t")
    assert send_spooled(target, state, limits) == LoadReport(3, 1, (), 0, ())


oracledb = pytest.importorskip("oracledb")

from anonymisation.database.dialects.base import Fault  # noqa: E402 - after the driver is known to be there
from anonymisation.database.dialects.oracle import OracleDialect  # noqa: E402
from tests.database.oracle_errors import driver_error, raised, while_connecting  # noqa: E402
from tests.database.oracle_listener import OracleListener  # noqa: E402
from tests.database.oracle_sql import RowError  # noqa: E402
from tests.database.sites import FakeOracleSite  # noqa: E402


def is_bad(row: dict[str, Any]) -> bool:
    return str(row["ID"]).endswith(f"_{BAD:06d}")


def lower_key(row: dict[str, Any]) -> None:
    if is_bad(row):
        row["ID"] = row["ID"].lower()


def refuse(code: int, message: str) -> Callable[[dict[str, Any]], None]:
    def check(row: dict[str, Any]) -> None:
        if is_bad(row):
            raise RowError(code, message)

    return check


REFUSALS = (1402, 1858, 2291, 4088, 6502, 14400, 20001, 24816, 28115, 29861, 41900, 99999)
IN_TRIGGER = "said\nORA-06512: at \"ME.T\", line 1\nORA-04088: error during execution of trigger 'ME.T'"


@pytest.mark.parametrize("code", REFUSALS)
def test_a_code_of_oracle_that_is_not_listed_refuses_its_row(code: int, state: Path, make_records: Make) -> None:
    oracle = FakeOracleSite()
    oracle.server.triggers.append(refuse(code, "said"))
    require_one_refused(oracle, oracle.target(), state, make_records(15), f"^ORA-{code:05d}: said$")


@pytest.mark.parametrize("code", [942, 1031, 1017])
def test_an_error_inside_a_trigger_of_oracle_is_its_rows(code: int, state: Path, make_records: Make) -> None:
    oracle = FakeOracleSite()
    oracle.server.triggers.append(refuse(code, IN_TRIGGER))
    require_one_refused(oracle, oracle.target(), state, make_records(15), f"^ORA-{code:05d}: said ORA-06512")


def test_a_key_that_a_trigger_of_oracle_rewrites(state: Path, make_records: Make) -> None:
    oracle = FakeOracleSite()
    oracle.server.triggers.append(lower_key)
    require_one_refused(oracle, oracle.target(), state, make_records(15), "table PICTURES .* a trigger")


def test_a_constraint_of_oracle_that_is_checked_at_the_commit(state: Path, make_records: Make) -> None:
    oracle = FakeOracleSite()
    oracle.server.deferred.append(refuse(2290, "check constraint (ME.C) violated"))
    require_one_refused(oracle, oracle.target(), state, make_records(15), "ORA-02091.*ORA-02290")


def test_a_row_that_kills_the_session_costs_only_itself(state: Path, make_records: Make) -> None:
    oracle = FakeOracleSite()
    oracle.server.triggers.append(refuse(600, "internal error code"))
    require_one_refused(oracle, oracle.target(), state, make_records(15), "DPY-4011.*ORA-00600.*3 times")


def fault(error: Exception) -> Fault:
    from sqlalchemy.exc import DBAPIError

    return OracleDialect().fault(DBAPIError("x", None, error))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (1, Fault.ROW), (12899, Fault.ROW), (60, Fault.AGAIN), (8177, Fault.AGAIN), (942, Fault.MISSING),
        (955, Fault.EXISTS), (1031, Fault.SETUP), (1017, Fault.LOGIN), (1653, Fault.AWAY), (1033, Fault.AWAY),
        (1034, Fault.AWAY), (1089, Fault.AGAIN), (3113, Fault.AGAIN), (3114, Fault.AGAIN), (3135, Fault.AGAIN),
        (12170, Fault.AWAY), (12514, Fault.LOGIN), (12537, Fault.AGAIN), (12541, Fault.AWAY), (12545, Fault.AWAY),
        (12547, Fault.AGAIN), (12570, Fault.AGAIN), *((code, Fault.ROW) for code in REFUSALS),
    ],
)  # fmt: skip
def test_oracles_codes_are_told_apart(code: int, expected: Fault) -> None:
    assert fault(raised(driver_error(code, f"ORA-{code:05d}: said"))) is expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [(1001, Fault.AGAIN), (4011, Fault.AGAIN), (4024, Fault.AWAY), (2004, Fault.ROW), (4001, Fault.LOGIN)],
)
def test_the_codes_of_oracles_driver_are_told_apart(number: int, expected: Fault) -> None:
    assert fault(raised(driver_error(number, f"DPY-{number}: said", prefix="DPY"))) is expected


def test_an_unreachable_oracle_is_away() -> None:
    for cause in (ConnectionRefusedError(111, "Connection refused"), TimeoutError("timed out")):
        assert fault(while_connecting(cause)) is Fault.AWAY
    assert fault(oracledb.OperationalError("[Errno -2] Name or service not known")) is Fault.AWAY


# What a listener answers to the real driver; see the head of fake_tns.py, and of oracle_listener.py.
LISTENERS = {
    "nne": Fault.LOGIN, "old": Fault.LOGIN, "refuse12514": Fault.LOGIN, "refuse12505": Fault.LOGIN,
    "refuse12516": Fault.AWAY, "refuse12528": Fault.AWAY, "refuse1033": Fault.AWAY, "refuse1017": Fault.LOGIN,
    "refuse99999": Fault.ROW, "reset": Fault.AGAIN, "close": Fault.AGAIN,
}  # fmt: skip


@pytest.mark.parametrize("source", sources())
def test_what_listeners_say_to_the_real_driver(source: str) -> None:
    listening = listener if source == "drawn" else listening_program
    found = {}
    for mode in LISTENERS:
        with listening(mode) as port:
            found[mode] = fault(connect_error(port))
    assert found == LISTENERS


@contextmanager
def listener(mode: str) -> Iterator[int]:
    """The port of a listener of ours."""
    with OracleListener({"nne": "encrypt"}.get(mode, mode.removeprefix("refuse"))) as made:
        yield made.port


@contextmanager
def listening_program(mode: str) -> Iterator[int]:
    """The port of the listener next to the real pictures."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(SHARED / "cases/oracle/fake_tns.py"), str(port), mode])
    try:
        yield port
    finally:
        process.kill()
        process.wait()


def connect_error(port: int) -> Exception:
    while True:
        try:
            oracledb.connect(user="me", password="x", host="127.0.0.1", port=port, service_name="FREE")
        except oracledb.Error as error:
            made: Exception = error
            if "Connection refused" not in str(made):  # the listener is there
                return made
            time.sleep(0.02)


def test_a_refusal_that_is_unknown_while_connecting_is_one_of_the_login(
    state: Path, limits: LoadLimits, make_records: Make
) -> None:
    oracle = FakeOracleSite()
    target = oracle.target()
    target.close()
    oracle.server.refuses = driver_error(20001, "ORA-20001: not at night")
    with pytest.raises(ConfigurationError, match=r"login \(ORA-20001: not at night\)"):
        load_records(make_records(2), target, state, limits)
    oracle.server.refuses = None
    assert send_spooled(target, state, limits).inserted == 2
